"""The help of the commands as plain text: to lay out Markdown takes longer than most commands do."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperGroup

_FIRST = ("run", "tasks", "models", "report", "compare")
"""What most people come for."""


class PlainGroup(TyperGroup):
    """All commands below a group, with help that is plain text."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        make_plain(self)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, those that most people come for first."""
        return sorted(super().list_commands(ctx), key=lambda name: (*_FIRST, name).index(name))


def examples(*commands: str) -> str:
    """Return commands as the end of a help."""
    return "\n\n".join([f"**Example{'s' * (len(commands) > 1)}**", *(f"`{command}`" for command in commands)])


def make_plain(command: Any) -> None:
    """Make the help of a command plain, of those below it too, and its line in lists whole."""
    own = vars(command).get("own") or vars(command).get("commands") or {}
    for child in own.values():
        make_plain(child)
    command.short_help = command.short_help or (command.help or "").partition("\n\n")[0]
    if command.epilog:
        head, *lines = command.epilog.split("\n\n")
        if head.startswith("**"):
            # A backspace keeps click from joining the lines of a paragraph.
            lines = ["\b", f"{head.strip('*')}:", *(f"  {re.sub('^`|`$', '', line)}" for line in lines)]
            command.epilog = "\n".join(lines)
