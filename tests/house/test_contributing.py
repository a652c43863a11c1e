"""What CONTRIBUTING.md shows works when it is pasted, in the package and as a plug-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cmbench.tests.house.same_bytes import ALONE, write_corpus

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests" / "upgrade" / "v0.1.0" / "results"
NOT_COPIED = ("tests", "docs", "entries", "nano", ".*", "__pycache__", "build", "dist", "*.egg-info", "results")

FILLED = (
    ("_load(task: Task, context", "_load_task(task: Task, context"),
    ('Edition("full", LABELS, _load)', 'Edition("full", LABELS, _load_task)'),
    (
        "Track(id=…, path=…, labels=…, group=…)",
        'Track(id=split, path=folder / f"{split}.wav", labels=LABELS, group=split)',
    ),
)
"""What a reader puts in place of the dots, and another name where both examples share one file."""


TYPED = """
import contextlib, io, json, sys
from cmbench import cli

said = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["cmbench", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            cli.main()
        except SystemExit as end:
            assert not end.code, (words, out.getvalue())
    said.append(out.getvalue())
print(json.dumps(said))
"""
"""Commands one after the other in one process: each alone would import torch anew."""

LOAD = """
import pathlib
import cmbench
from cmbench.errors import MissingError
from cmbench.tasks.base import LoadContext

task, here = cmbench.get_task("my_task"), pathlib.Path("data")
load = task.editions["full"].load
try:
    load(task, LoadContext(None, here))
except MissingError as error:
    print("Missing", error.missing[0].what.removeprefix("audio of "))
(here / "my_task").mkdir(parents=True)
print(len(load(task, LoadContext(here, here))), "splits:", task.name)
"""


def blocks(language: str) -> list[str]:
    """The code of one language that CONTRIBUTING.md shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def examples() -> tuple[str, str, str, str]:
    """The task, the model, the view and the study, the dots of the task filled."""
    task, model, view, study = blocks("python")
    for dots, filled in FILLED:
        assert dots in task
        task = task.replace(dots, filled)
    return task, model, view, study


def python(path: Path, *words: str) -> str:
    """Run python with a folder on its path, and not the installed cmbench if that folder has one."""
    if (path / "cmbench").is_dir():
        (path / "sitecustomize.py").write_text(ALONE, encoding="utf-8")
    where = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": where, "COLUMNS": "200"}
    out = subprocess.run(
        [sys.executable, *words], cwd=path, env=environment, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stdout + out.stderr
    return out.stdout


def check(path: Path) -> None:
    """The commands that a contributor runs, and the task's own loader."""
    luck = ("--model", "constant", "--tasks", str(write_corpus(path / "corpus")), "--seeds", "2", "--out", "luck")
    commands = (
        ("models",),
        ("tasks",),
        ("models", "check", "loudness"),
        ("report", "best", str(RECORDS), "--least", "1", "--out", str(path / "best")),
        ("study",),
        ("study", "luck", *luck),
    )
    models, tasks, checked, best, studies, lucky = json.loads(python(path, "-c", TYPED, json.dumps(commands)))
    assert "loudness" in models
    assert "my_task" in tasks
    assert "kept" in checked
    assert "broken" not in checked
    assert "makam--high" in best
    assert sorted(file.suffix for file in (path / "best").iterdir()) == [".md", ".tex"]
    assert "Show what further seeds" in studies
    assert re.search(r"constant +house +50\.0 +50\.0", lucky), lucky
    assert {"luck.md", "luck.tex"} < {file.name for file in (path / "luck").iterdir()}
    loaded = python(path, "-c", LOAD)
    assert loaded == "Missing my_task\n3 splits: my_task\n"


def test_pasted_into_the_package(tmp_path: Path) -> None:
    copy = tmp_path / "cmbench"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for room, text in zip(("tasks", "baselines", "benchmark/views", "benchmark/studies"), examples(), strict=True):
        (copy / room / "my_own.py").write_text(text, encoding="utf-8")
    assert str(copy) in python(tmp_path, "-c", "import cmbench; print(cmbench.__file__)")
    check(tmp_path)


def test_offered_by_another_distribution(tmp_path: Path) -> None:
    rooms = (("tasks", ""), ("baselines", ""), ("benchmark.views", "benchmark."), ("benchmark.studies", "benchmark."))
    task, model, view, study = (
        re.sub(r"^( *)from \.(?!\.)", rf"\1from cmbench.{room}.", text, flags=re.MULTILINE).replace(
            "from ..", f"from cmbench.{above}"
        )
        for text, (room, above) in zip(examples(), rooms, strict=True)
    )
    model += '\nENTRY = ENCODERS["loudness"]\n'
    (tmp_path / "my_package.py").write_text(f"{task}\n\n{model}\n\n{view}\n\n{study}", encoding="utf-8")
    about = tmp_path / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
    (shown,) = blocks("toml")
    points = re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", shown)
    points = re.sub(r'= "(.*?)".*', r"= \1", points)
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    check(tmp_path)
