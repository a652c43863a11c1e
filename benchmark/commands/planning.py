"""How the plan of a run looks in a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ...tasks.fetching.room import spoken_bytes
from ..needs import Need
from ..plan import Expected, PlannedCell, RunPlan

if TYPE_CHECKING:
    from rich.console import Console


def plan_json(plan: RunPlan) -> str:
    """Return a plan as JSON."""
    return json.dumps(asdict(plan), ensure_ascii=False, allow_nan=False, indent=1)


def print_run_plan(plan: RunPlan, console: Console) -> None:
    """Print a plan: cells, what is to be got, hours, and the order to do things in."""
    root = plan.data_root or "no data root (--data-root, CMBENCH_DATA)"
    _line(console, f"[bold]Plan[/] · protocol {plan.protocol} · data: {escape(root)} · records: {escape(plan.out)}")
    _line(console, "Nothing was written, fetched or computed.\n")
    _print_cells(plan.cells, console)
    if plan.needs:
        _line(console, "\n[bold]To get[/]")
    for need in plan.needs:
        _line(console, f"  {escape(need.name)}: {escape(_need(need))}")
    if plan.needs:
        _line(console, f"  {escape(_sum(plan.needs))}")
    _line(console, "\n[bold]Hours to compute[/] (beside it, files are decoded)")
    for one in plan.expected:
        _line(console, f"  {escape(_hours(one))}")
    for name in plan.unmeasured:
        said = "encoding was not measured on any device here: `cmbench doctor --benchmark`, or run a small task first"
        _line(console, f"  {escape(name)}: {said}")
    _line(console, "\n[bold]In this order[/]")
    for number, step in enumerate(plan.order or ("nothing: every cell is finished",), start=1):
        _line(console, f"  {number}. {escape(step)}")
    _line(console, "")
    for note in plan.notes:
        _line(console, f"note: {escape(note)}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _print_cells(cells: Sequence[PlannedCell], console: Console) -> None:
    table = Table(
        "model", "task", "state", "tracks", "stored", "audio, h", "to encode, h", box=None, header_style="bold"
    )
    for cell in cells:
        counts = (str(cell.tracks), str(cell.stored), f"{cell.hours:.1f}", f"{cell.hours_to_encode:.1f}")
        name = cell.task if cell.edition == "full" else f"{cell.task} ({cell.edition})"
        table.add_row(escape(cell.model), escape(name), cell.state, *counts)
    console.print(table)


def _size(need: Need) -> str:
    if need.bytes is None:
        return "size not stated"
    return f"{'about ' if need.rough else ''}{spoken_bytes(need.bytes)}"


def _need(need: Need) -> str:
    count = f"{need.files} file{'s' * (need.files != 1)}" if need.files and need.what == "files" else need.what
    whose = " · only with your account, or from you" if need.yours else ""
    optional = "" if need.blocks else " · not here; the run goes on without"
    return f"{count} · {_size(need)} · from {need.source} · {need.licence}{whose}{optional}"


def _sum(needs: Sequence[Need]) -> str:
    known = sum(need.bytes or 0 for need in needs)
    unknown = sum(need.bytes is None for need in needs)
    rough = "about " if any(need.rough for need in needs) else ""
    return f"In all: {rough}{spoken_bytes(known)}{f', and {unknown} of unknown size' if unknown else ''}."


def _hours(one: Expected) -> str:
    parts = [
        f"{what} {'not measured' if hours is None else f'{hours:.1f} h'}"
        for what, hours in (("encoding", one.encode_hours), ("probes", one.probe_hours))
    ]
    return f"{one.model} on {one.device}: {', '.join(parts)} (by {one.measured_by})"
