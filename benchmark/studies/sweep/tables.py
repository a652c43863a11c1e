"""A sweep of scales as a table, in words, and as tidy rows."""

from __future__ import annotations

from ...records.sections import HEADLINE
from ...views.tables import Rows, ViewTable
from ...views.words import percent
from .sweep import Sweep, SweptModel

HONESTY = (
    "The scale is chosen by the mean validation score. Test scores are shown beside it, not chosen by: a scale picked "
    "for its test score is selected on the test set, and that score is then too good."
)


def sweep_table(sweep: Sweep) -> ViewTable:
    """Return the models by tasks: validation score and test scores."""
    heads = ["model", "mean\nvalid"]
    for task in sweep.tasks:
        heads += [f"{task}\nvalid", f"{task}\ntest"]
    rows = []
    for level in sweep.levels:
        cells = [_name(level) + " (chosen)" * (level is sweep.chosen), percent(level.valid_score)]
        for record in level.records.values():
            test = " / ".join(percent(record.metrics[metric].value) for metric in HEADLINE)
            cells += [percent(record.selection.valid_score), test]
        rows.append(cells)
    notes = ("percent; test: ROC-AUC / AP, means over labels and seeds",)
    return ViewTable.of(sweep, "Scales of the merge", heads, rows, 2, notes)


def _name(level: SweptModel) -> str:
    return level.name if level.scale is None else f"scale {level.scale:g}"


def sentences(sweep: Sweep) -> list[str]:
    """Say which scale validation chose, where that ends, and what the test scores are not for."""
    chosen = sweep.chosen
    text = f"Chosen on validation: scale {chosen.scale:g} (mean validation score {percent(chosen.valid_score)})"
    text += f"; the base, {sweep.base.name}, has {percent(sweep.base.valid_score)}."
    if chosen.valid_score <= sweep.base.valid_score:
        text += " No scale is better than the base."
    elif sweep.at_the_edge:
        text += " It is at the edge of the range: a better one may lie beyond."
    return [text, HONESTY]


def sweep_rows(sweep: Sweep) -> Rows:
    """Return one row for each model and task, fractions; ``None`` is undefined."""
    rows = []
    for level in sweep.levels:
        for task, record in level.records.items():
            about = {"model": level.name, "scale": level.scale, "chosen": int(level is sweep.chosen), "task": task}
            row: dict[str, object] = {**about, "edition": record.task.edition, "protocol": record.protocol.name}
            row["valid_score"] = record.selection.valid_score
            for name in HEADLINE:
                metric, span = record.metrics[name], record.metrics[name].interval
                numbers = (metric.value, span.low if span else None, span.high if span else None)
                row |= {f"test_{name}{end}": n for end, n in zip(("", "_low", "_high"), numbers, strict=True)}
            rows.append(row)
    return rows
