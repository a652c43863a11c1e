"""Differences between two models on the same tracks: paired cluster bootstrap, detectable effects, equivalence.

Both models are scored on the same resamples of whole groups, so what makes a resample easy or hard cancels. Where the
chosen probes were also trained on resamples of the training groups, the same for both, each resample of the test split
is moved by what one of these trainings changes, and where few groups chose the input by what that may have cost
(:mod:`.choice`): errors are then of both samples. The interval of a difference is that of a score by the first rules
(:func:`..scoring.bootstrap.interval`). Of several pre-trainings the error takes in the spread. How often these
intervals hold is simulated by the tests; docs/statistics.md has the figures.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from ...processes import no_main_module, processes
from ..records.evidence import Evidence
from ..records.record import RANKED as RANKED
from ..scoring.bootstrap import cluster_weights, interval, offset, student
from ..scoring.intervals import Sample, label_groups, missing, rules_of, training_spread, training_turns
from ..scoring.metrics import Doubles, defined_labels, mean_of_defined, ranking_scores, sort_scores, weighted_scores
from .choice import choice_cost

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
        scores: metric -> ``[1 + resamples + 1, labels]``, NaN where a label lacks a positive or a negative; and as
            ``prevalence`` the share of positives. The last row is what another choice may have given.
        defined: labels that the split itself defines, ``[labels]``.
        sample: what was drawn from.
        held: groups that speak of each label, by the record's rules of intervals, ``[labels]``.
        each: metric -> scores of every pre-training on the split, ``[models, labels]``.
    """

    scores: dict[str, Doubles]
    defined: tuple[bool, ...]
    sample: Sample
    held: tuple[float, ...]
    each: dict[str, Doubles]

    def macro(self, metric: str, labels: Sequence[int] | None = None) -> Doubles:
        """Return the macro mean over the labels that each resample defines, ``[1 + resamples]``.

        Args:
            metric: ``roc_auc``, ``average_precision`` or ``prevalence``.
            labels: columns to average; all if not given. Columns that the split does not define are left out.
        """
        columns = [k for k in (range(len(self.defined)) if labels is None else labels) if self.defined[k]]
        return mean_of_defined(self.scores[metric][:, columns])

    def beside(self, other: Replicates, second: bool = False) -> Replicates:
        """Return these as one of a pair: the scores of several pre-trainings follow, those of either model.

        Args:
            other: of the pair.
            second: whether these are of the second model.
        """
        models = [len(side.each[RANKED[0]]) for side in ((other, self) if second else (self, other))]
        sample = replace(self.sample, models=(models[0], models[1]))
        mine = np.repeat([not second, second], [count if count > 1 else 0 for count in models])
        scores = {}
        for metric, rows in self.scores.items():
            following = np.repeat(rows[:1], len(mine), axis=0)
            if metric in self.each and mine.any():
                following[mine] = self.each[metric]
            scores[metric] = np.concatenate([rows, following])
        return replace(self, scores=scores, sample=sample)


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
        models: pre-trainings of either model that it is the mean over.
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
    models: tuple[int, int] = (1, 1)

    @property
    def rules(self) -> int:
        """Version of the rules of verdicts: by the second, errors take in the training sample and the choice."""
        return 2 if self.trainings else 1

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
    alone: dict[str, list[Doubles]] = {metric: [] for metric in RANKED}
    for probabilities in evidence.probabilities:
        prepared = sort_scores(evidence.targets, probabilities, evidence.record.task.labels, evidence.known)
        roc_auc, precision = weighted_scores(prepared, weights)
        # Average precision exists without negatives; a label without them is not judged by either metric.
        for metric, found in zip(RANKED, (roc_auc, np.where(np.isnan(roc_auc), np.nan, precision)), strict=True):
            total[metric] += found
            alone[metric].append(found[0])
    defined, _ = defined_labels(evidence.targets, evidence.known)
    seeds = len(evidence.probabilities)
    scores = {metric: sums / seeds for metric, sums in total.items()}
    shape = (evidence.models, -1, evidence.targets.shape[1])
    each = {metric: np.reshape(rows, shape).mean(axis=1) for metric, rows in alone.items()}
    cost = choice_cost(evidence, np.mean([mean_of_defined(scores[metric][1:]) for metric in RANKED], axis=0))
    if evidence.resampled is not None:
        turns = training_turns(resamples, evidence.sample.trainings, resample_seed(evidence))
        spread = np.array([ranking_scores(evidence.targets, p, known=evidence.known) for p in evidence.resampled])
        for k, metric in enumerate(RANKED):
            scores[metric][1:] += training_spread(spread[:, k].reshape(shape).mean(axis=0))[turns]
    known = np.ones((weights.shape[1], 1)) if evidence.known is None else evidence.known.astype(np.float64)
    prevalence = (weights @ evidence.targets.astype(np.float64)) / np.maximum(weights @ known, 1)
    scores["prevalence"] = np.where(np.isnan(total["roc_auc"]), np.nan, prevalence)
    version = rules_of(evidence.record.protocol.settings)
    scores = {name: np.concatenate([rows, rows[:1] + cost * (name in RANKED)]) for name, rows in scores.items()}
    held = label_groups(version, evidence.targets, evidence.groups, evidence.known).tolist()
    return Replicates(scores, tuple(map(bool, defined)), evidence.sample, tuple(held), each)


