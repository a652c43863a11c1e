"""The bank of probes keeps the rules of scikit-learn, and is the bank."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import cmbench
from cmbench.benchmark.probing.estimator import ProbeClassifier, _Rows
from cmbench.benchmark.probing.linear import linear_probe
from cmbench.benchmark.probing.search import ProbeSplit, run_probes

SMALL: dict[str, Any] = {"hidden": 32, "learning_rates": (3e-2,), "seeds": (1,), "max_epochs": 12, "patience": 12}

NOT_KEPT: dict[str, str] = {}
"""Checks of scikit-learn that the estimator does not keep, with the reason; five at most."""


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Many small steps: a second thread only waits for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(
    samples: int = 240, states: int = 0, kind: type = np.float32
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Features, labels, groups; of several hidden states the second is the telling one."""
    draw = np.random.default_rng(3)
    y = (draw.random((samples, 3)) < [0.5, 0.3, 0.2]).astype(int)
    telling = y @ draw.standard_normal((3, 8)) + 0.7 * draw.standard_normal((samples, 8))
    X = draw.standard_normal((samples, states or 1, 8))
    X[:, min(1, states)] = telling if states else X[:, 0]
    return (X if states else telling).astype(kind), y, np.arange(samples) // 3


def test_scikit_learns_own_checks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(ProbeClassifier(**SMALL), expected_failed_checks=NOT_KEPT, on_skip=None, on_fail=None)
    assert len(found) > 50
    assert len(NOT_KEPT) <= 5
    assert {one["check_name"]: one["exception"] for one in found if one["status"] == "failed"} == {}
    # The check of other libraries' arrays runs where the environment asks scipy for them.
    assert {one["check_name"] for one in found if one["status"] == "skipped"} <= {"check_array_api_input"}


def test_it_is_the_bank() -> None:
    X, y, _ = made(states=3, kind=np.float16)
    train, valid, test = slice(0, 150), slice(150, 200), slice(200, 240)
    estimator = ProbeClassifier(**SMALL | {"seeds": (1, 2)})
    estimator.fit(X[train], y[train], validation=(X[valid], y[valid]))
    splits = [ProbeSplit(_Rows(X[part]), y[part].astype(np.bool_)) for part in (train, valid, test)]
    names = ["0", "1", "2"]
    settings = estimator._settings()
    expected = run_probes(splits[0], splits[1], splits[2], settings, names, "cpu", lambda done, total: None)
    chosen = expected.selection
    assert (estimator.layer_, estimator.learning_rate_) == (expected.heads.members[0].layer, chosen.learning_rate)
    assert (estimator.result_.selection.layer, estimator.valid_score_) == (chosen.layer, chosen.valid_score)
    np.testing.assert_array_equal(estimator.result_.heads.parameters, expected.heads.parameters)
    assert expected.heads.calibration is not None
    logits = np.log(expected.probabilities / (1 - expected.probabilities)).mean(axis=0)
    np.testing.assert_allclose(
        estimator.decision_function(X[test]), expected.heads.calibrated(logits), rtol=2e-2, atol=1e-3
    )


def test_a_telling_state_is_found_among_noise() -> None:
    X, y, groups = made(states=3)
    estimator = ProbeClassifier(**SMALL).fit(X, y, groups=groups)
    assert estimator.layer_ in (1, -1)
    assert roc_auc_score(y, estimator.predict_proba(X)) > 0.85
    assert estimator.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="has not the"):
        estimator.predict(X[:, :, :7])


def test_it_is_worth_the_linear_probe() -> None:
    """On a problem that is linear the oracle is the best there is."""
    X, y, groups = made(600)
    cv = cmbench.GroupedStratifiedKFold(3)
    settings = SMALL | {"max_epochs": 40, "hidden": 64, "learning_rates": (1e-2,)}
    ours, oracle = (
        cross_val_score(one, X, y, groups=groups, cv=cv, scoring="roc_auc")
        for one in (ProbeClassifier(**settings), linear_probe(0.1))
    )
    assert oracle.mean() > 0.85
    assert ours.mean() == pytest.approx(oracle.mean(), abs=0.02)


def test_it_goes_into_a_pipeline_with_groups() -> None:
    X, y, groups = made()
    pipeline = make_pipeline(StandardScaler(), ProbeClassifier(**SMALL))
    scores = cross_val_score(
        pipeline, X * 1e6, y, groups=groups, cv=cmbench.GroupedStratifiedKFold(3), scoring="roc_auc"
    )
    assert (scores > 0.8).all()


def test_values_beyond_float16_are_taken_as_float32() -> None:
    X, y, _ = made()
    plain, shifted = (ProbeClassifier(**SMALL).fit(values, y) for values in (X, 1e6 * X))
    assert shifted.valid_score_ == pytest.approx(plain.valid_score_, abs=0.02)


def test_what_was_fitted_travels() -> None:
    X, y, _ = made(60)
    estimator = ProbeClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"protocol": "none"}, "There is no protocol named 'none'"), ({"learning_rates": ()}, "leaves no probe to train")],
)
def test_wrong_settings_are_value_errors(settings: dict[str, Any], told: str) -> None:
    X, y, _ = made(60)
    with pytest.raises(ValueError, match=told):
        ProbeClassifier(**SMALL | settings).fit(X, y)


def test_groups_stay_together_where_validation_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, groups = made(90)
    train, valid = ProbeClassifier(**SMALL).fit(X, y)._divided(X, y.astype(bool), groups)
    where = {row.tobytes(): group for row, group in zip(X, groups, strict=True)}
    heard, judged = ({where[row.tobytes()] for row in part[0]} for part in (train, valid))
    assert len(heard) > len(judged) > 0
    assert not heard & judged


def test_the_public_names() -> None:
    assert cmbench.ProbeClassifier is ProbeClassifier
    assert cmbench.linear_probe is linear_probe
