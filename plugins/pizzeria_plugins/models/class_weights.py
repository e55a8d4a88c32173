"""How much the truths of each class count in a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ClassWeights(nn.Module):
    """A weight for each class: 1 unless something else is wished.

    They are no part of what is trained, and do not stand in a checkpoint.

    Args:
        wish: `balanced`, weights by class, or None.
        classes: Names in the order of their indices; one without a weight has 1.
    """

    value: Tensor
    """float32 [C]."""

    def __init__(self, wish: Literal["balanced"] | Mapping[str, float] | None, classes: Sequence[str]) -> None:
        super().__init__()
        self.balanced = wish == "balanced"
        given = wish if isinstance(wish, Mapping) else {}
        self.register_buffer("value", torch.tensor([float(given.get(name, 1)) for name in classes]), persistent=False)

    def count(self, counts: NDArray[np.int64]) -> None:
        """If the wish is `balanced`, let all classes count the same altogether: `balanced(counts)`."""
        if self.balanced:
            self.value.copy_(torch.from_numpy(balanced(counts)))


def balanced(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [C]: n / (C n_c) for n truths in C classes, as scikit-learn has it; 1 for a class without any.

    Example:
        >>> import numpy as np
        >>> balanced(np.array([6, 2, 0])).tolist()
        [0.6666666865348816, 2.0, 1.0]
    """
    import numpy as np

    seen = counts > 0
    weights = counts.sum() / (max(int(seen.sum()), 1) * np.maximum(counts, 1))
    return np.where(seen, weights, 1).astype(np.float32)