def level(samples: Doubles, sample: Sample, most: float = math.inf) -> Level:
    """Give a number its interval.

    Args:
        samples: ``[1 + resamples]``, the split itself first; NaN where a resample does not define the number.
        sample: that was drawn from; the poorest, where several splits enter.
        most: that the number can be: 1 of a score; a share of another score, or a difference, has no such end.
    """
    if math.isnan(samples[0]):
        return Level(None, reason=NOTHING_DEFINED)
    value, (drawn, _, each) = float(samples[0]), _parts(samples, sample)
    if reason := missing(drawn, sample.groups):
        return Level(value, reason=reason)
    if each.size:
        error, count = _with_models(_error(drawn, sample.fewer), sample.fewer, each, sample.models)
        low, high = _about(value, error, count, LEVEL)
    else:
        low, high = interval(drawn[~np.isnan(drawn)], value, LEVEL, sample.fewer)
    return Level(value, low, min(high, most))


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
        return Difference(None, None, None, reason=NOTHING_DEFINED, trainings=trainings, models=sample.models)
    first, second = float(before[0]), float(after[0])
    change = second - first
    drawn, gained, each = _parts(after - before, sample)
    if reason := missing(drawn, sample.groups):
        return Difference(first, second, change, reason=reason, trainings=trainings, models=sample.models)
    kept = drawn[~np.isnan(drawn)]
    error = _error(kept, groups)
    if gained.size and error > ROUNDING:
        # Only the model that scores less can have been robbed of its lead by its choice.
        side = before if change > 0 else after
        both = math.hypot(error, float(_parts(side, sample)[1][0] - side[0]))
        kept, error = change + (kept - change) * (both / error), both
    if each.size:
        error, groups = _with_models(error, groups, each, sample.models)
    if error < ROUNDING:
        # Every resample shows the same change: none between equal rankings, half of the scale from a constant to a
        # perfect one. Student's t of a change over no error is without bounds.
        none = abs(change) < ROUNDING
        exact = Difference(first, second, change, change, change, 0.0, float(none), None, 0.0, none and bound > 0)
        return replace(exact, trainings=trainings, models=sample.models)
    between = partial(_about, change, error, groups) if each.size else partial(_moved, kept, change, groups)
    (low, high), inner = between(LEVEL), between(1 - 2 * (1 - LEVEL))
    return Difference(
        before=first,
        after=second,
        change=change,
        low=low,
        high=high,
        standard_error=error,
        p_value=_p_value(kept[:0] if each.size else kept, change, groups, error),
        detectable=MARGIN * error * (student(groups, 0.5 + LEVEL / 2) + student(groups, POWER)),
        equivalent=-bound < inner[0] and inner[1] < bound,
        trainings=trainings,
        models=sample.models,
    )


def _parts(samples: Doubles, sample: Sample) -> tuple[Doubles, Doubles, Doubles]:
    """Return the draws, what another choice may have given (one number or none), and that of each pre-training."""
    end = len(samples) - sample.following
    return samples[1:end], samples[end : end + sample.choice], samples[end + sample.choice :]


def _error(drawn: Doubles, groups: float) -> float:
    return float(np.nanstd(drawn)) * math.sqrt(groups / (groups - 1))


def _with_models(error: float, groups: float, each: Doubles, models: tuple[int, int]) -> tuple[float, float]:
    """Let an error take in the spread of pre-trainings.

    The variance of a mean over ``n`` models is theirs over ``n``. Degrees of freedom of the sum of variances are those
    of Satterthwaite (1946), as in Welch's test of two means.

    Returns:
        The error, and one more than its degrees of freedom.
    """
    sides = np.split(each, [models[0] if models[0] > 1 else 0])
    parts = [(error**2, groups - 1)] + [(side.var(ddof=1) / len(side), len(side) - 1) for side in sides if side.size]
    total = sum(part for part, _ in parts)
    if total < ROUNDING**2:
        return 0.0, groups
    return math.sqrt(total), 1 + total**2 / sum(part**2 / freedom for part, freedom in parts)


def _about(value: float, error: float, groups: float, level: float) -> tuple[float, float]:
    away = student(groups, 0.5 + level / 2) * error
    return value - away, value + away


def _moved(drawn: Doubles, value: float, groups: float, level: float) -> tuple[float, float]:
    return interval(drawn, value, level, groups)


def _p_value(samples: Doubles, value: float, groups: float, error: float) -> float:
    """Two-sided p-value of no change: the larger of what the samples and what Student's t say.

    By the samples it is the smallest level at which the interval of the change leaves out zero; beyond the last sample,
    where a share cannot tell any more, t alone counts. So it does without samples.
    """
    from scipy.stats import t

    away = abs(value) / error
    if samples.size and samples.min() <= 0 <= samples.max():
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
