"""The bank of probes as a classifier of scikit-learn: the protocol's training and choice, on features of your own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from ...errors import CmbenchError
from ..protocol import DEFAULT_PROTOCOL, ProbeSettings, get_protocol
from ..scoring.metrics import Bools, Floats, defined_labels
from .folds import drawn
from .search import ProbeResult, ProbeSplit, run_probes

_READING: dict[str, Any] = {"dtype": (np.float32, np.float16), "allow_nd": True}
"""How scikit-learn checks features."""

_KINDS = ("multilabel-indicator", "binary", "multiclass")


class _Rows:
    """Features in memory; every row is a track of one window."""

    def __init__(self, values: Floats) -> None:
        self._values = values if values.ndim == 3 else values[:, None]
        self.layers, self.dim = self._values.shape[1:]
        self.track_of_window: NDArray[np.int64] = np.arange(len(values))

    def take(self, rows: NDArray[np.int64]) -> Floats:
        """Return the features of some rows."""
        return self._values[rows]


class ProbeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Perceptrons with one hidden layer on frozen features, chosen on validation, averaged over seeds.

    Every hidden state, their weighted sum and every learning rate are tried with one seed; the best on validation is
    trained with all seeds. ``X`` is ``[samples, dim]``, or ``[samples, states, dim]`` for several hidden states; ``y``
    a matrix of 0 and 1 ``[samples, labels]``, or classes ``[samples]``. Settings that are ``None`` are the protocol's.

    Args:
        protocol: by name; what it says of windows and metrics plays no part.
        hidden: width of the hidden layer.
        dropout: after it.
        learning_rates: the grid.
        batch: samples of a step.
        max_epochs: passes over the samples at most.
        patience: epochs without a better validation score before a probe stops.
        seeds: of the chosen configuration.
        share: of the samples that validate, if :meth:`fit` is given none.
        device: of torch.

    Attributes:
        classes_: classes; of several labels their numbers.
        layer_: number of the chosen hidden state; -1 for the weighted sum.
        learning_rate_: chosen.
        valid_score_: of the choice.
        result_: all that the search found; its layers are named by their numbers.
    """

    def __init__(
        self,
        protocol: str = DEFAULT_PROTOCOL,
        *,
        hidden: int | None = None,
        dropout: float | None = None,
        learning_rates: Sequence[float] | None = None,
        batch: int | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        seeds: Sequence[int] | None = None,
        share: float = 0.2,
        device: str = "cpu",
    ) -> None:
        self.protocol = protocol
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rates = learning_rates
        self.batch = batch
        self.max_epochs = max_epochs
        self.patience = patience
        self.seeds = seeds
        self.share = share
        self.device = device

    def __sklearn_tags__(self) -> Any:
        """Say what the classifier takes."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self,
        X: ArrayLike,  # noqa: N803
        y: ArrayLike,
        groups: Iterable[Any] | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Train and choose.

        Args:
            X: features; float16 is taken as it is, all else as float32.
            y: labels or classes.
            groups: of each sample, which stay together where validation samples are drawn; several joined with ``|``.
            validation: ``(X, y)`` to choose on. If not given, samples are drawn; where these are too few to tell one
                label's positives from its negatives, the choice is made on the training samples themselves.

        Raises:
            ValueError: features, labels or settings cannot be used, or every probe diverged.
        """
        features, given = validate_data(self, X, y, **_READING, multi_output=True)
        self._shape = features.shape[1:]
        truth = self._targets(given)
        if validation is not None:
            seen, judged = self._checked(validation[0]), self._indicator(np.asarray(validation[1]))
            train, valid = (features, truth), (seen, judged)
        else:
            train, valid = self._divided(features, truth, groups)
        names = [str(k) for k in range(_Rows(features).layers)]
        try:
            split = ProbeSplit(_Rows(valid[0]), valid[1])
            learnt = ProbeSplit(_Rows(train[0]), train[1])
            self.result_: ProbeResult = run_probes(
                learnt, split, split, self._settings(), names, self.device, lambda done, total: None
            )
        except CmbenchError as error:
            raise ValueError(str(error)) from error
        self.layer_ = self.result_.heads.members[0].layer
        self.learning_rate_ = self.result_.selection.learning_rate
        self.valid_score_ = self.result_.selection.valid_score
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the logits, mean over seeds, calibrated on validation: ``[samples, labels]``, of two classes one."""
        check_is_fitted(self)
        heads = self.result_.heads
        logits = heads.track_logits(_Rows(self._checked(X)), self.device)
        found: NDArray[np.float32] = heads.calibrated(logits).astype(np.float32)
        return found[:, 0] if self._kind == "binary" else found

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each label, or of each class ``[samples, labels or classes]``."""
        found: NDArray[np.float32] = expit(self.decision_function(X))
        if self._kind == "binary":
            return np.stack([1 - found, found], axis=1)
        return found if self._kind == _KINDS[0] else found / found.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return what is likelier than not: 0 or 1 of each label, or the likeliest class."""
        logits = self.decision_function(X)
        if self._kind == _KINDS[0]:
            return (logits > 0).astype(np.int64)
        chosen = (logits > 0).astype(np.intp) if self._kind == "binary" else logits.argmax(axis=1)
        found: NDArray[Any] = self.classes_[chosen]
        return found

    def _settings(self) -> ProbeSettings:
        names = ("hidden", "dropout", "learning_rates", "batch", "max_epochs", "patience", "seeds")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        given |= {name: tuple(given[name]) for name in ("learning_rates", "seeds") if name in given}
        settings = replace(get_protocol(self.protocol).probe, **given)
        return settings if settings.search_seed in settings.seeds else replace(settings, search_seed=settings.seeds[0])

    def _checked(self, X: ArrayLike) -> Floats:  # noqa: N803
        found: Floats = validate_data(self, X, reset=False, **_READING)
        if found.shape[1:] != self._shape:
            raise ValueError(f"X of shape {found.shape} has not the {self._shape} features a sample of fit.")
        return found

    def _targets(self, y: NDArray[Any]) -> Bools:
        """Read the targets, and remember what they are."""
        check_classification_targets(y)
        self._kind = type_of_target(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
            self._kind = type_of_target(y)
        if self._kind not in _KINDS:
            raise ValueError(f"Unknown label type: {self._kind}. y should be classes, or a matrix of 0 and 1.")
        self.classes_ = np.arange(y.shape[1]) if self._kind == _KINDS[0] else np.unique(y)
        if self._kind != _KINDS[0] and len(self.classes_) < 2:
            raise ValueError(
                f"There is one class only, {self.classes_[0]!s}; a probe tells at least two classes apart."
            )
        return self._indicator(y)

    def _indicator(self, y: NDArray[Any]) -> Bools:
        if self._kind == _KINDS[0]:
            return y.astype(np.bool_)
        found: Bools = y[:, None] == (self.classes_[1:] if self._kind == "binary" else self.classes_)
        return found

    def _divided(
        self, features: Floats, truth: Bools, groups: Iterable[Any] | None
    ) -> tuple[tuple[Floats, Bools], tuple[Floats, Bools]]:
        """Draw the samples that validate; all, if that leaves nothing to choose by."""
        try:
            part = drawn(truth, groups, {"train": 1.0 - self.share, "valid": self.share})
        except ValueError:
            return (features, truth), (features, truth)
        train, valid = ((features[part == name], truth[part == name]) for name in ("train", "valid"))
        whole = defined_labels(valid[1])[0].any() and train[1].any(axis=0).all()
        return (train, valid) if whole else ((features, truth), (features, truth))
