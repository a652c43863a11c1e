"""Data efficiency as a table, in three sentences, and as tidy rows."""

from __future__ import annotations

from itertools import permutations

from ....tasks.base import MINI_LABEL
from ...comparing.paired import Difference, Level
from ...views.tables import Rows, ViewTable
from ...views.words import span
from .measuring import SIZES, Efficiency, Pair
from .subsets import GROUPS, POSITIVES, WHOLE, Size

TENTH, FIVE = Size(GROUPS, 0.1), Size(POSITIVES, 5)
"""The sizes that the first sentence is about."""

ONLY_MINI = (
    "Mini music is rendered by rule: how little of it suffices, and where curves cross, says nothing of recordings."
)


def efficiency_table(found: Efficiency) -> ViewTable:
    """Return the score at every size, models within traditions, and below them what the pairs change."""
    rows = []
    for tradition, curves in found.curves.items():
        rows += [(tradition, model, *(span(points[size]) for size in SIZES)) for model, points in curves.items()]
        pairs = [pair for pair in found.pairs if pair.tradition == tradition]
        rows += [(tradition, f"{p.after} minus {p.before}", *(_change(p, size) for size in SIZES)) for p in pairs]
    few = ", ".join(f"{task} {count} of {total}" for task, (count, total) in found.short.items() if count)
    notes = [
        f"Scores: 0 at chance, 100 for a perfect ranking; each the mean of {found.draws} draws, with an interval of "
        "the test groups and of another draw. * told at a false discovery rate of 5 % among traditions and sizes."
    ]
    if few:
        notes.append(f"Labels with fewer than 20 training positives, which then have all of theirs: {few}.")
    if found.undefined:
        notes.append(f"In no mean, as the test split defines no label: {', '.join(found.undefined)}.")
    heads = ("tradition", "model", *(f"{s.short} pos." if s.unit == POSITIVES else s.short for s in SIZES))
    title = "Score by positives of every label, and by share of the training groups"
    return ViewTable.of(found, title, heads, rows, 2, notes)


def _change(pair: Pair, size: Size) -> str:
    change = pair.changes[size]
    return f"{'*' if pair.ahead(size) else ''}{span(_as_level(change), signed=True)}"


def sentences(found: Efficiency) -> list[str]:
    """Say how far little data goes, who leads and where models cross, and what this cannot say."""
    shares = [
        f"{name} has {span(kept[TENTH])} % of its full score with {TENTH.words}, {span(kept[FIVE])} % with {FIVE.words}"
        for name, kept in found.kept.items()
    ]
    return [f"In the mean over traditions, {'; '.join(shares)}.", _leads(found), _limits(found)]


def _leads(found: Efficiency) -> str:
    """Say where models cross, and else who is ahead wherever it can be told."""
    if not found.pairs:
        return "One model alone: nothing is compared."
    crossing, steady, untold = [], [], []
    for pair in found.pairs:
        crossing += [
            f"in {pair.tradition}, {pair.ahead(low)} is ahead with {low.words} and {pair.ahead(high)} with {high.words}"
            for low, high in pair.crossings
        ]
        leads = [(first, second, _where(pair, first)) for first, second in permutations((pair.before, pair.after))]
        if not any(where for *_, where in leads):
            untold.append(pair.tradition)
        elif not pair.crossings:
            steady += [
                f"{first} before {second} in {pair.tradition} ({where})" for first, second, where in leads if where
            ]
    text = f"They cross: {'; '.join(crossing)}." if crossing else "No two models are shown to cross."
    if steady:
        text += f" Shown to be ahead: {'; '.join(steady)}."
    return f"{text} At no size can it be told in {', '.join(dict.fromkeys(untold))}." if untold else text


def _where(pair: Pair, model: str) -> str:
    """Return at which sizes a model is shown to be ahead of the other: ``5, 20 positives; 50 % of the groups; all``."""
    told = [size for size in SIZES if pair.ahead(size) == model]
    positives, shares = (", ".join(s.short for s in told if s.unit == u and s != WHOLE) for u in (POSITIVES, GROUPS))
    parts = (positives and f"{positives} positives", shares and f"{shares} of the groups", WHOLE in told and "all")
    return "; ".join(part for part in parts if part)


def _limits(found: Efficiency) -> str:
    text = (
        "Hidden state and learning rate were chosen with all tracks, and validation is whole at every size: how much "
        "annotation a choice itself takes is not in this; half of the groups drawn twice share many, so that intervals "
        "at 50 % are somewhat narrow."
    )
    return f"{text} {ONLY_MINI}" if MINI_LABEL in found.warning else text


def efficiency_rows(found: Efficiency) -> Rows:
    """Return one row for each model, tradition and size, and for each difference; fractions."""
    about = {**found.setting.facts, "draws": found.draws}
    rows: list[dict[str, object]] = []
    for tradition, curves in found.curves.items():
        for model, points in curves.items():
            named = {**about, "tradition": tradition, "model": model, "minus": None}
            rows += [{**named, **_numbers(size, one, None)} for size, one in points.items()]
    for pair in found.pairs:
        named = {**about, "tradition": pair.tradition, "model": pair.after, "minus": pair.before}
        rows += [{**named, **_numbers(size, _as_level(one), one.judgement)} for size, one in pair.changes.items()]
    return rows


def _numbers(size: Size, one: Level, verdict: str | None) -> dict[str, object]:
    ends = {"value": one.value, "low": one.low, "high": one.high}
    return {"unit": size.unit, "amount": size.amount, **ends, "verdict": verdict, "reason": one.reason}


def _as_level(one: Difference) -> Level:
    return Level(one.change, one.low, one.high, one.reason)
