"""A timm classifier as a network: one class for each photo, or any number of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pizzeria_plugins.models.backbone import Normalize, create_classifier, statistics
from pizzeria_plugins.models.class_logits import ClassLogits
from pizzeria_plugins.models.class_weights import ClassWeights


class Classifier(ClassLogits):
    """See `pizzeria_plugins.models.network.Network`.

    Args:
        name: timm model.
        classes: C.
        size: Side of the photos in pixels.
        weights: Local file, `package`, `hub`, or None for random ones.
        multilabel: Each class on its own, instead of just one of them.
        dropout: Before the last layer.
        label_smoothing: Share of the truth that is spread evenly.
        class_weights: How much what is true of each class counts in the loss.
        frozen: Train the last layer only; `freeze` says otherwise later.
    """

    def __init__(
        self,
        name: str,
        classes: int,
        size: int,
        weights: str | None,
        *,
        multilabel: bool,
        dropout: float,
        label_smoothing: float,
        class_weights: ClassWeights,
        frozen: bool,
    ) -> None:
        super().__init__(multilabel=multilabel, label_smoothing=label_smoothing, class_weights=class_weights)
        self.body = create_classifier(name, classes, size, weights, dropout)
        self.normalize = Normalize(*statistics(self.body))
        self._keeps_statistics = frozen
        self.freeze(frozen)

    def freeze(self, frozen: bool) -> None:
        """Let all but the last layer stay as it is, or learn."""
        self.body.requires_grad_(not frozen)
        self._last_layer().requires_grad_(True)

    def _last_layer(self) -> nn.Module:
        found: nn.Module | tuple[nn.Module, ...] = self.body.get_classifier()
        return nn.ModuleList(found) if isinstance(found, tuple) else found  # distilled models have two

    def backbone_parameters(self) -> list[nn.Parameter]:
        """All but those of the last layer."""
        last = {id(parameter) for parameter in self._last_layer().parameters()}
        return [parameter for parameter in self.body.parameters() if id(parameter) not in last]

    def train(self, mode: bool = True) -> Classifier:
        """A body that was frozen keeps its batch-norm statistics, also when it learns later."""
        super().train(mode)
        if self._keeps_statistics:
            self.body.eval()
            self._last_layer().train(mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [N, H, W, 3] RGB to logits [N, C]."""
        logits: Tensor = self.body(self.normalize(images))
        return logits.float()

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N, C], and what goes into the last layer: float [N, E]."""
        features = self.body.forward_features(self.normalize(images))
        embedding: Tensor = self.body.forward_head(features, pre_logits=True)
        return self._last_layer()(embedding).float(), embedding.float()

    @torch.no_grad()
    def embeds(self, images: Tensor) -> bool:
        """Whether `embed` gives the same logits as the model; a few timm models have two heads, or other ways."""
        try:
            return torch.allclose(self.embed(images)[0], self(images), atol=1e-4)
        except (AttributeError, RuntimeError, TypeError):
            return False


class Probabilities(nn.Module):
    """What goes through PyTorch's exporter: photos in, probabilities out, and embeddings where the model has them.

    Attributes:
        outputs: Names of what comes out.
    """

    def __init__(self, classifier: Classifier, example: Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.outputs = ["probabilities", "embedding"] if classifier.embeds(example) else ["probabilities"]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if len(self.outputs) == 1:
            return (self.classifier.probabilities(self.classifier(images)),)
        logits, embedding = self.classifier.embed(images)
        return self.classifier.probabilities(logits), embedding
