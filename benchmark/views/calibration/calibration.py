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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ...comparing.compare import RESAMPLES
from ...comparing.paired import LEVEL, Level, resample_seed
from ...records.evidence import Evidence
from ...scoring.bootstrap import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_count, cluster_weights, interval
from ...scoring.metrics import Doubles
from ..base import Resamples
from ..judged import ByCell, judged
from ..tables import Rows, ViewTable, cell_facts, not_run
from ..words import ALL, percent, points, span

BINS = 15


@dataclass(frozen=True)
class Bin:
    """The forecasts in one bin of probability."""

    forecasts: int  # how many
    probability: float  # their mean
    observed: float  # share of them that came true
    low: float | None  # lower end of its interval, cluster bootstrap; ``None`` where the test split gives none
    high: float | None  # upper end


@dataclass(frozen=True)
class Calibration:
    """How well the forecasts of some labels are calibrated. Brier score and its parts are squared probabilities."""

    family: str  # of the labels, or :data:`ALL`
    labels: int  # how many
    forecasts: int  # tracks times labels
    positives: int  # forecasts that came true
    bins: tuple[Bin, ...]  # that hold a forecast, by rising probability
    ece: float  # expected calibration error
    # the error to be expected of so many forecasts if every probability were true, were they independent
    ece_floor: float
    brier: Level  # Brier score, with its cluster-bootstrap interval where the test split gives one
    reliability: float  # of the bins; 0 is best
    resolution: float  # of the bins; more is better
    uncertainty: float  # of the pooled truth
    within_bins: float  # what differs within bins
    skill: Level  # Brier skill against prevalence; without a value where no label has both a positive and a negative
    reason: str | None = None  # why there is no skill or no interval


CalibrationView = ByCell[Calibration]
"""Calibration of every family, then of all labels."""


