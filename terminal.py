"""Where the commands print."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console

    from .errors import Missing

PIPE_WIDTH = 110
"""Columns of a file or a pipe, which have no width of their own: enough for a table of six tasks."""


def console(stderr: bool = False) -> Console:
    """Return a console on standard output, or on standard error."""
    from rich.console import Console

    made = Console(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


def print_missing(missing: Sequence[Missing], console: Console) -> None:
    """Print everything that is missing: where it was looked for, its source and licence, and how to get it."""
    console.print(f"[bold red]{len(missing)} {'thing is' if len(missing) == 1 else 'things are'} missing:[/]")
    for one in missing:
        console.print(f"\n[bold]{escape(one.what)}[/]", highlight=False, soft_wrap=True)
        for title, text in (
            ("looked in", one.where),
            ("source", one.source),
            ("licence", one.licence),
            ("to get it", one.command),
        ):
            console.print(f"  {title:<10} {escape(text)}", highlight=False, soft_wrap=True)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""
