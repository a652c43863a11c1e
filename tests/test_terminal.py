"""What is printed cannot control the terminal, and what it cannot encode is replaced."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from cmbench.terminal import LONGEST, ProgressBar, console, printable, shown, visible


def test_control_characters_are_written_out() -> None:
    assert visible("a\x1b]0;x\x07\x9b2J\u202eb\n\tc") == "a\\u001b]0;x\\u0007\\u009b2J\\u202eb\n\tc"
    assert visible("Şarkı – ραστ ‏") == "Şarkı – ραστ ‏"
    assert shown("\x00") == "\\u0000"
    assert shown(3) == 3


def test_an_error_is_no_flood() -> None:
    assert printable("x" * 10 * LONGEST).endswith(f"({9 * LONGEST} more characters)")


@pytest.mark.parametrize("styled", [True, False])
def test_a_text_cannot_control_the_console(monkeypatch: pytest.MonkeyPatch, styled: bool) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    screen = console()
    screen._force_terminal = styled
    screen.print(Text("evil \x1b[2J\x9b1m name", style="bold" if styled else ""), "\x1b]0;title\x07")
    written = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in written
    assert "\x1b]" not in written
    assert "\x9b" not in written
    assert "\\u001b[2J" in written


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_output_that_cannot_be_encoded_is_replaced(tmp_path: Path, encoding: str) -> None:
    task = tmp_path / "task.yaml"
    task.write_text("name: words\nlabels: ['Şarkı – ραστ', high]\n", encoding="utf-8")
    rows = [
        f"t{i},a{i}.wav,{['train', 'valid', 'test'][i // 2]},{'high' if i % 2 else 'Şarkı – ραστ'}" for i in range(6)
    ]
    (tmp_path / "tracks.csv").write_text("\n".join(["id,path,split,labels", *rows]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "cmbench", "tasks", "show", str(task)],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"?" in done.stdout


def test_one_bar_at_a_time_is_shown() -> None:
    stream = io.StringIO()
    with ProgressBar(Console(file=stream, force_terminal=True, width=100, color_system=None)) as bar:
        assert [bar.show(what, 1, 2, "") for what in ("[a]", "[a]", "b")] == [True, False, True]
        assert [task.description for task in bar.bars.tasks] == ["b"]
        bar.bars.refresh()
        bar.print("[plain]")
    assert "[plain]" in stream.getvalue()
    with ProgressBar(None) as nowhere:
        assert nowhere.show("x", 1, None, "")
        nowhere.print("x")


def test_forced_colours_make_no_terminal_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebooks and hosted CI set FORCE_COLOR; a bar there would be hundreds of lines."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    screen = console(stderr=True)
    assert screen.is_terminal
    with ProgressBar(screen) as bar:
        for done in range(5):
            bar.show("Rendering", done, 5, "")
    assert screen.file.getvalue() == ""  # type: ignore[attr-defined]
