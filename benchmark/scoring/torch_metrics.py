"""The scores of a record for any training loop: ROC-AUC, average precision and F1 as ``torchmetrics.Metric``.

They collect scores and targets, gather them from all ranks, and are computed by the arithmetic of a record, so that a
loop and ``cmbench run`` say the same to the last bit. A label that has no positive or no negative is left out of every
mean and named with its reason; it never counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ...errors import UsageError, counted
from .metrics import Bools, Doubles, Floats, defined_labels, f1, f1_micro, mean_of_defined, sort_scores, weighted_scores


@dataclass(frozen=True)
class NamedScores:
    """A score with what it is made of; ``None`` is a score that does not exist.

    Attributes:
        value: the mean over the defined labels, or of all decisions pooled.
        labels: label -> score.
        families: family -> mean over its defined labels.
        undefined: label -> why it has no score.
    """

    value: float | None
    labels: Mapping[str, float | None]
    families: Mapping[str, float | None]
    undefined: Mapping[str, str]


class MultilabelScore(Metric):
    """Collects scores and targets ``[tracks, labels]``; what is computed of them is up to its kinds.

    ``compute`` returns the mean over the defined labels as a tensor without dimensions (float64), NaN where no label is
    defined; :attr:`named` then has every label and family by name.

    Args:
        labels: their names in the order of the columns, or how many there are.
        families: label -> family; labels without one are in none.
        keep: type that scores are kept in, ``torch.float32`` or ``torch.float64``.
        settings: of ``torchmetrics.Metric``, for example ``compute_on_cpu=True``, which spares the memory of a GPU.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    scores: list[Tensor] | Tensor
    targets: list[Tensor] | Tensor
    known: list[Tensor] | Tensor

    def __init__(
        self,
        labels: Sequence[str] | int,
        families: Mapping[str, str] | None = None,
        *,
        keep: torch.dtype = torch.float32,
        **settings: Any,
    ) -> None:
        """Start with nothing collected."""
        super().__init__(**settings)
        self.labels = tuple(f"label {k}" for k in range(labels)) if isinstance(labels, int) else tuple(labels)
        self.families = dict(families or {})
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise UsageError(f"labels should be one or more, each once, not {', '.join(self.labels) or 'none'}.")
        if unknown := sorted(self.families.keys() - set(self.labels)):
            raise UsageError(f"families: {unknown[0]!r} is no label; there are {', '.join(self.labels)}.")
        self.keep = keep
        self.named: NamedScores | None = None
        for name in ("scores", "targets", "known"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget what was collected."""
        super().reset()
        # A part without tracks: a rank that takes none then still sends arrays with columns, of the others' type.
        for name in ("scores", "targets", "known"):
            kind = self.keep if name == "scores" else torch.bool
            getattr(self, name).append(torch.empty((0, len(self.labels)), dtype=kind, device=self.device))

    def update(self, scores: Tensor, targets: Tensor, known: Tensor | None = None) -> None:
        """Take a batch.

        Args:
            scores: ``[tracks, labels]``, floating point; logits or probabilities.
            targets: ``[tracks, labels]``, 0 or 1.
            known: ``[tracks, labels]``, false where nobody knows whether the track has the label; all are known if not
                given. What is not known counts neither for nor against.

        Raises:
            UsageError: shapes or types do not fit, a known target or a value of ``known`` is neither 0 nor 1, or a
                known score is infinite.
        """
        shape = (len(scores) if scores.ndim else 0, len(self.labels))
        given = {"scores": scores, "targets": targets} | ({} if known is None else {"known": known})
        for name, tensor in given.items():
            if tensor.shape != shape:
                raise UsageError(
                    f"{name} of shape {list(tensor.shape)} should be [tracks, {counted(len(self.labels), 'label')}]"
                    f"{f', as {len(scores)} scores are' if name != 'scores' else ''}."
                )
        if not scores.is_floating_point():
            raise UsageError(f"scores of type {scores.dtype} should be floating point: logits or probabilities.")
        if scores.dtype == torch.float64 != self.keep:
            raise UsageError("scores of float64 would lose digits and gain ties: give the metric keep=torch.float64.")
        mask = torch.ones_like(scores, dtype=torch.bool) if known is None else known.bool()
        if known is not None and not bool((known == mask).all()):
            raise UsageError("known should be true or false, 1 or 0: a pair is known or not, and has no weight.")
        if not bool((((targets == 0) | (targets == 1)) | ~mask).all()):
            raise UsageError("targets should be 0 or 1; where a target is not known, say so with `known`.")
        if bool((scores.isinf() & mask).any()):
            raise UsageError("scores should be finite: what has overflowed is tied with all else that has.")
        # What is shorter is exact in what is kept: ties stay ties.
        kept = scores.detach().to(self.keep)
        for state, tensor in ((self.scores, kept), (self.targets, (targets == 1) & mask), (self.known, mask)):
            assert isinstance(state, list)
            state.append(tensor)

    def compute(self) -> Tensor:
        """Return the score of everything that all ranks have taken; see the class.

        Raises:
            CmbenchError: a known score is NaN.
        """
        scores, targets, known = (
            dim_zero_cat(state).cpu().numpy() for state in (self.scores, self.targets, self.known)
        )
        self.named = self._named(scores, targets, known)
        value = float("nan") if self.named.value is None else self.named.value
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def _named(self, scores: Floats, targets: Bools, known: Bools) -> NamedScores:
        defined, why = defined_labels(targets, known)
        reasons = {label: reason for label, reason in zip(self.labels, why, strict=True) if reason is not None}
        values = np.where(defined, self._by_label(scores, targets, known), np.nan)
        members: dict[str, list[int]] = {}
        for k, label in enumerate(self.labels):
            if label in self.families:
                members.setdefault(self.families[label], []).append(k)
        return NamedScores(
            self._mean(values, scores, targets, known) if defined.any() else None,
            {label: _number(value) for label, value in zip(self.labels, values, strict=True)},
            {family: _number(float(mean_of_defined(values[columns]))) for family, columns in members.items()},
            {label: reason.replace("in the test split", "among the tracks") for label, reason in reasons.items()},
        )

    def _by_label(self, scores: Floats, targets: Bools, known: Bools) -> Doubles:
        """Score every label ``[labels]``; what it says of undefined ones is not looked at."""
        raise NotImplementedError

    def _mean(self, values: Doubles, scores: Floats, targets: Bools, known: Bools) -> float:
        return float(mean_of_defined(values))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _ranked(scores: Floats, targets: Bools, known: Bools, names: Sequence[str], which: int) -> Doubles:
    """ROC-AUC (0) or average precision (1) of every label on its known tracks."""
    # Two rows, and the first counts: a sum over one row alone is added up in another order than a record's.
    weights = np.ones((2, len(targets)))
    prepared = sort_scores(targets, np.where(known, scores, 0.0), names, known)
    whole: Doubles = weighted_scores(prepared, weights)[which][0]
    return whole


class RocAuc(MultilabelScore):
    """Exact ROC-AUC of every label, ties as half, and its mean over the defined labels; see :class:`MultilabelScore`.

    .. code-block:: python

        metric = cmbench.RocAuc(labels)
        for audio, targets in loader:
            metric.update(model(audio), targets)
        print(metric.compute(), metric.named.undefined)
    """

    def _by_label(self, scores: Floats, targets: Bools, known: Bools) -> Doubles:
        return _ranked(scores, targets, known, self.labels, 0)


class AveragePrecision(MultilabelScore):
    """Exact average precision, without interpolation; see :class:`MultilabelScore`."""

    def _by_label(self, scores: Floats, targets: Bools, known: Bools) -> Doubles:
        return _ranked(scores, targets, known, self.labels, 1)


class F1(MultilabelScore):
    """F1 at a threshold of the scores; see :class:`MultilabelScore`.

    Args:
        labels: as of :class:`MultilabelScore`.
        families: as of :class:`MultilabelScore`.
        threshold: score from which a label counts as predicted; 0 for logits.
        average: ``macro`` (mean over the defined labels) or ``micro`` (the decisions on all labels pooled).
        settings: of ``torchmetrics.Metric``.
    """

    def __init__(
        self,
        labels: Sequence[str] | int,
        families: Mapping[str, str] | None = None,
        *,
        threshold: float = 0.5,
        average: str = "macro",
        **settings: Any,
    ) -> None:
        """Start with nothing collected."""
        super().__init__(labels, families, **settings)
        if average not in ("macro", "micro"):
            raise UsageError(f"average: F1 is 'macro' or 'micro', not {average!r}.")
        self.threshold, self.average = threshold, average

    def _by_label(self, scores: Floats, targets: Bools, known: Bools) -> Doubles:
        return f1(targets, scores >= self.threshold, known=known)

    def _mean(self, values: Doubles, scores: Floats, targets: Bools, known: Bools) -> float:
        if self.average == "macro":
            return super()._mean(values, scores, targets, known)
        return float(f1_micro(targets, scores >= self.threshold, known=known))
