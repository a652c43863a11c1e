"""The scores in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...records.record import Metric
from ...records.sections import ABSENT, DECISION_TITLES, HEADLINE, METRIC_TITLES, NO_REASON, Column, Row, Section
from ..figures import broken
from ..tables import print_tables
from ..words import coverage_share, coverage_text, percent
from .results import main_tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

NAME_WIDTH = 18


def print_table(found: Sequence[Section], console: Console) -> None:
    """Print the scores, one block for each edition, split and protocol.

    A block with one model has a row for each task; a block with several models has a row for each model. Blocks that
    are too wide for the console are continued below, task by task.
    """
    for i, section in enumerate(found):
        if i:
            console.print()
        _print_heading(section, console)
        if len(section.rows) == 1:
            _print_one_model(section, section.rows[0], console)
        else:
            for metric in HEADLINE:
                _print_models(section, metric, console)
        _print_footnotes(section, console)


def print_short(found: Sequence[Section], console: Console) -> None:
    """Print one line for each model: ROC-AUC / AP by task, what was left out, and how to see the rest."""
    for section in found:
        (table, *_) = main_tables([section])
        different = [text for column in section.columns if (text := section.different_audio(column))]
        undefined = [(len(section.undefined_labels(column)), column.name) for column in section.columns]
        without = [f"{count} in {name}" for count, name in undefined if count]
        notes = [
            *different,
            *_failures(section),
            *([f"Labels without a score: {', '.join(without)}."] if without else []),
            "Intervals, labels, audits of the splits and equity: --details, and the page.",
        ]
        # Edition and warning stand above the conclusion.
        source = section.title if len(found) > 1 else ""
        heads = ("model", *(f"{broken(c.name)}\nn={c.test_tracks}" for c in section.columns), "mean")
        print_tables([replace(table, columns=heads, source=source, warning="", notes=tuple(notes))], console)


def _print_heading(section: Section, console: Console) -> None:
    from rich.text import Text

    console.print(Text(section.title, style="bold"))
    if section.warning:
        console.print(Text(section.warning, style="yellow"))
    note = f"percent [{section.interval_name}], mean over labels and seeds; n: test tracks"
    console.print(Text(note, style="dim"))


def _grid(gap: int) -> Table:
    """Make a table without frame; ``gap`` characters between the columns."""
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap - 1, 0, 0), collapse_padding=True, show_edge=False
    )


def _fits(table: Table, console: Console) -> bool:
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def _interval(metric: Metric) -> str:
    return f"[{percent(metric.interval.low)}, {percent(metric.interval.high)}]" if metric.interval else ""


def _score(metric: Metric | None, joint: str = "\n") -> Text:
    """Return a score, and its interval after ``joint``."""
    from rich.text import Text

    if metric is None or metric.value is None:
        return Text(ABSENT, style="dim")
    text = Text(percent(metric.value), style="bold")
    return text.append(f"{joint}{_interval(metric) or 'no interval'}", style="not bold dim")


def _print_one_model(section: Section, row: Row, console: Console) -> None:
    """Print a row for each task; intervals go below the scores where the console is narrow."""
    from rich.text import Text

    console.print()
    console.print(Text(row.name, style="bold"))
    table = _one_model(section, row, " ", 2)
    if not _fits(table, console):
        table = _one_model(section, row, "\n", 2)
    console.print(table if _fits(table, console) else _one_model(section, row, "\n", 1))


def _one_model(section: Section, row: Row, joint: str, gap: int) -> Table:
    from rich.text import Text

    table = _grid(gap)
    found = section.records_of(row)
    decisions = [name for name in DECISION_TITLES if any(name in record.metrics for _, record in found)]
    thresholded = [name for name in METRIC_TITLES if name not in HEADLINE] + decisions
    heads = [{**METRIC_TITLES, **DECISION_TITLES}[name].replace(" ", "\n", 1) for name in thresholded]
    for name in ("task", "ROC-AUC", "AP", *heads, "layer", "n", "labels", "tracks\nused"):
        table.add_column(name, justify="left" if name in ("task", "layer") else "right", overflow="fold")
    for column, record in found:
        labels = f"{record.defined_labels}/{record.total_labels}"
        table.add_row(
            Text(column.name),
            *(_score(record.metrics.get(name), joint) for name in HEADLINE),
            *(Text(percent(m.value) if (m := record.metrics.get(f)) else ABSENT) for f in thresholded),
            Text(record.selection.layer),
            Text(str(column.test_tracks)),
            Text(labels if record.defined_labels != record.total_labels else str(record.total_labels)),
            Text(f"{coverage_text(record)} %", style="yellow" if coverage_share(record) < 1 else ""),
        )
    if len(found) > 1:
        means = [section.mean(row, name) for name in METRIC_TITLES]
        table.add_section()
        table.add_row("mean", *(Text(percent(m.value)) for m in means), *[""] * (4 + len(decisions)))
    return table


def _print_models(section: Section, metric: str, console: Console) -> None:
    """Print a row for each model, as many tasks side by side as the console takes."""
    from rich.text import Text

    console.print()
    console.print(Text(f"{METRIC_TITLES[metric]}, %", style="bold"))
    columns = section.columns
    for blocks in range(1, len(columns) + 1):
        size = -(-len(columns) // blocks)
        parts = [columns[i : i + size] for i in range(0, len(columns), size)]
        for gap in (2, 1):
            tables = [_models(section, part, metric, part is parts[-1], gap) for part in parts]
            if all(_fits(table, console) for table in tables) or size == gap == 1:
                for i, table in enumerate(tables):
                    console.print(*([] if i == 0 else [""]), table, sep="\n")
                return


def _models(section: Section, columns: Sequence[Column], metric: str, with_mean: bool, gap: int) -> Table:
    from rich.text import Text

    table = _grid(gap)
    table.add_column("model", vertical="top", overflow="fold", max_width=NAME_WIDTH)
    for c in columns:
        table.add_column(Text(f"{_folded(c.name)}\nn={c.test_tracks}\n{c.label_count}"), justify="right")
    with_mean = with_mean and len(section.columns) > 1
    if with_mean:
        table.add_column("mean", justify="right")
    for row in section.rows:
        cells = [_cell(section, row, c, metric) for c in columns]
        if with_mean:
            mean = section.mean(row, metric)
            cells.append(
                Text(percent(mean.value) if mean.value is not None else f"{ABSENT}\n{mean.present}/{mean.total}")
            )
        table.add_row(Text(row.name), *cells)
    return table


def _folded(name: str, width: int = 12) -> str:
    """Break a long task name at an underscore."""
    if len(name) <= width or "_" not in name:
        return name
    cut = name.rfind("_", 0, width)
    return name if cut < 1 else f"{name[: cut + 1]}\n{_folded(name[cut + 1 :], width)}"


def _cell(section: Section, row: Row, column: Column, name: str) -> Text:
    """Return score, interval, and what a reader must know: labels left out, tracks left out."""
    from rich.text import Text

    record = section.record(row, column)
    if record is None:
        return Text(ABSENT, style="dim")
    cell = _score(record.metrics.get(name))
    if column.defined is None:
        cell.append(f"\n{record.defined_labels}/{record.total_labels} labels", style="not bold yellow")
    if coverage_share(record) < 1:
        cell.append(f"\n{coverage_text(record)} % used", style="not bold yellow")
    return cell


def _print_footnotes(section: Section, console: Console) -> None:
    from rich.text import Text

    different = [text for column in section.columns if (text := section.different_audio(column))]
    lines = [
        *_averages(section),
        *_without_interval(section),
        *different,
        *_undefined(section),
        *_failures(section),
        *_audits(section),
    ]
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line), soft_wrap=False)


def _without_interval(section: Section) -> list[str]:
    """Say why scores have no interval, once for each task and reason."""
    found = {
        f"{column.name}: {metric.reason}."
        for row in section.rows
        for column, record in section.records_of(row)
        for name in HEADLINE
        if (metric := record.metrics[name]).value is not None and metric.interval is None and metric.reason
    }
    return sorted(found)


def _audits(section: Section) -> list[str]:
    return [f"Audit of {column.name}: {text}." for column in section.columns if (text := section.audit(column))]


def _averages(section: Section) -> list[str]:
    """Return the paper's summary, for models with every cell; for the others, how many cells are there."""
    if len(section.columns) < 2:
        return []
    total = len(section.columns) * len(HEADLINE)
    parts = []
    for row in section.rows:
        mean = section.mean(row, *HEADLINE)
        parts.append(
            f"{row.name} {percent(mean.value) if mean.value is not None else f'{mean.present}/{mean.total} cells'}"
        )
    return [f"Mean of the {total} cells of ROC-AUC and AP{_as_in_paper(section)}: {'; '.join(parts)}"]


def _as_in_paper(section: Section) -> str:
    """Say so where the cells are those of the paper's summary."""
    return " (the paper's average)" if section.is_papers else ""


def _undefined(section: Section) -> list[str]:
    lines = []
    for column in section.columns:
        if found := section.undefined_labels(column):
            named = ", ".join(f"{label} ({reason})" for label, reason in found.items())
            lines.append(f"Labels without a score, left out of the means, in {column.name}: {named}")
    for row in section.rows:
        for column, record in section.records_of(row):
            lines += [
                f"No {METRIC_TITLES.get(name, name)} of {row.name} on {column.name}: {metric.reason or NO_REASON}"
                for name, metric in record.metrics.items()
                if metric.value is None
            ]
    return lines


def _failures(section: Section) -> list[str]:
    """Return the tracks that were left out: the same track is named once, whatever the number of models."""
    lines = []
    for column in section.columns:
        found = {failed.id for _, record in section.records_on(column) for failed in record.coverage.failed}
        if found:
            lines.append(f"Tracks left out of {column.name}: {len(found)}; the page and the records name them.")
    return lines
