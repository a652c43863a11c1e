"""Differences between two models on the same tracks: paired cluster bootstrap, detectable effects, equivalence.

Both models are scored on the same resamples of whole groups, so what makes a resample easy or hard cancels. Where the
chosen probes were also trained on resamples of the training groups, the same for both, each resample of the test split
is moved by what one of these trainings changes: errors are then of both samples. The interval of a difference is that
of a score by the first rules (:func:`..scoring.bootstrap.interval`). How often these intervals hold is simulated by the
tests; docs/statistics.md has the figures.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from ...processes import no_main_module, processes
from ..records.evidence import Evidence
from ..records.record import RANKED as RANKED
from ..scoring.bootstrap import cluster_weights, interval, offset, student
from ..scoring.intervals import Sample, label_groups, missing, rules_of, training_spread, training_turns
from ..scoring.metrics import Doubles, defined_labels, mean_of_defined, ranking_scores, sort_scores, weighted_scores

LEVEL = 0.95
"""Of the intervals; tests are at one minus this."""

POWER = 0.8
"""Of the minimum detectable effect."""

MARGIN = 1.05
"""On the minimum detectable effect: without it the simulation of 20 groups finds 78 % and not 80 % (our choice)."""

ROUNDING = 1e-12
"""Changes and errors smaller than this are rounding."""

NOTHING_DEFINED = "no label is defined"

TEST_ONLY = "test sample only"
"""What is said beside a verdict that takes the training tracks as given."""

_WORTHWHILE = 2e9
"""Probabilities times resamples from which processes of their own pay: about four seconds of one core."""

_KNOWN: WeakKeyDictionary[Evidence, dict[int, Replicates]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Replicates:
    """Scores of one model on a test split (row 0) and on its resamples, mean over seeds.

    Attributes:
        scores: metric -> ``[1 + resamples, labels]``, NaN where a label lacks a positive or a negative; and as
            ``prevalence`` the share of positives.
        defined: labels that the split itself defines, ``[labels]``.
        sample: what was drawn from.
        held: groups that speak of each label, by the record's rules of intervals, ``[labels]``.
    """

    scores: dict[str, Doubles]
    defined: tuple[bool, ...]
    sample: Sample
    held: tuple[float, ...]

    def macro(self, metric: str, labels: Sequence[int] | None = None) -> Doubles:
        """Return the macro mean over the labels that each resample defines, ``[1 + resamples]``.

        Args:
            metric: ``roc_auc``, ``average_precision`` or ``prevalence``.
            labels: columns to average; all if not given. Columns that the split does not define are left out.
        """
        columns = [k for k in (range(len(self.defined)) if labels is None else labels) if self.defined[k]]
        return mean_of_defined(self.scores[metric][:, columns])


@dataclass(frozen=True)
class Level:
    """A number from replicates, with its interval.

    Attributes:
        value: of the split itself; ``None`` where it is not defined.
        low: lower end of the interval; ``None`` where there is none.
        high: upper end.
        reason: why something is ``None``.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Difference:
    """After minus before, as fractions.

    Attributes:
        before: score of the first model; ``None`` where it is not defined.
        after: score of the second.
        change: after minus before.
        low: lower end of the interval of the change; ``None`` where there is none.
        high: upper end.
        standard_error: of the change.
        p_value: two-sided, of no change.
        q_value: after control of the false discovery rate among the differences it was judged with.
        detectable: smallest true change that such a test split finds with 80 % power.
        equivalent: whether the change is shown to lie within the bound (two one-sided tests at 5 %).
        reason: why something is ``None``.
        trainings: resamples of the training tracks that the error takes in; with 0 it is of the test sample only.
    """

    before: float | None
    after: float | None
    change: float | None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    detectable: float | None = None
    equivalent: bool = False
    reason: str | None = None
    trainings: int = 0

    @property
    def judgement(self) -> str:
        """The verdict, with :data:`TEST_ONLY` where its error is no more than that."""
        return self.verdict if self.trainings else f"{self.verdict}, {TEST_ONLY}"

    @property
    def verdict(self) -> str:
        """``gained``, ``lost``, ``kept`` (shown to lie within the bound) or ``cannot tell``."""
        if self.change is not None and self.q_value is not None and self.q_value <= 1 - LEVEL:
            return "gained" if self.change > 0 else "lost"
        return "kept" if self.equivalent else "cannot tell"


