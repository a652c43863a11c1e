"""The splitter keeps groups whole and gives every label its share, and goes where scikit-learn takes a cv."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

import cmbench
from cmbench.benchmark.probing.folds import GroupedStratifiedKFold, drawn


def made(samples: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = (draw.random((samples, 4)) < [0.5, 0.3, 0.15, 0.1]).astype(int)
    X = y @ draw.standard_normal((4, 6)) + draw.standard_normal((samples, 6))
    return X, y, np.arange(samples) // 4


def test_folds_are_whole_groups_and_every_sample_once() -> None:
    X, y, groups = made()
    found = list(GroupedStratifiedKFold(4).split(X, y, groups))
    assert len(found) == 4
    assert sorted(np.concatenate([test for _, test in found]).tolist()) == list(range(len(X)))
    for train, test in found:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(X)
        assert abs(len(test) - len(X) / 4) <= 8
        share = y[test].mean(axis=0)
        np.testing.assert_allclose(share, y.mean(axis=0), atol=0.1)


def test_the_same_samples_give_the_same_folds_and_classes_are_dealt_too() -> None:
    X, y, groups = made()
    first, again = (list(GroupedStratifiedKFold(3).split(X, y, groups)) for _ in range(2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    classes = np.where(y[:, 1], "rare", "common")
    for _, test in GroupedStratifiedKFold(5).split(X, classes):
        assert np.mean(classes[test] == "rare") == pytest.approx(np.mean(classes == "rare"), abs=0.03)


def test_joined_and_unknown_groups() -> None:
    y = np.tile([0, 1], 6)
    groups = ["a|b", "b|c", "c", None, "", float("nan"), "d", "d", "e", "e", "f", "g"]
    part = drawn(y, groups, {"0": 0.5, "1": 0.5})
    assert len(set(part[:3])) == len(set(part[6:8])) == len(set(part[8:10])) == 1


def test_scikit_learn_hands_the_groups_on() -> None:
    X, y, groups = made()
    cv = GroupedStratifiedKFold(3)
    assert check_cv(cv).get_n_splits() == 3
    estimator = OneVsRestClassifier(LogisticRegression())
    scores = cross_val_score(estimator, X, y, groups=groups, cv=cv, scoring="roc_auc")
    by_hand = [
        clone(estimator).fit(X[train], y[train]).score(X[test], y[test]) for train, test in cv.split(X, y, groups)
    ]
    assert len(by_hand) == 3
    assert (scores > 0.7).all()
    assert cv.get_metadata_routing().split.requests == {"groups": True}
    assert repr(cv) == "GroupedStratifiedKFold(n_splits=3)"
    assert cmbench.GroupedStratifiedKFold is GroupedStratifiedKFold


def test_what_cannot_be_divided_is_told() -> None:
    X, y, _ = made(12)
    with pytest.raises(ValueError, match=r"12 samples cannot be divided: .*without tearing a group apart"):
        list(GroupedStratifiedKFold(3).split(X, y, np.zeros(12)))
    with pytest.raises(ValueError, match="need y, and n_splits of at least 2"):
        list(GroupedStratifiedKFold(1).split(X, y))
    with pytest.raises(ValueError, match="need y"):
        list(GroupedStratifiedKFold(2).split(X))
