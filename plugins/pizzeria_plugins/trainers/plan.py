"""What a batch is made of, and in which order batches come; seed and epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from pizzeria_plugins.trainers.sampling import draw


class Plan(NamedTuple):
    """Which rows a batch takes; epoch and number seed its augmentation, in whichever process it is made.

    Attributes:
        share: Those of the rows that this process trains on, where several train together.
    """

    epoch: int
    number: int
    rows: NDArray[np.int64]
    share: slice = slice(None)

    @property
    def own(self) -> NDArray[np.int64]:
        """The rows of this process."""
        return self.rows[self.share]


class Batch(NamedTuple):
    """Inputs and targets as `pizzeria_plugins.models.network.Network` takes them; no inputs where there are no rows.

    Attributes:
        stem: Whether the inputs are what the network's `stem` made of photos, and no photos.
    """

    inputs: tuple[Tensor, ...]
    targets: Any
    stem: bool = False

    def through(self, network: Any) -> Any:
        """What the network says of it."""
        return network.from_stem(*self.inputs) if self.stem else network(*self.inputs)

    def parts(self, count: int) -> list[Batch]:
        """In at most `count` parts of one size, the last of which may be smaller."""
        rows = len(self.inputs[0])
        size = -(-rows // count)
        cuts = [slice(start, start + size) for start in range(0, rows, size)]
        return [self.cut(one) for one in cuts]

    def cut(self, rows: slice) -> Batch:
        """Some of its rows."""
        return Batch(tuple(tensor[rows] for tensor in self.inputs), self.targets[rows], self.stem)


class EpochBatches(Sampler[Plan]):
    """The batches of one epoch after the other.

    Args:
        rows: Row numbers to draw from.
        batch_size: Rows in a batch.
        seed: Of the order; None keeps the rows as they are, and the last, smaller batch too.
        epoch: The first one; a resumed training starts later than 0.
        weights: How often each row is drawn, as against the others; None draws each once.
        done: Batches of the first epoch that were trained on before; they come without rows.
        share: Number of this process, and how many share each batch.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        batch_size: int,
        seed: int | None,
        epoch: int = 0,
        weights: NDArray[np.float64] | None = None,
        done: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.weights = weights
        self._done = (epoch, done)
        self._share = share

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size)
        # A last batch of a few rows would unsettle batch norm, and its rows come round in the next epoch.
        return full if self.seed is not None and full else full + bool(rest)

    def __iter__(self) -> Iterator[Plan]:
        epoch, rows = self.epoch, self.rows
        if self.seed is not None:
            rows = draw(rows, self.weights, np.random.default_rng([self.seed, epoch]))
        done = self._done[1] if epoch == self._done[0] else 0
        for number in range(len(self)):
            taken = slice(number * self.batch_size, (number + 1) * self.batch_size)
            yield self._plan(epoch, number, rows[:0] if number < done else rows[taken])

    def _plan(self, epoch: int, number: int, rows: NDArray[np.int64]) -> Plan:
        rank, size = self._share
        return Plan(epoch, number, rows, slice(rank * len(rows) // size, (rank + 1) * len(rows) // size))
