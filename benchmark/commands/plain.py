"""The help of the commands as plain text: to lay out Markdown takes longer than most commands do.

And commands that are made when they are asked for, from parameters that stand elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from inspect import Parameter, Signature
from typing import Any

import typer
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


def command_of(
    name: str,
    call: Callable[..., Any],
    parameters: Iterable[Parameter],
    help: str,
    epilog: str | None = None,
    show_help: bool = False,
) -> Any:
    """Return a command that takes parameters and calls a function with them."""

    def called(**given: Any) -> None:
        call(**given)

    own = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters]
    called.__signature__ = Signature(own)  # type: ignore[attr-defined]
    called.__annotations__ = {}
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name, help=help, epilog=epilog, no_args_is_help=show_help)(called)
    command = typer.main.get_command(app)
    make_plain(command)
    return command


def handed_on(context: typer.Context, command: Any) -> None:
    """Let another command take all the words of one that was declared with :data:`HANDS_ON`."""
    with command.make_context(context.info_name, [*context.args], parent=context.parent) as own:
        command.invoke(own)


HANDS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Settings of a command that hands all its words on to another, which is made only then."""


def group_of(made: Callable[[], dict[str, Any]]) -> type[TyperGroup]:
    """Return a group with commands that are made when first asked for, which ``cmbench --help`` never does.

    Those that are defined as usual come first, and in place of others of their name.
    """

    class Later(TyperGroup):
        @cached_property
        def made(self) -> dict[str, Any]:
            return made()

        @property  # type: ignore[override]
        def commands(self) -> dict[str, Any]:
            return self.own | self.made | self.own

        @commands.setter
        def commands(self, own: dict[str, Any]) -> None:
            self.own = own

    return Later
