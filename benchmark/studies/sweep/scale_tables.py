"""A sweep of scales as a table: terminal, Markdown, CSV; and all files of it."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ....tasks.base import MINI_LABEL
from ...records.sections import HEADLINE
from ...views.base import write_files
from ...views.tables import csv_cell, markdown_cell
from ...views.words import percent
from .scale_curves import sweep_figure
from .sweep import HONESTY, Sweep, SweptModel

if TYPE_CHECKING:
    from rich.console import Console


def title(sweep: Sweep) -> str:
    """Say what was measured: editions, protocol."""
    records = list(sweep.base.records.values())
    editions = "/".join(dict.fromkeys(record.task.edition for record in records))
    return f"{editions} edition · protocol {records[0].protocol.name} ({records[0].protocol.sha256[:8]})"


def warning(sweep: Sweep) -> str:
    """Return what must stand beside every number of the sweep; empty for real data."""
    return MINI_LABEL if any(r.task.edition == "mini" for r in sweep.base.records.values()) else ""


def verdict(sweep: Sweep) -> str:
    """Say which scale validation chose, and where that ends."""
    chosen = sweep.chosen
    text = f"Chosen on validation: scale {chosen.scale:g} (mean validation score {percent(chosen.valid_score)})"
    text += f"; the base, {sweep.base.name}, has {percent(sweep.base.valid_score)}."
    if chosen.valid_score <= sweep.base.valid_score:
        text += " No scale is better than the base."
    elif sweep.at_the_edge:
        text += " It is at the edge of the range: a better one may lie beyond."
    return text


def print_sweep(sweep: Sweep, console: Console) -> None:
    """Print the models by tasks: validation score, and below it the test scores."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"Scales: {title(sweep)}", style="bold"))
    if warning(sweep):
        console.print(Text(warning(sweep), style="yellow"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("model", overflow="fold", min_width=10)
    table.add_column("mean\nvalid", justify="right")
    for task in sweep.tasks:
        table.add_column(f"{task.replace('_', '_' + chr(10), 1)}\nvalid\ntest", justify="right", no_wrap=True)
    for level in sweep.levels:
        cells = [f"{percent(r.selection.valid_score)}\n{_test(level, task)}" for task, r in level.records.items()]
        style = "bold green" if level is sweep.chosen else ""
        table.add_row(Text(_name(level), style=style), Text(percent(level.valid_score), style=style), *cells)
    console.print(table)
    console.print(Text("percent; test: ROC-AUC / AP, means over labels and seeds", style="dim"))
    console.print(Text(verdict(sweep), style="bold"))
    console.print(Text(HONESTY, style="yellow"))


def _name(level: SweptModel) -> str:
    return level.name if level.scale is None else f"scale {level.scale:g}"


def _test(level: SweptModel, task: str) -> str:
    return " / ".join(percent(level.records[task].metrics[metric].value) for metric in HEADLINE)


def markdown_sweep(sweep: Sweep) -> str:
    """Return the table in Markdown."""
    head = ["model", "mean valid", *(f"{task}: valid; test ROC-AUC / AP" for task in sweep.tasks)]
    rows = [
        [
            f"**{markdown_cell(_name(level))}**" if level is sweep.chosen else markdown_cell(_name(level)),
            percent(level.valid_score),
            *(f"{percent(r.selection.valid_score)}; {_test(level, task)}" for task, r in level.records.items()),
        ]
        for level in sweep.levels
    ]
    table = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    notes = [text for text in (warning(sweep), verdict(sweep), HONESTY) if text]
    return "\n".join([f"# Scales: {title(sweep)}", "", *table, "", "\n\n".join(notes)]) + "\n"


def csv_sweep(sweep: Sweep) -> str:
    """Return one row for each model and task, fractions; what is undefined is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    metrics = [f"test_{metric}{end}" for metric in HEADLINE for end in ("", "_low", "_high")]
    writer.writerow(["model", "scale", "chosen", "task", "edition", "protocol", "valid_score", *metrics])
    for level in sweep.levels:
        for task, record in level.records.items():
            numbers: list[object] = [record.selection.valid_score]
            for metric in (record.metrics[name] for name in HEADLINE):
                span = metric.interval
                numbers += [metric.value, span.low if span else None, span.high if span else None]
            chosen = int(level is sweep.chosen)
            writer.writerow(
                [csv_cell(level.name), level.scale, chosen, task, record.task.edition, record.protocol.name, *numbers]
            )
    return buffer.getvalue()


def write_sweep(sweep: Sweep, folder: Path) -> list[Path]:
    """Write the table (Markdown, CSV) and the figure (SVG, PNG), and return the paths."""
    texts = {"sweep.md": markdown_sweep(sweep), "sweep.csv": csv_sweep(sweep)}
    return write_files(folder, texts, {"sweep": partial(sweep_figure, sweep, title(sweep), warning(sweep))})
