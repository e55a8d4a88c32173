"""A network for rows: embeddings of the categorical columns beside the numeric ones, then residual layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from pizzeria_plugins.models.class_weights import ClassWeights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOSSES = {"huber": functional.smooth_l1_loss, "mse": functional.mse_loss, "mae": functional.l1_loss}


class ResidualMLP(nn.Module):
    """See `pizzeria_plugins.models.network.Network`.

    Args:
        numeric: F, number of numeric columns.
        cardinalities: Of each of the G categorical columns: its values, and one for unseen or missing.
        outputs: Number of classes, or 1 for regression.
        hidden: Width of the layers.
        blocks: Number of residual blocks.
        dropout: Within each block.
        embedding: Greatest width of an embedding.
        target: Mean and deviation of the target in the training split; None for classification.
        loss: For regression: `huber`, `mse` or `mae`, on the standardised target.
        class_weights: For classification: how much rows of each class count.
    """

    def __init__(
        self,
        numeric: int,
        cardinalities: Sequence[int],
        outputs: int,
        *,
        hidden: int,
        blocks: int,
        dropout: float,
        embedding: int,
        target: tuple[float, float] | None,
        loss: str,
        class_weights: ClassWeights,
    ) -> None:
        super().__init__()
        self.class_weights = class_weights
        widths = [min(embedding, (count + 1) // 2 + 1) for count in cardinalities]
        self.numeric = numeric
        self.embeddings = nn.ModuleList(map(_embedding, cardinalities, widths))
        self.first = nn.Linear(numeric + sum(widths), hidden)
        self.blocks = nn.ModuleList(_Block(hidden, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, outputs)
        self.regression = target is not None
        mean, deviation = target or (0.0, 1.0)
        self.register_buffer("target_mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("target_deviation", torch.tensor(deviation, dtype=torch.float32))
        self.regression_loss = LOSSES[loss]

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs in their order; one without columns is not there."""
        return [name for name, count in (("numeric", self.numeric), ("categorical", len(self.embeddings))) if count]

    def forward(self, *inputs: Tensor) -> Tensor:
        """`numeric` float32 [N, F] and `categorical` int64 [N, G] to logits [N, C], or standardised values [N]."""
        by_name = dict(zip(self.input_names, inputs, strict=True))
        parts = [by_name["numeric"]] if self.numeric else []
        parts += [embed(by_name["categorical"][:, column]) for column, embed in enumerate(self.embeddings)]
        hidden = self.first(torch.cat(parts, dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        found: Tensor = self.last(torch.relu(self.norm(hidden))).float()
        return found.squeeze(1) if self.regression else found

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy, or the regression loss in deviations of the target."""
        if self.regression:
            return {"regression": self.regression_loss(outputs, (targets - self.target_mean) / self.target_deviation)}
        return {"cross_entropy": functional.cross_entropy(outputs, targets, self.class_weights.value)}

    def answers(self, outputs: Tensor) -> Tensor:
        """Probabilities [N, C], or values [N] in the target's own unit."""
        if self.regression:
            return outputs * self.target_deviation + self.target_mean
        return outputs.softmax(dim=1)

    @torch.no_grad()
    def predict(self, outputs: Tensor) -> NDArray[np.float32]:
        """`answers` as numpy."""
        found: NDArray[np.float32] = self.answers(outputs).cpu().numpy()
        return found


def _embedding(count: int, width: int) -> nn.Embedding:
    """Code 0 begins at 0: what training never shows must not answer by chance."""
    out = nn.Embedding(count, width)
    with torch.no_grad():
        out.weight[0].zero_()
    return out


class Answers(nn.Module):
    """What goes through PyTorch's exporter: columns in, probabilities or values out."""

    def __init__(self, network: ResidualMLP) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network.answers(self.network(*inputs))


class _Block(nn.Sequential):
    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
        )
