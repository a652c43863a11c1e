"""Where families live, and labels across traditions: as tables, in three sentences, and as tidy rows."""

from __future__ import annotations

from collections.abc import Sequence

from ....tasks.base import MINI_LABEL
from ...records.sections import ABSENT
from ...views.tables import Rows, ViewTable
from ...views.words import points, span
from .measuring import Home, Where
from .probes import LINEAR, PROBES
from .shared import SHARED, Across, Carried

ONLY_MINI = (
    "Mini music is rendered by rule, its voices and fiddles by the same synthesis everywhere: which state holds what, "
    "and what carries over, says nothing of recordings."
)


def home_table(found: Where) -> ViewTable:
    """Return for each family and model the best state by each probe, and those that it cannot be told from."""
    rows = []
    for family in found.families:
        for model in found.models:
            homes = [found.home(model, family, probe) for probe in PROBES if _has(found, model, family)]
            if homes:
                rows.append((family, model, *(cell for home in homes for cell in _cells(home))))
    heads = ("family", "model", *(f"{probe}\n{what}" for probe in PROBES for what in ("best state", "score", "may be")))
    notes = (
        "Scores on test: 0 at chance, 100 for a perfect ranking, mean over the tasks that have the family; intervals "
        f"of test groups and {found.trainings} trainings. May be: states not shown to be worse than another, at a "
        "false discovery rate of 5 % among all pairs of a model and probe.",
    )
    return ViewTable.of(found, "Where each family lives: probes on every hidden state", heads, rows, 2, notes)


def _has(found: Where, model: str, family: str) -> bool:
    return any((home.model, home.family) == (model, family) for home in found.homes)


def _cells(home: Home) -> tuple[str, str, str]:
    if home.best is None:
        return (ABSENT, ABSENT, ABSENT)
    return home.states[home.best], span(home.levels[home.best]), _states(home)


def _states(home: Home) -> str:
    """Return the states that may be the best: ``layer_2``, ``layer_1, layer_3``, ``all 5``."""
    if len(home.possible) == len(home.states):
        return "the only one" if len(home.states) == 1 else f"all {len(home.states)}"
    return ", ".join(home.states[k] for k in home.possible)


def across_table(found: Where) -> ViewTable:
    """Return the matrix: what a probe that learnt in one tradition (row) ranks in another (column)."""
    tasks = list(dict.fromkeys(task for one in found.across for task in one.traditions))
    rows = []
    for one in found.across:
        for source in one.traditions:
            cells = (one.cell(source, task) if task in one.traditions else None for task in tasks)
            rows.append((one.label, one.model, source, one.states[source], *map(_carried, cells)))
    words = "; ".join(f"{label}: {', '.join(dict.fromkeys(names.values()))}" for label, names in SHARED.items())
    notes = (
        "Linear probe of the row's task, in the state that its validation chose, on the column's test tracks. * worse "
        "than the column's own probe, + better, = within a point; unmarked: cannot be told.",
        f"Labels that count as the same: {words}.",
    )
    heads = ("label", "model", "learnt on", "state", *tasks)
    return ViewTable.of(found, "Labels across traditions: ROC-AUC, percent", heads, rows, 4, notes)


def _carried(one: Carried | None) -> str:
    if one is None:
        return ABSENT
    return f"{MARKS[one.change.verdict] if one.change else ''}{span(one.score)}"


MARKS = {"lost": "*", "gained": "+", "kept": "=", "cannot tell": ""}
"""Of the verdict on a probe from elsewhere, against the task's own."""


def sentences(found: Where) -> list[str]:
    """Say which state holds what, what carries over, and what this cannot say."""
    return [_lives(found), _carries(found.across), _limits(found)]


def _lives(found: Where) -> str:
    """Say for each model with several states which can be told to hold a family, by the linear probe."""
    parts = []
    for model in found.models:
        homes = [home for home in found.homes if home.model == model and home.probe == LINEAR]
        told = [home for home in homes if 0 < len(home.possible) < len(home.states)]
        untold = ", ".join(home.family for home in homes if home not in told)
        said = [f"{home.family} in {_states(home).replace(', ', ' or ')}{_agree(found, home)}" for home in told]
        if len(homes[0].states) == 1:
            parts.append(f"{model} has one hidden state alone")
        elif said:
            parts.append(f"{model} has {'; '.join(said)}{f'; of {untold} it cannot be told' if untold else ''}")
        else:
            parts.append(f"of {model} no family can be told to live anywhere")
    return f"Where families live by the linear probe: {'; '.join(parts)}."


def _agree(found: Where, home: Home) -> str:
    """Say which of the other probes exclude every one of these states."""
    others = [found.home(home.model, home.family, probe) for probe in PROBES if probe != home.probe]
    against = [other.probe for other in others if other.possible and not set(other.possible) & set(home.possible)]
    return f" (not by {' and '.join(against)})" if against else ""


def _carries(across: Sequence[Across]) -> str:
    """Say how often a probe from elsewhere is shown to be worse, label by label, and where most."""
    if not across:
        return "No label is shared by two of these tasks, so none is carried from one to another."
    parts = []
    if not any(c.change and c.change.verdict == "lost" for one in across for c in one.cells):
        return (
            "Nowhere is a probe from another tradition shown to be worse than the task's own; = marks where it "
            "is shown to be as good."
        )
    for one in across:
        lost = [(c.change.change or 0.0, c) for c in one.cells if c.change and c.change.verdict == "lost"]
        text = f"{one.label} in {one.model}: {len(lost)} of {len(one.cells) - len(one.traditions)} worse"
        if lost:
            change, most = min(lost, key=lambda pair: pair[0])
            text += f" (most: {most.source} to {most.target}, {points(change)})"
        parts.append(text)
    return f"A probe from another tradition against the task's own: {'; '.join(parts)}."


def _limits(found: Where) -> str:
    text = (
        "The state that a probe reads a family from best is where it is easiest to read, not the only place that has "
        "it; a label that carries over badly may be another sound under the same word, or another mix around it."
    )
    return f"{text} {ONLY_MINI}" if MINI_LABEL in found.warning else text


def home_rows(found: Where) -> Rows:
    """Return one row for each model, family, probe and state; fractions."""
    about = {**found.setting.facts, "trainings": found.trainings}
    return [
        {**about, "model": home.model, "family": home.family, "tasks": "|".join(home.tasks), "probe": home.probe}
        | {"state": name, "position": k, "value": one.value, "low": one.low, "high": one.high}
        | {"possible": int(k in home.possible), "reason": one.reason}
        for home in found.homes
        for k, (name, one) in enumerate(zip(home.states, home.levels, strict=True))
    ]


def across_rows(found: Where) -> Rows:
    """Return one row for each model, label, source and target; fractions."""
    about = {**found.setting.facts, "trainings": found.trainings}
    return [
        {**about, "model": one.model, "label": one.label, "learnt_on": cell.source, "state": one.states[cell.source]}
        | {"scored_on": cell.target, "roc_auc": cell.score.value, "low": cell.score.low, "high": cell.score.high}
        | {"change": cell.change and cell.change.change, "change_low": cell.change and cell.change.low}
        | {"change_high": cell.change and cell.change.high, "verdict": cell.change and cell.change.judgement}
        for one in found.across
        for cell in one.cells
    ]
