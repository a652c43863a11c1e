"""Whether probabilities mean what they say: reliability, expected calibration error, Brier score.

A forecast is the mean probability over seeds of one label on one test track; forecasts are pooled over the labels of a
family or of a task. They fall into 15 bins of equal width, as in Guo et al. 2017 (*On Calibration of Modern Neural
Networks*, section 2). The forecasts here are of single labels, so a bin compares the mean probability with the share
of tracks that carry the label, as in Naeini et al. 2015 (*Obtaining Well Calibrated Probabilities Using Bayesian
Binning*).

- Expected calibration error: the mean over forecasts of the distance between the two in their bin.
- Brier score: mean squared distance of probability and truth (Brier 1950). It is reliability - resolution + uncertainty
  (Murphy 1973, *A New Vector Partition of the Probability Score*) up to what differs within bins (Stephenson, Coelho
  and Jolliffe 2008, *Two Extra Components in the Brier Score Decomposition*), which is given as the remainder, so that
  the parts add up.
- Brier skill: 1 - Brier score / that of always saying the label's own prevalence in the test split. Rare labels have
  low Brier scores whatever is said of them; skill is above 0 only for what a model adds. Pooled resolution also rewards
  telling frequent labels from rare ones; skill does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...comparing.paired import resample_seed
from ...records.evidence import Evidence
from ...records.sections import ABSENT, Column, Row, Section, sections
from ...scoring.bootstrap import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_count, cluster_weights, interval
from ...scoring.metrics import Doubles
from ..base import Resamples
from ..tables import Rows, ViewTable, cell_facts, not_run
from ..words import percent, with_interval

ALL = "all labels"
BINS = 15
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Bin:
    """The forecasts in one bin of probability.

    Attributes:
        forecasts: how many.
        probability: their mean.
        observed: share of them that came true.
        interval: of that share, cluster bootstrap; ``None`` where the test split gives none.
    """

    forecasts: int
    probability: float
    observed: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Calibration:
    """How well the forecasts of some labels are calibrated. Brier score and its parts are squared probabilities.

    Attributes:
        family: of the labels, or :data:`ALL`.
        labels: how many.
        forecasts: tracks times labels.
        positives: forecasts that came true.
        bins: that hold a forecast, by rising probability.
        error: expected calibration error.
        floor: the error to be expected if every probability were true, for so many forecasts, were they independent.
        brier: Brier score.
        brier_interval: cluster bootstrap; ``None`` where the test split gives none.
        reliability: of the bins; 0 is best.
        resolution: of the bins; more is better.
        uncertainty: of the pooled truth.
        remainder: what differs within bins.
        skill: Brier skill against prevalence; ``None`` where no label has both a positive and a negative.
        skill_interval: as of the Brier score.
        reason: why there is no skill or no interval.
    """

    family: str
    labels: int
    forecasts: int
    positives: int
    bins: tuple[Bin, ...]
    error: float
    floor: float
    brier: float
    brier_interval: tuple[float, float] | None
    reliability: float
    resolution: float
    uncertainty: float
    remainder: float
    skill: float | None
    skill_interval: tuple[float, float] | None
    reason: str | None = None


@dataclass(frozen=True)
class CalibrationView:
    """Calibration for the records of one edition, split and protocol.

    Attributes:
        section: the records.
        found: model and task -> calibration of every family, then of all labels.
    """

    section: Section
    found: Mapping[tuple[Row, Column], tuple[Calibration, ...]]

    def of(self, row: Row, column: Column) -> tuple[Calibration, ...]:
        """Return what there is of a model on a task; nothing without a record."""
        return self.found.get((row, column), ())


def calibration_views(evidence: Sequence[Evidence], resamples: Resamples = RESAMPLES) -> tuple[CalibrationView, ...]:
    """Return the view for every edition, split and protocol.

    Args:
        evidence: records with their predictions.
        resamples: of the cluster bootstrap.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    by_record = {id(one.record): one for one in evidence}
    return tuple(
        CalibrationView(
            section,
            {
                (row, column): calibrations(by_record[id(record)], resamples)
                for column in section.columns
                for row, record in section.records_on(column)
            },
        )
        for section in sections(one.record for one in evidence)
    )