def resample_seed(evidence: Evidence) -> int:
    """Seed of the resamples of one test split: the same for every model, another for every task."""
    task = evidence.record.task
    return int(hashlib.sha256(f"{task.name} {task.split_sha256}".encode()).hexdigest()[:12], 16)


def replicate(evidence: Evidence, resamples: int) -> Replicates:
    """Score a model on its test split and on resamples of its groups; computed once for each object.

    Args:
        evidence: record and predictions.
        resamples: how many; the same for every model that it is to be compared with.
    """
    known = _KNOWN.setdefault(evidence, {})
    if resamples not in known:
        known[resamples] = _replicate(evidence, resamples)
    return known[resamples]


def replicate_all(found: Iterable[Evidence], resamples: int, workers: int | None = None) -> None:
    """Compute the replicates of many records at once, so that :func:`replicate` has them at hand.

    Args:
        found: records with predictions.
        resamples: how many.
        workers: processes, used where there is more work than starting them takes; the processors if not given.
    """
    workers = workers or os.cpu_count() or 1
    waiting = [e for e in found if resamples not in _KNOWN.get(e, {})]
    if workers <= 1 or len(waiting) < 2 or sum(e.probabilities.size for e in waiting) * resamples < _WORTHWHILE:
        return
    # The largest first, so that no process ends long after the others.
    waiting.sort(key=lambda e: -e.probabilities.size)
    with processes(min(workers, len(waiting))) as pool:
        with no_main_module():
            futures = [pool.submit(_replicate, e, resamples) for e in waiting]
        for evidence, future in zip(waiting, futures, strict=True):
            _KNOWN.setdefault(evidence, {})[resamples] = future.result()


def _replicate(evidence: Evidence, resamples: int) -> Replicates:
    weights = cluster_weights(evidence.groups, resamples, resample_seed(evidence))
    weights = np.concatenate([np.ones((1, weights.shape[1]), weights.dtype), weights])
    total = {metric: np.zeros((1 + resamples, evidence.targets.shape[1])) for metric in RANKED}
    for probabilities in evidence.probabilities:
        prepared = sort_scores(evidence.targets, probabilities, evidence.record.task.labels, evidence.known)
        roc_auc, precision = weighted_scores(prepared, weights)
        total["roc_auc"] += roc_auc
        # Average precision exists without negatives; a label without them is not judged by either metric.
        total["average_precision"] += np.where(np.isnan(roc_auc), np.nan, precision)
    defined, _ = defined_labels(evidence.targets, evidence.known)
    seeds = len(evidence.probabilities)
    scores = {metric: sums / seeds for metric, sums in total.items()}
    if evidence.resampled is not None:
        turns = training_turns(resamples, evidence.sample.trainings, resample_seed(evidence))
        spread = np.array([ranking_scores(evidence.targets, p, known=evidence.known) for p in evidence.resampled])
        for k, metric in enumerate(RANKED):
            scores[metric][1:] += training_spread(spread[:, k])[turns]
    known = np.ones((weights.shape[1], 1)) if evidence.known is None else evidence.known.astype(np.float64)
    prevalence = (weights @ evidence.targets.astype(np.float64)) / np.maximum(weights @ known, 1)
    scores["prevalence"] = np.where(np.isnan(total["roc_auc"]), np.nan, prevalence)
    version = rules_of(evidence.record.protocol.settings)
    held = label_groups(version, evidence.targets, evidence.groups, evidence.known).tolist()
    return Replicates(scores, tuple(map(bool, defined)), evidence.sample, tuple(held))


