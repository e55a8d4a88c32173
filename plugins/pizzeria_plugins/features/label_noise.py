"""Photos whose label is probably wrong: what a classifier that never saw them is sure of, and the label denies.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068): a photo counts for a class when its probability
reaches what is usual among photos with that label. One that counts for another class than its own is a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
_FEWEST = 2 * FOLDS
_STRENGTH = 3.0
"""Of one photo against the penalty on weights; a weak classifier doubts fewer labels, and those with more reason."""


def candidates(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], classes: int, groups: NDArray[Any] | None = None
) -> pd.DataFrame:
    """Rows whose label is probably wrong, the likeliest first.

    Args:
        embeddings: [N, E].
        labels: [N] class indices.
        classes: C.
        groups: [N]; photos of equal value are never on both sides of a fold, so that a copy does not vouch for its own
            label. None: each photo for itself.

    Returns:
        `row`, `given` and `suggested` (class indices), `given_probability` and `suggested_probability` (out of fold).
        Empty where a class has too few photos to judge by.
    """
    import pandas as pd

    names = ["row", "given", "suggested", "given_probability", "suggested_probability"]
    groups = np.arange(len(labels)) if groups is None else groups
    pairs = np.unique(np.stack([labels, np.unique(groups, return_inverse=True)[1]]), axis=1)
    counts = np.bincount(pairs[0], minlength=classes)  # different photos of each class
    if (counts > 0).sum() < 2 or counts[counts > 0].min() < _FEWEST:
        return pd.DataFrame({name: np.zeros(0, float if "prob" in name else int) for name in names})
    probabilities = out_of_fold(embeddings, labels, classes, groups)
    suggested = confident(probabilities, labels)
    rows = np.flatnonzero((suggested >= 0) & (suggested != labels))
    given_p, suggested_p = probabilities[rows, labels[rows]], probabilities[rows, suggested[rows]]
    order = np.argsort(given_p - suggested_p, kind="stable")
    found = (rows, labels[rows], suggested[rows], given_p, suggested_p)
    return pd.DataFrame({name: values[order] for name, values in zip(names, found, strict=True)})


def confident(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] the class that each photo counts for, -1 for none: of those that it reaches the threshold of, the likeliest.

    A class's threshold is the mean of its probability over the photos that have it as their label.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])
        >>> confident(p, np.array([0, 0, 1, 1, 1])).tolist()
        [0, -1, 1, 0, 1]
    """
    thresholds = np.array(
        [probabilities[labels == c, c].mean() if (labels == c).any() else np.inf for c in range(probabilities.shape[1])]
    )
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    return np.where(np.isfinite(reached).any(axis=1), reached.argmax(axis=1), -1)


def out_of_fold(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], classes: int, groups: NDArray[Any]
) -> NDArray[np.float64]:
    """[N, C]: what a linear classifier says of each photo that learnt from the other folds alone."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    found = np.zeros((len(labels), classes))
    for learn, judge in folds.split(embeddings, labels, groups):
        scaler = StandardScaler().fit(embeddings[learn])
        seen = scaler.transform(embeddings[learn])
        # Fewer directions than photos: the classifier is done in a second, and does not learn its photos by heart.
        pca = PCA(min(128, *seen.shape), random_state=0).fit(seen)
        classifier = LogisticRegression(C=_STRENGTH / len(learn), max_iter=500).fit(pca.transform(seen), labels[learn])
        told = classifier.predict_proba(pca.transform(scaler.transform(embeddings[judge])))
        found[np.ix_(judge, classifier.classes_)] = told
    return found
