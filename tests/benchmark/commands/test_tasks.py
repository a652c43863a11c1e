"""``cmbench tasks prepare`` and ``verify`` as a user types them, in this process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cmbench.benchmark.commands import tasks as tasks_module
from cmbench.benchmark.commands.tasks import tasks_app
from cmbench.errors import Missing, UsageError
from cmbench.tasks import choice
from cmbench.tasks.base import Edition, LoadContext, Splits, Task, Track
from cmbench.tasks.fetching.carry_out import pending
from cmbench.tasks.preparing import Download, Plan, PrepareContext, Step

Serve = Callable[[Path], str]
MakeTask = Callable[..., Task]


def run(*words: object) -> Result:
    """Run a command; errors meant for people come out as they are."""
    result = CliRunner().invoke(tasks_app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "corpora"


@pytest.fixture
def task(make_task: MakeTask, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task with one public file, and a recording that only the user can have."""
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "labels.csv").write_bytes(b"labels")
    url = f"{serve(folder)}/labels.csv"
    made = make_task(sizes=(2, 2, 2), seconds=1.5)
    digest = f"sha256:{hashlib.sha256(b'labels').hexdigest()}"

    def prepare(task: Task, context: PrepareContext) -> Plan:
        own = context.data_root / task.name / "own.wav"
        lacking = () if own.is_file() else (Missing("own.wav", str(own), "a shop", "yours", "buy it"),)
        downloads = pending([Download(url, context.data_root / task.name / "labels.csv", "CC0-1.0", 6, digest)])
        return Plan(downloads, missing=lacking)

    def load_less(task: Task, context: LoadContext) -> Splits:
        splits = dict(made.editions["custom"].load(task, context))
        return splits | {"test": [*splits["test"], Track("gone", tmp_path / "gone.wav", ())]}

    full = Edition("full", made.labels, made.editions["custom"].load, {"marble": load_less})
    ready = replace(made, editions={"full": full}, prepare=prepare)
    monkeypatch.setattr(choice, "get_task", lambda name: ready)
    return ready


def test_a_task_is_prepared_and_what_only_the_user_has_is_named(task: Task, root: Path) -> None:
    first = run("prepare", "tones", "--data-root", root, "--yes")
    assert (root / "tones" / "labels.csv").read_bytes() == b"labels"
    assert first.exit_code == 1
    for words in ("labels.csv", "CC0-1.0", "6 bytes", "checked by sha256", "1 thing is missing", "own.wav", "buy it"):
        assert words in first.output
    (root / "tones" / "own.wav").touch()
    second = run("prepare", "tones", "--data-root", root)
    assert second.exit_code == 0
    assert "`cmbench tasks verify tones` checks every file" in second.output


def test_nothing_is_fetched_unless_it_is_agreed_to(task: Task, root: Path) -> None:
    with pytest.raises(UsageError, match=r"Nothing was fetched: there is no terminal to ask at\. Add --yes"):
        run("prepare", "tones", "--data-root", root)
    assert not root.exists()


def test_a_secret_is_asked_for_before_anything_is_fetched(
    task: Task, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def prepare(one: Task, context: PrepareContext) -> Plan:
        assert task.prepare is not None
        plan = task.prepare(one, context)
        step = Step("fetch", lambda running: told.append(running.ask("a token")), asks="a token")
        return replace(plan, steps=() if told else (step,))

    monkeypatch.setattr(choice, "get_task", lambda name: replace(task, prepare=prepare))
    with pytest.raises(UsageError, match=r"tones: nothing was fetched, there is no terminal to ask at\. a token\."):
        run("prepare", "tones", "--data-root", root, "--yes")
    assert not root.exists()
    monkeypatch.setattr(tasks_module, "_has_terminal", lambda: True)
    asked: list[tuple[str, bool]] = []

    def ask(prompt: str) -> str:
        asked.append((prompt, root.exists()))
        return "s3cret"

    monkeypatch.setattr(tasks_module, "_ask_secret", ask)
    run("prepare", "tones", "--data-root", root, "--yes")
    assert (asked, told) == ([("a token", False)], ["s3cret"])


def test_a_data_root_is_needed(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="No data root: give --data-root DIR"):
        run("prepare", "tones")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CMBENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="is not a folder"):
        run("verify", "tones")


def test_a_task_without_a_plan_says_how_its_audio_is_got(
    task: Task, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "get_task", lambda name: replace(task, prepare=None))
    with pytest.raises(UsageError, match=r"Task tones has nothing to prepare\. made by the test"):
        run("prepare", "tones", "--data-root", root, "--yes")


def test_sound_data_are_verified(task: Task, root: Path, tmp_path: Path) -> None:
    done = run("verify", "tones", "--data-root", root, "--json", tmp_path / "out" / "finding.json")
    assert done.exit_code == 0
    assert "100.0 %" in done.output
    finding = json.loads((tmp_path / "out" / "finding.json").read_text(encoding="utf-8"))
    assert finding["sound"] is True
    assert finding["sha256"] in done.output


def test_a_missing_track_is_exit_code_1_and_another_split_is_chosen_by_name(task: Task, root: Path) -> None:
    done = run("verify", "tones", "--data-root", root, "--split", "marble", "--workers", 1)
    assert done.exit_code == 1
    assert "(full, marble split)" in done.output
    assert "gone.wav (there is no such file)" in done.output
    with pytest.raises(UsageError, match="has no split 'random'"):
        run("verify", "tones", "--data-root", root, "--split", "random")
