from __future__ import annotations

import re

import typer
from typer.testing import CliRunner

from cmbench.benchmark.commands.plain import PlainGroup, examples
from cmbench.tests.conftest import Cmbench


def test_what_most_people_come_for_comes_first(cmbench: Cmbench) -> None:
    listed = re.findall(r"^  (\w+)  ", cmbench("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert listed[:5] == ["run", "tasks", "models", "report", "compare"]
    assert len(listed) == len(set(listed)) > 10


def test_help_is_plain_and_keeps_its_lines() -> None:
    app = typer.Typer(cls=PlainGroup, rich_markup_mode=None)

    @app.callback()
    def root() -> None: ...

    @app.command(epilog=examples("cmbench one", "cmbench two"))
    def one() -> None:
        """Do one.

        And more.
        """

    help_of_one = CliRunner().invoke(app, ["one", "--help"]).output
    assert "Examples:\n    cmbench one\n    cmbench two\n" in help_of_one
    listed = CliRunner().invoke(app, ["--help"]).output
    assert "one  Do one." in listed
    assert "And more" not in listed
    assert examples("x").startswith("**Example**")
