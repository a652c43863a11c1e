"""The command line as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from cmbench.cli import app
from cmbench.tests.conftest import Cmbench

WITHOUT_EXAMPLE = {"schema", "cache ls", "cache verify"}


def leaves(command: object, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command that does something, by the words that lead to it."""
    below: dict[str, object] = getattr(command, "commands", {})
    for name, child in below.items():
        yield from leaves(child, *path, name)
    if not below:
        yield path


def test_every_command_has_help_with_an_example(cmbench: Cmbench) -> None:
    for path in leaves(get_command(app)):
        said = cmbench(*path, "--help").out
        assert "Usage" in said, path
        assert ("Example" in said) == (" ".join(path) not in WITHOUT_EXAMPLE), path


def test_groups_have_help_and_so_has_the_program(cmbench: Cmbench) -> None:
    for path in {path[:-1] for path in leaves(get_command(app))}:
        assert "Usage" in cmbench(*path, "--help").out, path


def test_the_program_is_a_process() -> None:
    done = subprocess.run([sys.executable, "-m", "cmbench", "tasks", "show", "lyra"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Epirus" in done.stdout
    done = subprocess.run([sys.executable, "-m", "cmbench", "tasks", "show", "lira"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Did you mean lyra" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--model", "chroma", "--tasks", "lira", "--edition", "mini"), "Did you mean lyra"),
        (("run", "--model", "crhoma", "--tasks", "lyra", "--edition", "mini"), "Did you mean chroma"),
        (("tasks", "show", "makams"), "no task named"),
        (("models", "show", "./nowhere"), "nowhere"),
        (("report", "nowhere"), "does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_traceback(
    words: tuple[str, ...], message: str, cmbench: Cmbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cmbench(*words, code=2).err
    assert message in said
    assert "Traceback" not in said
    assert list(tmp_path.glob("results*")) == []


def test_ctrl_c_while_modules_are_imported_is_quiet() -> None:
    code = (
        "import sys\n"
        "class Blow:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'cmbench.benchmark.commands.merge':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Blow())\n"
        "from cmbench.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "tasks"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted. Nothing had begun.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --model mfcc --tasks lyra", "same command goes on from there"),
        ("tasks prepare lyra", "same command goes on from there"),
        ("pretrain mert-nano --out x", "--resume goes on from there"),
        ("tasks verify lyra", "Interrupted. The same command begins anew."),
        ("compare a b", "Interrupted. The same command begins anew."),
        ("study claims --family-only", "same command goes on from there"),
        ("study similarity --model mfcc", "Interrupted. The same command begins anew."),
    ],
)
def test_an_interrupt_says_what_is_true_of_the_command(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cmbench import cli

    def blow() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", blow)
    monkeypatch.setattr(sys, "argv", ["cmbench", *words.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr().err
    assert stop.value.code == 130
    assert said in told
    assert ("--resume" in told) == words.startswith("pretrain")


@pytest.mark.parametrize("words", [("report", "reported"), ("schema",), ("tasks", "--help")])
def test_a_reader_that_leaves_early_is_no_error(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        command = [sys.executable, "-m", "cmbench", *words]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, "")


def test_reported_figures_need_no_records(cmbench: Cmbench) -> None:
    said = cmbench("report", "reported").out
    assert "69.3" in said
    assert "never ranked" in said


def test_a_notebooks_way_of_showing_figures_is_not_asked_for(tmp_path: Path) -> None:
    """Jupyter names a backend of matplotlib in the environment, which need not be where cmbench is installed."""
    records = Path(__file__).parent / "upgrade" / "v0.1.0" / "results"
    done = subprocess.run(
        [sys.executable, "-m", "cmbench", "report", "scores", str(records), "--out", str(tmp_path)],
        env=os.environ | {"MPLBACKEND": "module://not_installed.backend"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*.svg"))
