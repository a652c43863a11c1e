"""The scores in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ....terminal import say
from ...records.record import Metric, Record
from ...records.sections import ABSENT, DECISION_TITLES, HEADLINE, METRIC_TITLES, NO_REASON, Column, Row, Section
from ..figures import broken
from ..tables import ViewTable, print_tables
from ..words import coverage_share, coverage_text, percent
from .results import main_tables

if TYPE_CHECKING:
    from rich.console import Console


def print_table(found: Sequence[Section], console: Console) -> None:
    """Print the scores, one block for each edition, split and protocol.

    A block with one model has a row for each task; a block with several models has a row for each model.
    """
    for i, section in enumerate(found):
        if i:
            console.print()
        one = len(section.rows) == 1
        print_tables([_one_model(section)] if one else [_models(section, metric) for metric in HEADLINE], console)
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


def _one_model(section: Section) -> ViewTable:
    """Return a row for each task of the only model."""
    (row,) = section.rows
    found = section.records_of(row)
    decisions = [name for name in DECISION_TITLES if any(name in record.metrics for _, record in found)]
    thresholded = [name for name in METRIC_TITLES if name not in HEADLINE] + decisions
    heads = [{**METRIC_TITLES, **DECISION_TITLES}[name].replace(" ", "\n", 1) for name in thresholded]
    rows = [
        (
            column.name,
            *(_score(record.metrics.get(name), " ") for name in HEADLINE),
            *(percent(m.value) if (m := record.metrics.get(name)) else ABSENT for name in thresholded),
            record.selection.layer,
            str(column.test_tracks),
            _defined(record) or str(record.total_labels),
            f"{coverage_text(record)} %",
        )
        for column, record in found
    ]
    if len(found) > 1:
        means = (percent(section.mean(row, name).value) for name in METRIC_TITLES)
        rows.append(("mean", *means, *[""] * (4 + len(decisions))))
    columns = ("task", *(METRIC_TITLES[name] for name in HEADLINE), *heads, "layer", "n", "labels", "tracks\nused")
    return ViewTable.of(section, f"{row.name}, {_unit(section)}", columns, rows)


def _unit(section: Section) -> str:
    return f"percent [{section.interval_name}], mean over labels and seeds; n: test tracks"


def _score(metric: Metric | None, joint: str) -> str:
    """Return a score, and its interval after ``joint``."""
    if metric is None or metric.value is None:
        return ABSENT
    span = metric.interval
    return f"{percent(metric.value)}{joint}{f'[{percent(span.low)}, {percent(span.high)}]' if span else 'no interval'}"


def _defined(record: Record) -> str:
    """Return how many of the labels have a score; nothing if all have."""
    return f"{record.defined_labels}/{record.total_labels}" if record.defined_labels != record.total_labels else ""


def _models(section: Section, metric: str) -> ViewTable:
    """Return a row for each model: a metric on every task."""
    heads = [f"{broken(c.name)}\nn={c.test_tracks}\n{c.label_count}" for c in section.columns]
    with_mean = len(section.columns) > 1
    rows = []
    for row in section.rows:
        cells = [_cell(section, row, column, metric) for column in section.columns]
        if with_mean:
            mean = section.mean(row, metric)
            cells.append(percent(mean.value) if mean.value is not None else f"{ABSENT}\n{mean.present}/{mean.total}")
        rows.append((row.name, *cells))
    title = f"{METRIC_TITLES[metric]}, {_unit(section)}"
    return ViewTable.of(section, title, ("model", *heads, *(["mean"] if with_mean else [])), rows)


def _cell(section: Section, row: Row, column: Column, name: str) -> str:
    """Return score, interval, and what a reader must know: labels left out, tracks left out."""
    record = section.record(row, column)
    if record is None:
        return ABSENT
    lines = [_score(record.metrics.get(name), "\n")]
    if column.defined is None:
        lines.append(f"{_defined(record) or f'{record.total_labels}/{record.total_labels}'} labels")
    if coverage_share(record) < 1:
        lines.append(f"{coverage_text(record)} % used")
    return "\n".join(lines)


def _print_footnotes(section: Section, console: Console) -> None:

    different = [text for column in section.columns if (text := section.different_audio(column))]
    lines = [
        *_averages(section),
        *_without_interval(section),
        *different,
        *_undefined(section),
        *_failures(section),
        *(f"Audit of {column.name}: {text}." for column in section.columns if (text := section.audit(column))),
    ]
    if lines:
        console.print()
    for line in lines:
        say(console, line)


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
    papers = " (the paper's average)" if section.is_papers else ""
    return [f"Mean of the {total} cells of ROC-AUC and AP{papers}: {'; '.join(parts)}"]


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
