"""The paper in miniature: CultureMERT's claims, tested with the nano family on the ``mini`` edition.

The claims are those of arXiv 2506.17818 (abstract and model cards): adaptation gains on the four traditions, Western
music is hardly forgotten, task arithmetic is on par, two stages with re-warming and replay are how it is done. Models
that were trained differently show what each of these is worth; one that heard as much Western music instead shows how
much of the gain is training at all. Everything is measured by :mod:`...run`, like any other model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np

from ....baselines.nano import NANO_BASE
from ....errors import CmbenchError
from ....pretraining.family import FAMILY, MERGED, MULTI, FamilyModel
from ....tasks.base import MINI_LABEL, WESTERN
from ...comparing.compare import BOUND, RESAMPLES, TaskChange, compare
from ...comparing.paired import RANKED, Difference, control_false_discoveries, difference
from ...comparing.transfer import TransferMatrix, transfer_matrix
from ...records.evidence import Evidence
from ...records.setting import Setting
from ...scoring.intervals import fewest

_PARTS = ("greek", "turkish", "hindustani", "carnatic")

_STAGES = ("first", "second")
_CONSTANT = ("peak=2e-4", "warmup=0", "decay=constant")

NOT_WARMED = tuple(f"stages.{stage}.{change}" for stage in _STAGES for change in _CONSTANT)
"""The rate that re-decay ends at, all the way."""

ONLY_WESTERN = (
    *(f"stages.{stage}.hours.{part}=0" for stage in _STAGES for part in _PARTS),
    "stages.first.hours.western=0.2",
    "stages.second.hours.western=3.0",
)
"""As many updates, two thirds of them on Western music that MERT-nano has not heard: what CultureMERT-nano hears is new
to it too, so new music alone must not tell them apart."""


VARIATIONS: Mapping[FamilyModel, str] = {
    FamilyModel("one-stage-nano", "culturemert-nano-single-stage"): "one stage instead of two",
    FamilyModel("not-rewarmed-nano", "culturemert-nano", NOT_WARMED): "without re-warming",
    FamilyModel("no-replay-nano", "culturemert-nano", ("stages.first.hours.western=0",)): "without Western replay",
    FamilyModel("western-nano", "culturemert-nano", ONLY_WESTERN): "as many updates on Western music instead",
}
"""Models that were trained otherwise than CultureMERT-nano in one respect -> what is different."""

MODELS = tuple(member.name for member in FAMILY)


@dataclass(frozen=True)
class Claim:
    """A difference between two models over some tasks, mean of ROC-AUC and average precision.

    Attributes:
        key: the letter under which it is asked for.
        words: what is compared.
        before: name of the first model.
        after: name of the second.
        western: whether the tasks are the Western ones or the others.
    """

    key: str
    words: str
    before: str
    after: str
    western: bool


@dataclass(frozen=True)
class ClaimOutcome:
    """What came out of a claim.

    Attributes:
        claim: which.
        change: after minus before, judged.
        reported: the paper's change of the same models at full size, points; ``None`` where it reports none.
    """

    claim: Claim
    change: Difference
    reported: float | None = None


@dataclass(frozen=True)
class Reproduction:
    """Everything that was found.

    Attributes:
        findings: in the order of :func:`claims`.
        matrix: the family by tasks.
        seeds: of the probes.
        title: edition, split, protocol, the number of test tracks and of seeds.
        missing: models that were not evaluated.
        command: that was given.
        trained: model -> its folder, of those whose training can be drawn.
    """

    findings: tuple[ClaimOutcome, ...]
    matrix: TransferMatrix
    seeds: int
    title: str
    missing: tuple[str, ...] = ()
    command: str = ""
    trained: Mapping[str, Path] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """What must stand beside every number."""
        return MINI_LABEL


def claims() -> tuple[Claim, ...]:
    """Return what is compared, each on the four traditions and on Western music."""
    pairs = [
        ("ab", "adaptation to four traditions", NANO_BASE, MULTI),
        ("c", "task arithmetic instead of training on all", MULTI, MERGED),
        ("c", "task arithmetic against the base", NANO_BASE, MERGED),
        *(("e", words, MULTI, member.name) for member, words in VARIATIONS.items()),
        ("e", "more Western music against the base", NANO_BASE, "western-nano"),
    ]
    return tuple(
        Claim(key[-1] if western else key[0], words, before, after, western)
        for key, words, before, after in pairs
        for western in (False, True)
    )


# The paper's models, by their names in baselines/published.json.
_FULL_SIZE = {NANO_BASE: "MERT-v1-95M", MULTI: "CultureMERT-95M", MERGED: "CultureMERT-TA-95M"}


def reported_models(claim: Claim) -> tuple[str, str] | None:
    """Return the models of full size that a claim is about; ``None`` where the paper has none."""
    before, after = _FULL_SIZE.get(claim.before), _FULL_SIZE.get(claim.after)
    return None if before is None or after is None else (before, after)


def reported_change(claim: Claim) -> float | None:
    """Return what the paper reports for the models of full size, as a fraction; ``None`` where it does not.

    The change of the mean of ROC-AUC and AP over the tasks of :attr:`Claim.western`, from the table on the model card
    of ntua-slp/CultureMERT-95M, as in ``baselines/published.json``.
    """
    from ...comparing.transfer import reported_matrix

    names = reported_models(claim)
    if names is None:
        return None
    matrix = reported_matrix()
    chosen = [t for t in matrix.tasks if (matrix.traditions[t] == WESTERN) == claim.western]
    before, after = (
        [cell.mean for task in chosen if (cell := matrix.cells.get((name, task))) and cell.mean is not None]
        for name in names
    )
    if not len(before) == len(after) == len(chosen):
        return None
    return fmean(after) - fmean(before)


def evaluate_claims(evidence: Iterable[Evidence], resamples: int = RESAMPLES) -> Reproduction:
    """Compare models, claim by claim.

    Q-values are among all claims.

    Args:
        evidence: records of the family and, as far as they were made, the variations, with their predictions.
        resamples: of the paired bootstrap.

    Raises:
        CmbenchError: a model of the family has no record.
    """
    found: dict[str, list[Evidence]] = {}
    for one in evidence:
        found.setdefault(one.record.model.name, []).append(one)
    if absent := [name for name in MODELS if name not in found]:
        raise CmbenchError(f"There is no record of {', '.join(absent)}; `cmbench reproduce nano` makes them all.")
    asked = claims()
    known = [claim for claim in asked if claim.before in found and claim.after in found]
    judged = control_false_discoveries([_change(claim, found, resamples) for claim in known])
    record, seeds = found[NANO_BASE][0].record, len(found[NANO_BASE][0].probabilities)
    tracks = sorted({one.record.task.tracks["test"] for one in found[NANO_BASE]})
    return Reproduction(
        findings=tuple(ClaimOutcome(c, d, reported_change(c)) for c, d in zip(known, judged, strict=True)),
        matrix=transfer_matrix([e for name in MODELS for e in found[name]], NANO_BASE, resamples=resamples),
        seeds=seeds,
        title=f"{Setting.of(record).title} · "
        f"{'–'.join(map(str, dict.fromkeys([tracks[0], tracks[-1]])))} test tracks a task · {seeds} seeds",
        missing=tuple(sorted({claim.after for claim in asked} - found.keys())),
    )


def _change(claim: Claim, found: Mapping[str, Sequence[Evidence]], resamples: int) -> Difference:
    compared = compare(found[claim.before], found[claim.after], resamples=resamples, labels=False)
    tasks = [task for task in compared.tasks if (task.tradition == WESTERN) == claim.western]
    return mean_change(tasks)


def mean_change(tasks: Sequence[TaskChange]) -> Difference:
    """Return the change of the mean of ROC-AUC and average precision over tasks, each counted once.

    The resamples of different tasks are independent, so they are averaged row by row.

    Args:
        tasks: at least one.
    """
    before, after = (
        np.mean([task.replicates[metric][side] for task in tasks for metric in RANKED], axis=0) for side in (0, 1)
    )
    return difference(before, after, fewest([task.sample for task in tasks]), BOUND)
