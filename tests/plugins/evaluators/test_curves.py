"""What is drawn, against scikit-learn at each point."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from pizzeria_plugins.evaluators import curves


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 2, count).astype(np.float32)
    return p, rng.uniform(size=count) < p


@pytest.mark.parametrize("count", [3, 40, 5000])
def test_roc_lies_on_the_whole_curve_and_holds_its_area(count: int) -> None:
    p, true = drawn(count, seed=1)
    found = curves.roc(p, true)
    across, up, _ = sk.roc_curve(true, p)
    assert (found["false"][0], found["true"][0], found["false"][-1], found["true"][-1]) == (0, 0, 1, 1)
    assert {(round(x, 4), round(y, 4)) for x, y in zip(across, up, strict=True)} >= set(
        zip(found["false"], found["true"], strict=True)
    )
    assert sk.auc(found["false"], found["true"]) == pytest.approx(sk.roc_auc_score(true, p), abs=0.003)
    assert len(found["true"]) <= curves.ROC_POINTS + 2


def test_roc_of_one_kind_is_empty() -> None:
    p = np.array([0.2, 0.7])
    assert curves.roc(p, np.ones(2, bool)) == curves.roc(p, np.zeros(2, bool)) == {"false": [], "true": []}


def test_figures_at_each_threshold() -> None:
    p, true = drawn(400)
    found = curves.by_threshold(p, true)
    for at in (0, 7, 30, 61):
        said = p >= np.float32(at / 100)
        assert found["precision"][at] == pytest.approx(sk.precision_score(true, said), abs=1e-4)
        assert found["recall"][at] == pytest.approx(sk.recall_score(true, said), abs=1e-4)
        assert found["f1"][at] == pytest.approx(sk.f1_score(true, said), abs=1e-4)
    above = int(p.max() * 100) + 1
    assert (found["recall"][above], found["f1"][above]) == (0, 0)
    assert found["precision"][above] == found["precision"][above - 1]
    assert curves.by_threshold(p, np.zeros(400, bool)) == {"precision": [], "recall": [], "f1": []}


def test_a_threshold_written_with_two_digits_is_reached() -> None:
    p = np.array([0.07, 0.29, 0.57], np.float32)
    found = curves.by_threshold(p, np.ones(3, bool))
    assert [found["recall"][at] for at in (7, 8, 29, 30, 57, 58)] == pytest.approx(
        [1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 0], abs=1e-4
    )


def test_all_curves_of_classes() -> None:
    p, true = drawn(300)
    both, there = np.stack([p, 1 - p], axis=1), np.stack([true, ~true], axis=1)
    found = curves.of_classes(("on", "off"), both, there, {"on": 0.4})
    assert found["f1_by_threshold"]["classes"]["on"]["chosen"] == 0.4
    assert found["f1_by_threshold"]["classes"]["off"]["chosen"] is None
    assert len(found["f1_by_threshold"]["thresholds"]) == 101
    assert found["precision_recall"].keys() == found["roc"].keys() == {"on", "off"}
    scores = found["scores"]
    assert sum(scores["true"]) == there.sum()
    assert sum(scores["false"]) == (~there).sum()
    assert sum(scores["true"][10:]) == (both[there] >= 0.5).sum()


def test_normalised_confusion_has_shares_of_each_row() -> None:
    found = curves.confusion(["a", "b", "c"], np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]]))
    assert found["normalised"] == [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0.25, 0.5]]
    assert found["matrix"][0] == [3, 1, 0]
