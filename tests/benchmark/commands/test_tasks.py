"""``cmbench tasks`` as a user types it: listed, shown, prepared, verified, audited."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from cmbench.benchmark.commands import tasks as tasks_module
from cmbench.benchmark.commands.tasks import tasks_app
from cmbench.errors import Missing, UsageError
from cmbench.tasks import choice
from cmbench.tasks.base import Edition, LoadContext, Splits, Task, Track
from cmbench.tasks.fetching.carry_out import pending
from cmbench.tasks.preparing import Download, Plan, PrepareContext, Step
from cmbench.tests.conftest import Cmbench

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


def test_the_list_of_tasks_can_be_narrowed_and_read_by_a_program() -> None:
    assert "lyra" not in run("--only", "turkish").output
    (one,) = json.loads(run("--only", "turkish", "--json").output)
    assert (one["name"], one["tracks"], len(one["labels"])) == (
        "turkish_makam",
        {"train": 3709, "valid": 529, "test": 1059},
        30,
    )
    with pytest.raises(UsageError, match=r"no task named 'turkich'\. Did you mean turkish"):
        run("--only", "turkich")


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


def test_tasks_are_listed_and_shown_whole(cmbench: Cmbench) -> None:
    listed = cmbench("tasks").out
    for name in ("turkish_makam", "carnatic", "hindustani", "lyra", "magnatagatune", "fma_medium"):
        assert re.search(rf"^\s*{name}\b", listed, re.MULTILINE)
    shown = cmbench("tasks", "show", "lyra").out
    for words in ("instruments--Voice (223)", "genre", "licence", "citation", "audio", "Epirus"):
        assert words in shown


def test_an_audit_is_kept_and_told_with_the_result(cmbench: Cmbench, tmp_path: Path) -> None:
    rows = ["id,path,split,group,labels"]
    for number, split in enumerate(["train"] * 12 + ["valid"] * 6 + ["test"] * 6):
        noise = np.random.default_rng(number).standard_normal(8000) * 0.1
        soundfile.write(tmp_path / f"{number}.wav", noise * (1 + number % 2), 8000)
        rows.append(f"{number},{number}.wav,{split},album {number % 11},{'loud' if number % 2 else 'soft'}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "task.yaml").write_text("name: noise\nlabels: [loud, soft]\n", encoding="utf-8")
    task, leak = str(tmp_path / "task.yaml"), "6 of 6 test tracks share a known group with train or valid"
    assert leak in cmbench("tasks", "audit", task, "--no-audio", "--out", tmp_path / "audit.json").out
    assert json.loads((tmp_path / "audit.json").read_bytes())["audio"] is None
    asked = ("run", "-m", "mfcc", "-t", task, "-o", tmp_path / "out", "--seeds", "1", "--split", "group-safe")
    done = cmbench(*asked, "--details")
    assert "custom edition · group-safe split" in done.out
    assert "Audit of noise: 0 of" in done.out
    without = [",".join([*r.split(",")[:3], "", r.split(",")[4]]) if i else r for i, r in enumerate(rows)]
    (tmp_path / "tracks.csv").write_text("\n".join(without), encoding="utf-8")
    assert "give the tracks their groups in the column `group` of" in cmbench(*asked, code=2).err