def calibrations(evidence: Evidence, resamples: int = RESAMPLES) -> tuple[Calibration, ...]:
    """Return the calibration of every family of a task, then of all its labels.

    Args:
        evidence: record and predictions.
        resamples: of the cluster bootstrap.
    """
    task = evidence.record.task
    families: dict[str, list[int]] = {}
    for k, label in enumerate(task.labels):
        families.setdefault(task.families[label], []).append(k)
    probabilities = evidence.probabilities.astype(np.float64).mean(axis=0)
    weights = _weights(evidence.groups, resamples, resample_seed(evidence))
    groups = cluster_count(evidence.groups)
    parts = [*families.items(), (ALL, list(range(len(task.labels))))]
    return tuple(
        calibrate(family, evidence.targets[:, columns], probabilities[:, columns], weights, groups)
        for family, columns in parts
    )


@lru_cache(maxsize=2)
def _weights(groups: tuple[str | None, ...], resamples: int, seed: int) -> Doubles:
    """Resamples of a test split, ``[resamples, tracks]``; models follow each other on the same one."""
    return cluster_weights(groups, resamples, seed).astype(np.float64)


def calibrate(family: str, targets: np.ndarray, probabilities: Doubles, weights: Doubles, groups: int) -> Calibration:
    """Judge the forecasts of some labels.

    Args:
        family: what the labels are called together.
        targets: ``[tracks, labels]``.
        probabilities: ``[tracks, labels]``, mean over seeds.
        weights: ``[resamples, tracks]``, how often each track is in each resample.
        groups: that the resamples were drawn from.
    """
    truth = targets.astype(np.float64)
    place = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    inside = place[:, :, None] == np.arange(BINS)
    # Sums of every track over its labels, [tracks, bins]: a resample of tracks is then one product.
    count, true = inside.sum(axis=1).astype(np.float64), np.einsum("tl,tlb->tb", truth, inside)
    filled = count.any(axis=0)
    n, share = count.sum(axis=0)[filled], true.sum(axis=0)[filled] / count.sum(axis=0)[filled]
    mean = np.einsum("tl,tlb->b", probabilities, inside)[filled] / n
    enough = groups >= MIN_CLUSTERS and len(weights) > 0
    spans = _share_intervals(count[:, filled], true[:, filled], weights, share) if enough else [None] * len(n)
    base = float(truth.mean())
    reliability = float((n * (mean - share) ** 2).sum() / truth.size)
    resolution = float((n * (share - base) ** 2).sum() / truth.size)
    brier, skill = _brier(truth, probabilities, np.ones((1, len(truth))))
    drawn, drawn_skill = _brier(truth, probabilities, weights)
    defined = not math.isnan(skill[0])
    skill_interval = _interval(drawn_skill, float(skill[0])) if enough and defined else None
    reason = None if skill_interval else "no interval of the skill: too few resamples have positives and negatives"
    if not enough:
        reason = f"no interval: fewer than {MIN_CLUSTERS} groups ({groups})"
    if not defined:
        reason = "no skill: no label has both a positive and a negative in the test split"
    return Calibration(
        family=family,
        labels=targets.shape[1],
        forecasts=truth.size,
        positives=int(truth.sum()),
        bins=tuple(map(Bin, n.astype(int).tolist(), mean.tolist(), share.tolist(), spans)),
        error=float((n * np.abs(mean - share)).sum() / truth.size),
        floor=_floor(probabilities, place),
        brier=float(brier[0]),
        brier_interval=_interval(drawn, float(brier[0])) if enough else None,
        reliability=reliability,
        resolution=resolution,
        uncertainty=base * (1 - base),
        remainder=float(brier[0]) - (reliability - resolution + base * (1 - base)),
        skill=float(skill[0]) if defined else None,
        skill_interval=skill_interval,
        reason=reason,
    )