def calibration_views(evidence: Sequence[Evidence], resamples: Resamples = RESAMPLES) -> tuple[CalibrationView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return judged(evidence, partial(calibrations, resamples=resamples))


def calibrations(evidence: Evidence, resamples: int = RESAMPLES) -> tuple[Calibration, ...]:
    """Return the calibration of every family of a task, then of all its labels."""
    task = evidence.record.task
    probabilities = evidence.probabilities.astype(np.float64).mean(axis=0)
    weights = _weights(evidence.groups, resamples, resample_seed(evidence))
    groups = cluster_count(evidence.groups)
    known = np.ones_like(evidence.targets) if evidence.known is None else evidence.known
    return tuple(
        calibrate(family, evidence.targets[:, columns], probabilities[:, columns], weights, groups, known[:, columns])
        for family, columns in [*task.columns().items(), (ALL, list(range(len(task.labels))))]
        if known[:, columns].any()
    )


@lru_cache(maxsize=2)
def _weights(groups: tuple[str | None, ...], resamples: int, seed: int) -> Doubles:
    """Resamples of a test split, ``[resamples, tracks]``; models follow each other on the same one."""
    return cluster_weights(groups, resamples, seed).astype(np.float64)


def calibrate(
    family: str,  # what the labels are called together
    targets: np.ndarray,  # ``[tracks, labels]``
    probabilities: Doubles,  # ``[tracks, labels]``, mean over seeds
    weights: Doubles,  # ``[resamples, tracks]``, how often each track is in each resample
    groups: int,  # that the resamples were drawn from
    known: np.ndarray | None = None,  # ``[tracks, labels]``, the forecasts that can be judged; all if not given
) -> Calibration:
    """Judge the forecasts of some labels."""
    truth, known = targets.astype(np.float64), np.ones(targets.shape, dtype=bool) if known is None else known
    forecasts = int(known.sum())
    place = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    inside = (place[:, :, None] == np.arange(BINS)) & known[:, :, None]
    # Sums of every track over its labels, [tracks, bins]: a resample of tracks is then one product.
    count, true = inside.sum(axis=1).astype(np.float64), np.einsum("tl,tlb->tb", truth, inside)
    filled = count.any(axis=0)
    n, share = count.sum(axis=0)[filled], true.sum(axis=0)[filled] / count.sum(axis=0)[filled]
    mean = np.einsum("tl,tlb->b", probabilities, inside)[filled] / n
    enough = groups >= MIN_CLUSTERS and len(weights) > 0
    hits, drawn = weights @ true[:, filled], weights @ count[:, filled]
    shares = np.divide(hits, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)
    levels = [_level(value, shares[:, k], enough) for k, value in enumerate(share.tolist())]
    base = float(truth.sum() / forecasts)
    reliability = float((n * (mean - share) ** 2).sum() / forecasts)
    resolution = float((n * (share - base) ** 2).sum() / forecasts)
    (whole, drawn_brier), (whole_skill, drawn_skill) = zip(
        _brier(truth, probabilities, np.ones((1, len(truth))), known),
        _brier(truth, probabilities, weights, known),
        strict=True,
    )
    brier, skill = _level(float(whole[0]), drawn_brier, enough), _level(float(whole_skill[0]), drawn_skill, enough)
    return Calibration(
        family=family,
        labels=targets.shape[1],
        forecasts=forecasts,
        positives=int(truth.sum()),
        bins=tuple(
            Bin(round(size), said, came, level.low, level.high)
            for size, said, came, level in zip(n.tolist(), mean.tolist(), share.tolist(), levels, strict=True)
        ),
        ece=float((n * np.abs(mean - share)).sum() / forecasts),
        ece_floor=_floor(probabilities[known], place[known]),
        brier=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=base * (1 - base),
        within_bins=float(whole[0]) - (reliability - resolution + base * (1 - base)),
        skill=skill,
        reason=_why_not(skill, enough, groups),
    )


def _why_not(skill: Level, enough: bool, groups: int) -> str | None:
    """Say why there is no skill, or no interval."""
    if skill.value is None:
        return "no skill: no label has both a positive and a negative in the test split"
    if not enough:
        return f"no interval: fewer than {MIN_CLUSTERS} groups ({groups})"
    return "no interval of the skill: too few resamples have positives and negatives" if skill.low is None else None


def _brier(truth: Doubles, probabilities: Doubles, weights: Doubles, known: np.ndarray) -> tuple[Doubles, Doubles]:
    """Return Brier score and skill of every resample, ``[resamples]``; skill is NaN where no label varies.

    ``truth``, ``probabilities`` and ``known`` are ``[tracks, labels]``, ``weights`` ``[resamples, tracks]``.
    """
    judged = weights @ known.astype(np.float64)
    forecasts = judged.sum(axis=1)
    score = (weights @ np.where(known, (probabilities - truth) ** 2, 0.0).sum(axis=1)) / np.maximum(forecasts, 1)
    prevalence = (weights @ truth) / np.maximum(judged, 1)
    reference = (judged * prevalence * (1 - prevalence)).sum(axis=1) / np.maximum(forecasts, 1)
    ratio = np.divide(score, reference, out=np.full(len(score), np.nan), where=reference > 0)
    return score, 1.0 - ratio


def _floor(probabilities: Doubles, place: np.ndarray) -> float:
    """Return the expected calibration error of forecasts that are true, were they independent.

    The sum of a bin's n forecasts then has variance sum p (1 - p); the mean distance of a normal variable from its mean
    is sqrt(2 / pi) standard deviations.
    """
    variance = np.bincount(place.ravel(), (probabilities * (1 - probabilities)).ravel(), BINS)
    return float(np.sqrt(2 * variance / math.pi).sum() / probabilities.size)


def _level(value: float, drawn: Doubles, enough: bool) -> Level:
    """Give a score the interval of its resamples, if there are enough groups and enough of them define it."""
    if math.isnan(value):
        return Level(None)
    kept = drawn[~np.isnan(drawn)]
    if not enough or kept.size < MIN_DEFINED_SHARE * drawn.size:
        return Level(value)
    return Level(value, *interval(kept, value, LEVEL))


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
        found = view.on(column)
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
    parts = (one.reliability, one.resolution, one.uncertainty)
    return (
        percent(one.ece),
        percent(one.ece_floor),
        span(one.brier),
        *(percent(part, 2) for part in parts),
        points(one.within_bins, 2),
        span(one.skill),
    )


def calibration_rows(view: CalibrationView) -> Rows:
    """Return one row for each model, task and family, as fractions."""
    rows = []
    for column, row, one in view.each():
        numbers: dict[str, object] = {}
        for name, value in (vars(one) | {"bins": BINS}).items():
            if isinstance(value, Level):
                numbers |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                numbers[name] = value
        first = {"family": one.family, "labels": one.labels, "test_tracks": column.test_tracks}
        rows.append(cell_facts(view.section, row, column) | first | numbers)
    return rows


def bin_rows(view: CalibrationView) -> Rows:
    """Return one row for each model, task, family and bin."""
    return [
        cell_facts(view.section, row, column) | {"family": one.family} | vars(found)
        for column, row, one in view.each()
        for found in one.bins
    ]
