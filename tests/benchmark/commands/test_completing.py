"""What a shell is offered after a tabulator."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cmbench.benchmark.commands import completing
from cmbench.cli import app


def test_the_last_of_some_names_is_completed() -> None:
    assert completing.models("mfcc,chro") == ["mfcc,chroma"]
    assert completing.tasks("lyra,tur") == ["lyra,turkish_makam", "lyra,turkish"]
    assert completing.tasks("al") == ["all"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run --model CultureMERT-9", "CultureMERT-95M"),
        ("run --tasks hin", "hindustani"),
        ("tasks show ly", "lyra"),
        ("tasks --only green,gre", "green,greek"),
        ("models show chro", "chroma"),
    ],
)
def test_a_shell_is_offered_names(typed: str, offered: str) -> None:
    asked = {
        "_CMBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": f"cmbench {typed}",
        "COMP_CWORD": str(len(typed.split())),
    }
    result = CliRunner().invoke(app, [], env=asked, prog_name="cmbench")
    assert offered in result.stdout.split(), result.output
    assert get_command(app).name == "cmbench"
