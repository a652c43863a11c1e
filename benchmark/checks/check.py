"""One thing that was tried, and how checks look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Check:
    """One thing that was looked at or tried."""

    subject: str  # what; of an encoder the promise that it must keep
    text: str  # what came out; where it is not well also what to do
    well: bool | None = True  # whether it is as it must be; ``None`` if it could not be tried here


def print_checks(checks: Iterable[Check], console: Console, good: str, bad: str, width: int) -> bool:
    """Print checks line by line as they are made; return whether all is well."""
    from rich.markup import escape

    well = True
    for check in checks:
        well &= bool(check.well)
        mark = f"[green]{good}[/]" if check.well else f"[bold red]{bad}[/]"
        console.print(f"{mark} {escape(check.subject):<{width}} {escape(check.text)}", highlight=False, soft_wrap=True)
    return well
