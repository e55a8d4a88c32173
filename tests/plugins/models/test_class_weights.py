from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from pizzeria.datasets import EmbeddingSet, ImageSet
from pizzeria.predictions import Boxes
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.class_logits import ClassLogits
from pizzeria_plugins.models.class_weights import ClassWeights
from pizzeria_plugins.models.class_weights_option import check
from pizzeria_plugins.models.focal import IGNORED, Focal
from pizzeria_plugins.trainers.class_counts import class_counts, tell_class_counts

CLASSES = ("bed", "sofa", "sink")


def test_balanced_weights_let_each_class_count_the_same() -> None:
    weights = ClassWeights("balanced", CLASSES)
    assert weights.value.tolist() == [1, 1, 1]
    counts = np.array([60, 30, 10])
    weights.count(counts)
    np.testing.assert_allclose(weights.value.numpy() * counts, [100 / 3] * 3, rtol=1e-5)
    given = ClassWeights({"sofa": 2.5}, CLASSES)
    given.count(counts)
    assert given.value.tolist() == [1, 2.5, 1]
    assert not given.state_dict()


def test_what_is_counted_is_the_training_split() -> None:
    import pandas as pd

    index = pd.DataFrame({"image_id": ["a", "b", "c"], "split": ["train", "test", "train"]})
    labels = [np.array([0, 2, 2]), np.array([1]), np.zeros(0, np.int64)]
    boxes = tuple(Boxes(np.zeros((len(x), 4), np.float32), np.ones(len(x), np.float32), x) for x in labels)
    photos = ImageSet(np.zeros((3, 1, 1, 3), np.uint8), index, None, boxes, {})
    assert class_counts(photos, 3).tolist() == [1, 0, 2]
    one = EmbeddingSet(np.zeros((3, 1), np.float32), index, np.array([2, 0, 0]), {})
    assert class_counts(one, 3).tolist() == [1, 0, 1]
    several = EmbeddingSet(one.embeddings, index, np.array([[1, 1, 0], [1, 1, 1], [0, 1, 0]], np.float32), {})
    assert class_counts(several, 3).tolist() == [1, 2, 0]
    network = SimpleNamespace(class_weights=ClassWeights("balanced", CLASSES))
    tell_class_counts(network, several, 3)
    assert network.class_weights.value.tolist() == [1.5, 0.75, 1]
    tell_class_counts(object(), several, 3)


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_classifiers_loss_weighs_what_is_true(multilabel: bool) -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    targets = torch.eye(3)[truth] if multilabel else truth
    plain, weighed = (
        ClassLogits(multilabel=multilabel, label_smoothing=0, class_weights=ClassWeights(wish, CLASSES))
        for wish in (None, {"sofa": 3.0})
    )
    logits.requires_grad_()
    (usual,) = torch.autograd.grad(plain.loss(logits, targets)["cross_entropy"], logits)
    (found,) = torch.autograd.grad(weighed.loss(logits, targets)["cross_entropy"], logits)
    # For one class of several, PyTorch divides by the weights of the batch: 1 + 3 + 1 + 3.
    share = 1 if multilabel else 4 / 8
    torch.testing.assert_close(found[0], usual[0] * share)
    torch.testing.assert_close(found[1, 1], usual[1, 1] * 3 * share)


def test_the_focal_loss_is_torchvisions_with_weights_and_without_what_is_ignored() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 3)
    matched = [torch.tensor([0, -1, 1, IGNORED, 0])]
    targets = [{"labels": torch.tensor([2, 1])}]
    hits = torch.zeros(1, 5, 3)
    hits[0, [0, 4], 2] = hits[0, 2, 1] = 1
    for alpha, gamma, weight in ((0.25, 2.0, 1.0), (0.5, 0.0, 4.0)):
        focal = Focal(alpha, gamma, ClassWeights({"sink": weight}, CLASSES))
        each = sigmoid_focal_loss(logits, hits, alpha, gamma)
        each[hits.bool() & torch.tensor([False, False, True])] *= weight
        each[0, 3] = 0
        torch.testing.assert_close(focal.sums(logits, targets, matched), each.sum().reshape(1))


def test_weights_of_classes_that_are_not_there_are_refused() -> None:
    def problem(task: str, classes: tuple[str, ...]) -> Problem:
        success = ({"metric": "f1" if classes else "mae", "at_least": 0},)
        return Problem(need="t", owner="t", task=task, classes=classes, target="y", success=success)

    tabular = problem("tabular_classification", CLASSES)
    assert check(SimpleNamespace(class_weights={"bed": 2.0, "sofe": 1.0}), tabular) == [
        ("class_weights.sofe", "'sofe' is not among problem.classes", "did you mean sofa?")
    ]
    assert check(SimpleNamespace(class_weights="balanced"), tabular) == []
    assert "has no classes" in check(SimpleNamespace(class_weights="balanced"), problem("tabular_regression", ()))[0][1]
