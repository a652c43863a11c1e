"""How evenly a model serves the traditions: the worst, the spread, and the rest of the world against the West."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from ...tasks.base import WESTERN, tradition_place
from ..records.evidence import Evidence
from ..records.setting import Setting
from ..scoring.intervals import Sample, fewest
from ..scoring.metrics import Doubles
from .compare import RESAMPLES
from .paired import Level, level, replicate_all
from .summary import mean_over_traditions, tradition_replicates

ROUNDING = 1e-9
"""Scores closer than this are the same."""


@dataclass(frozen=True)
class Equity:
    """One model over traditions; scores are 0 at chance and 1 for a perfect ranking (:mod:`.summary`).

    Attributes:
        model: its name.
        setting: that it was measured in.
        tasks: tradition -> tasks.
        traditions: tradition -> score.
        mean: over traditions, each once.
        worst: the tradition with the lowest score; ``None`` if all score the same, as anchors do.
        worst_share: share of resamples in which it is the worst too; ``None`` if no resample defines all scores.
        spread: best minus worst tradition.
        gap: mean of the other traditions minus the Western one; ``None`` if one of them was not measured.
    """

    model: str
    setting: Setting
    tasks: Mapping[str, tuple[str, ...]]
    traditions: Mapping[str, Level]
    mean: Level
    worst: str | None
    worst_share: float | None
    spread: Level
    gap: Level | None


def equity(found: Sequence[Evidence], resamples: int = RESAMPLES) -> Equity | None:
    """Judge how evenly one model serves the traditions.

    Args:
        found: its records with predictions, one for each task, of one edition, split and protocol.
        resamples: of the bootstrap.

    Returns:
        ``None`` where fewer than two traditions have a score: there is nothing to compare.

    Raises:
        UsageError: the records are of several models or were measured differently.
    """
    kinds = {(r.model.name, Setting.of(r), r.protocol.sha256) for r in (e.record for e in found)}
    if len(kinds) > 1:
        raise UsageError(f"Equity is of one model, edition, split and protocol, not of {len(kinds)} at once.")
    scores = {t: s for t, s in tradition_replicates(found, resamples).items() if not np.isnan(s[0])}
    if len(scores) < 2:
        return None
    scores = {t: scores[t] for t in sorted(scores, key=tradition_place)}
    sample = fewest([e.sample for e in found])
    model, setting, _ = kinds.pop()
    table = np.stack(list(scores.values()))
    drawn = table[:, 1 : table.shape[1] - sample.following]
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    worst = int(table[:, 0].argmin()) if np.ptp(table[:, 0]) > ROUNDING else None
    return Equity(
        model=model,
        setting=setting,
        tasks={t: tuple(e.record.task.name for e in found if e.record.task.tradition == t) for t in scores},
        traditions={t: level(s, _sample(found, t), most=1.0) for t, s in scores.items()},
        mean=level(mean_over_traditions(scores), sample, most=1.0),
        worst=None if worst is None else list(scores)[worst],
        worst_share=float((drawn.argmin(axis=0) == worst).mean()) if drawn.size and worst is not None else None,
        spread=level(table.max(axis=0) - table.min(axis=0), sample),
        gap=_gap(scores, sample),
    )


def _sample(found: Sequence[Evidence], tradition: str) -> Sample:
    return fewest([e.sample for e in found if e.record.task.tradition == tradition])


def _gap(scores: Mapping[str, Doubles], sample: Sample) -> Level | None:
    others = {t: s for t, s in scores.items() if t != WESTERN}
    if WESTERN not in scores or not others:
        return None
    return level(mean_over_traditions(others) - scores[WESTERN], sample)


def equities(found: Sequence[Evidence], resamples: int = RESAMPLES) -> tuple[Equity, ...]:
    """Judge every model in every edition, split and protocol that has two traditions or more; see :func:`equity`."""
    sides: dict[tuple[str, ...], dict[tuple[str, ...], Evidence]] = {}
    for e in found:
        task, protocol = e.record.task, e.record.protocol
        key = (task.edition, task.split, protocol.sha256, e.record.model.name, e.record.model.fingerprint)
        # A copy of a record in another folder counts once.
        sides.setdefault(key, {}).setdefault((task.name, task.split_sha256, task.label_sha256), e)
    replicate_all(found, resamples)
    judged = (equity(list(side.values()), resamples) for side in sides.values())
    return tuple(one for one in judged if one is not None)