def _brier(truth: Doubles, probabilities: Doubles, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Return Brier score and skill of every resample, ``[resamples]``; skill is NaN where no label varies.

    Args:
        truth: ``[tracks, labels]``.
        probabilities: ``[tracks, labels]``.
        weights: ``[resamples, tracks]``.
    """
    tracks = weights.sum(axis=1)
    score = (weights @ ((probabilities - truth) ** 2).mean(axis=1)) / tracks
    prevalence = (weights @ truth) / tracks[:, None]
    reference = (prevalence * (1 - prevalence)).mean(axis=1)
    ratio = np.divide(score, reference, out=np.full(len(score), np.nan), where=reference > 0)
    return score, 1.0 - ratio


def _floor(probabilities: Doubles, place: np.ndarray) -> float:
    """Return the expected calibration error of forecasts that are true, were they independent.

    The sum of a bin's n forecasts then has variance sum p (1 - p); the mean distance of a normal variable from its mean
    is sqrt(2 / pi) standard deviations.
    """
    variance = np.bincount(place.ravel(), (probabilities * (1 - probabilities)).ravel(), BINS)
    return float(np.sqrt(2 * variance / math.pi).sum() / probabilities.size)


def _share_intervals(
    count: Doubles, true: Doubles, weights: Doubles, share: Doubles
) -> list[tuple[float, float] | None]:
    """Intervals of the share that came true in each bin; ``None`` where too few resamples have a forecast in it.

    Args:
        count: forecasts of each track in each bin, ``[tracks, bins]``.
        true: those that came true.
        weights: ``[resamples, tracks]``.
        share: of the split itself, ``[bins]``.
    """
    drawn, hits = weights @ count, weights @ true
    found: list[tuple[float, float] | None] = []
    for k, value in enumerate(share.tolist()):
        shares = np.divide(hits[:, k], drawn[:, k], out=np.full(len(drawn), np.nan), where=drawn[:, k] > 0)
        found.append(_interval(shares, value))
    return found


def _interval(samples: Doubles, value: float) -> tuple[float, float] | None:
    """Interval of a score from its resamples; ``None`` where too few of them define it."""
    kept = samples[~np.isnan(samples)]
    return interval(kept, value, LEVEL) if kept.size >= MIN_DEFINED_SHARE * samples.size else None


HEADS = (
    "model",
    "family",
    "forecasts",
    "true",
    "ECE",
    "floor",
    "Brier",
    "reliability",
    "resolution",
    "uncertainty",
    "within\nbins",
    "skill",
)

LEGEND = (
    f"ECE: expected calibration error, {BINS} bins of equal width; floor: its size if all were true. Brier: "
    "lower is better, = reliability - resolution + uncertainty + what differs within bins. "
    "skill: against always saying each label's prevalence; 0 or less: no better."
)


def calibration_tables(view: CalibrationView) -> list[ViewTable]:
    """Return a table for each task: models by families."""
    tables = []
    for column in view.section.columns:
        found = [(row, one) for row in view.section.rows for one in view.of(row, column)]
        reasons = [f"{row.name}, {one.family}: {one.reason}." for row, one in found if one.reason]
        tables.append(
            ViewTable.of(
                view.section,
                f"{column.name}: calibration of mean probabilities over seeds, percent "
                f"[95 % cluster-bootstrap interval], n={column.test_tracks} test tracks",
                HEADS,
                [(row.name, one.family, str(one.forecasts), str(one.positives), *_numbers(one)) for row, one in found],
                keys=2,
                notes=(*not_run(view.section, column), *reasons, LEGEND),
            )
        )
    return tables


def _numbers(one: Calibration) -> tuple[str, ...]:
    skill = ABSENT if one.skill is None else f"{100 * one.skill:.1f}"
    if one.skill_interval:
        skill += f" [{100 * one.skill_interval[0]:.1f}, {100 * one.skill_interval[1]:.1f}]"
    parts = (one.reliability, one.resolution, one.uncertainty)
    return (
        percent(one.error),
        percent(one.floor),
        with_interval(one.brier, one.brier_interval),
        *(percent(part, 2) for part in parts),
        f"{100 * one.remainder:+.2f}",
        skill,
    )


def calibration_rows(view: CalibrationView) -> Rows:
    """Return one row for each model, task and family, as fractions."""
    rows = []
    for column, row, one in _each(view):
        low, high = one.brier_interval or (None, None)
        skill_low, skill_high = one.skill_interval or (None, None)
        numbers = {
            "family": one.family,
            "labels": one.labels,
            "test_tracks": column.test_tracks,
            "forecasts": one.forecasts,
            "positives": one.positives,
            "bins": BINS,
            "ece": one.error,
            "ece_floor": one.floor,
            "brier": one.brier,
            "brier_low": low,
            "brier_high": high,
            "reliability": one.reliability,
            "resolution": one.resolution,
            "uncertainty": one.uncertainty,
            "within_bins": one.remainder,
            "skill": one.skill,
            "skill_low": skill_low,
            "skill_high": skill_high,
            "reason": one.reason,
        }
        rows.append(cell_facts(view.section, row, column) | numbers)
    return rows


def bin_rows(view: CalibrationView) -> Rows:
    """Return one row for each model, task, family and bin."""
    return [
        cell_facts(view.section, row, column)
        | {
            "family": one.family,
            "forecasts": found.forecasts,
            "probability": found.probability,
            "observed": found.observed,
            "low": found.interval[0] if found.interval else None,
            "high": found.interval[1] if found.interval else None,
        }
        for column, row, one in _each(view)
        for found in one.bins
    ]


def _each(view: CalibrationView) -> Iterator[tuple[Column, Row, Calibration]]:
    for column in view.section.columns:
        for row in view.section.rows:
            for one in view.of(row, column):
                yield column, row, one
