"""Where the commands print."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table

    from .errors import Missing

PIPE_WIDTH = 110
"""Columns of a file or a pipe, which have no width of their own: enough for a table of six tasks."""


LONGEST = 4_000
"""Characters of an error; what is longer is a file's content rather than a sentence."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with its control characters and direction marks written out: a terminal would obey them."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(value: object) -> object:
    """Return what a page shows of a value: texts are made visible, and what is markup already is left."""
    return visible(value) if type(value) is str else value


def printable(error: object) -> str:
    """Return what is printed of an error: visible, and not longer than a screen."""
    text = visible(str(error))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text) - LONGEST} more characters)"


def replace_what_cannot_be_encoded() -> None:
    """Let standard output and error replace what their encoding (cp1252, ASCII) does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def console(stderr: bool = False, **look: Any) -> Console:
    """Return a console on standard output, or on standard error; ``look`` as rich has it."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """A console on which only its own styles control the terminal, not the texts that it is given."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control or not _CONTROL.search(text) else Segment(visible(text), style)

    # FORCE_COLOR, which notebooks and hosted CI set, asks for colours: it makes no terminal of a file.
    stream = sys.stderr if stderr else sys.stdout
    look.setdefault("force_interactive", stream.isatty())
    made = Plain(stderr=stderr, **look)
    if not made.is_interactive and "COLUMNS" not in os.environ and "width" not in look:
        made.width = PIPE_WIDTH
    return made


class ProgressBar:
    """One bar with a detail and, unless ``left`` is false, the time left; taken away at the end. A context manager."""

    def __init__(self, console: Console | None, left: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = console or Console(quiet=True)
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            *((TimeRemainingColumn(compact=True), TextColumn("left")) if left else ()),
            console=self.console,
            transient=True,
            disable=console is None or not console.is_interactive,
        )

    def __enter__(self) -> Self:
        """Return itself; the display begins with what is shown first, and nothing is in the way of others before."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away; what was printed stays."""
        self.bars.stop()

    def show(self, what: str, done: float, total: float | None, detail: str) -> bool:
        """Show how far something is, and return whether it is something new."""
        self.bars.start()
        begins = [task.description for task in self.bars.tasks] != [what]
        if begins:
            for task in self.bars.task_ids:
                self.bars.remove_task(task)
            self.bars.add_task(what, total=total, detail=detail)
        self.bars.update(self.bars.task_ids[0], completed=done, total=total, detail=detail)
        return begins

    def print(self, text: str, style: str | None = None) -> None:
        """Print a line above the bar, as it is."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a text as it is, whatever is in it, folded to the width."""
    from rich.text import Text

    console.print(Text(text, style=style))


def print_heading(console: Console, title: str, warning: str) -> None:
    """Print what numbers are of, and what must stand beside them."""
    say(console, title, "bold")
    if warning:
        say(console, warning, "yellow")


def escape(text: str) -> str:
    """Return a text that rich prints as it is, where markup is on."""
    from rich.markup import escape

    return escape(text)


def new_table(*heads: str, **look: Any) -> Table:
    """Return an empty table without lines; ``look`` as rich has it."""
    from rich.table import Table

    return Table(*heads, **{"box": None, "header_style": "bold"} | look)


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
