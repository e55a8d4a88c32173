"""A classifier on what a frozen backbone makes of photos."""

from __future__ import annotations

from torch import Tensor, nn

from pizzeria_plugins.models.backbone import Embedder
from pizzeria_plugins.models.class_logits import ClassLogits
from pizzeria_plugins.models.class_weights import ClassWeights


class Probe(ClassLogits):
    """See `pizzeria_plugins.models.network.Network`; its input is float32 [N, E].

    Args:
        width: E.
        classes: C.
        hidden: Width of a layer between, 0 for none.
        multilabel: Each class on its own, instead of just one of them.
        dropout: Before the last layer.
        label_smoothing: Share of the truth that is spread evenly.
        class_weights: How much what is true of each class counts in the loss.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        hidden: int,
        *,
        multilabel: bool,
        dropout: float,
        label_smoothing: float,
        class_weights: ClassWeights,
    ) -> None:
        super().__init__(multilabel=multilabel, label_smoothing=label_smoothing, class_weights=class_weights)
        # Each number of an embedding has its own scale; as the training split shows it, it is made 1.
        layers: list[nn.Module] = [nn.BatchNorm1d(width, affine=False)]
        if hidden:
            layers += [nn.Linear(width, hidden), nn.GELU()]
        self.head = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(hidden or width, classes))

    def forward(self, embeddings: Tensor) -> Tensor:
        """float [N, E] to logits [N, C]."""
        logits: Tensor = self.head(embeddings)
        return logits


class ProbedPhotos(nn.Module):
    """Backbone and head in one, as they are exported: photos in, probabilities and embeddings out."""

    def __init__(self, embedder: Embedder, probe: Probe) -> None:
        super().__init__()
        self.embedder = embedder
        self.probe = probe

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, H, W, 3] RGB to float [N, C] and float [N, E]."""
        embedding = self.embedder(images)
        return self.probe.probabilities(self.probe(embedding)), embedding
