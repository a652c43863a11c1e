"""A record as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .record import Record


def record_html(record: Record) -> str:
    """Return a table of the record's scores in percent, with what was measured on what."""
    from .sections import DECISION_TITLES, METRIC_TITLES

    task, used = record.task, record.coverage.used
    about = f"{task.edition} edition, {task.split} split, protocol {record.protocol.name}, {used['test']} test tracks"
    warning = " (synthetic audio, not comparable with real data)" if task.edition == "mini" else ""
    titles, rows = {**METRIC_TITLES, **DECISION_TITLES}, []
    for name, metric in record.metrics.items():
        value = escape(metric.reason or "–") if metric.value is None else f"{100 * metric.value:.1f}"
        span = f"[{100 * metric.interval.low:.1f}, {100 * metric.interval.high:.1f}]" if metric.interval else "–"
        rows.append(f"<tr><th>{escape(titles.get(name, name))}</th><td>{value}</td><td>{span}</td></tr>")
    labels = f"{record.defined_labels} of {record.total_labels} labels scored; layer {record.selection.layer}"
    return (
        f"<table><caption><b>{escape(record.model.name)}</b> on {escape(task.title)}, percent<br>"
        f"{escape(about + warning)}<br>{escape(labels)}</caption>"
        f"<thead><tr><th></th><th>mean</th><th>interval</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