def level(samples: Doubles, sample: Sample) -> Level:
    """Give a number its interval.

    Args:
        samples: ``[1 + resamples]``, the split itself first; NaN where a resample does not define the number.
        sample: that was drawn from; the poorest, where several splits enter.
    """
    if math.isnan(samples[0]):
        return Level(None, reason=NOTHING_DEFINED)
    value, drawn = float(samples[0]), samples[1:]
    if reason := missing(drawn, sample.groups):
        return Level(value, reason=reason)
    return Level(value, *interval(drawn[~np.isnan(drawn)], value, LEVEL, sample.fewer))


def difference(before: Doubles, after: Doubles, sample: Sample, bound: float) -> Difference:
    """Judge a difference from paired replicates.

    Args:
        before: ``[1 + resamples]``, the split itself first; NaN where a resample does not define the score.
        after: of the other model, on the same resamples.
        sample: that was drawn from; the poorest, where several splits enter.
        bound: changes smaller than this are equivalent, as a fraction.
    """
    groups, trainings = sample.fewer, sample.trainings
    if math.isnan(before[0]) or math.isnan(after[0]):
        return Difference(None, None, None, reason=NOTHING_DEFINED, trainings=trainings)
    first, second = float(before[0]), float(after[0])
    change = second - first
    drawn = (after - before)[1:]
    if reason := missing(drawn, sample.groups):
        return Difference(first, second, change, reason=reason, trainings=trainings)
    kept = drawn[~np.isnan(drawn)]
    error = float(kept.std()) * math.sqrt(groups / (groups - 1))
    if error < ROUNDING:
        # Every resample shows the same change: none between equal rankings, half of the scale from a constant to a
        # perfect one. Student's t of a change over no error is without bounds.
        none = abs(change) < ROUNDING
        exact = Difference(first, second, change, change, change, 0.0, float(none), None, 0.0, none and bound > 0)
        return replace(exact, trainings=trainings)
    low, high = interval(kept, change, LEVEL, groups)
    inner = interval(kept, change, 1 - 2 * (1 - LEVEL), groups)
    return Difference(
        before=first,
        after=second,
        change=change,
        low=low,
        high=high,
        standard_error=error,
        p_value=_p_value(kept, change, groups, error),
        detectable=MARGIN * error * (student(groups, 0.5 + LEVEL / 2) + student(groups, POWER)),
        equivalent=-bound < inner[0] and inner[1] < bound,
        trainings=trainings,
    )


def _p_value(samples: Doubles, value: float, groups: float, error: float) -> float:
    """Two-sided p-value of no change: the larger of what the samples and what Student's t say.

    By the samples it is the smallest level at which the interval of the change leaves out zero; beyond the last sample,
    where a share cannot tell any more, t alone counts.
    """
    from scipy.stats import t

    away = abs(value) / error
    if samples.min() <= 0 <= samples.max():
        away = min(away, abs(offset(samples, 0.0) - offset(samples, value)) / math.sqrt(groups / (groups - 1)))
    return float(2 * t.sf(away, groups - 1))


def control_false_discoveries(differences: Sequence[Difference]) -> list[Difference]:
    """Fill in the q-values of differences that are judged together (Benjamini and Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    tested = [d.p_value for d in differences if d.p_value is not None]
    adjusted = iter(false_discovery_control(tested).tolist() if tested else ())
    return [d if d.p_value is None else replace(d, q_value=next(adjusted)) for d in differences]


def control_by_metric(changes: Sequence[Mapping[str, Difference]]) -> list[dict[str, Difference]]:
    """Fill in the q-values of differences by metric, those of one metric judged together."""
    judged = {metric: control_false_discoveries([change[metric] for change in changes]) for metric in RANKED}
    return [{metric: judged[metric][i] for metric in RANKED} for i in range(len(changes))]
