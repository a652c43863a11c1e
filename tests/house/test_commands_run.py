"""Every command in a block of the README and the guides runs, or is marked with what it needs.

The mark stands above the block, unseen on the page: ``<!-- not run: the data sets -->``, or, for some of its lines,
``<!-- not run (2, 4): a GPU -->``. The tutorials are run by ``make site``, docs/python.md by its own tests; whether
marked commands exist at all is the business of test_commands_shown.py.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmbench.baselines.anchors import random_checkpoint
from cmbench.cli import app
from cmbench.tests.baselines.mert.test_encoder import old_names, save
from cmbench.tests.house.same_bytes import write_corpus

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- not run(?: \(([\d, ]+)\))?: [^\n]+ -->\n)?^```[^\n]*\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NEVER = ("make", "pip", "python", "sbatch", "ray", "export")
"""Words that begin a line of a shell and are not cmbench."""

STAND_INS = {
    "mfcc": "mfcc",
    "chroma": "chroma",
    "MERT-v1-95M": "MERT-nano",
    "CultureMERT-95M": "CultureMERT-nano",
}
"""Folders of results that the pages name, and the entries whose records lie in them here."""


@dataclass(frozen=True)
class Shown:
    """A block with commands: where it is, those to run, and those that a mark takes out."""

    where: str
    run: tuple[str, ...]
    marked: tuple[str, ...]


def lines_of(block: str) -> list[str]:
    """Its commands, each on one line and without what is said of it."""
    joined = re.sub(r"\s*\\\n\s*", " ", block)
    return [line for line in joined.splitlines() if re.match(rf"(cmbench|{'|'.join(NEVER)}) ", line)]


def blocks(page: str, text: str) -> Iterator[Shown]:
    """The blocks of a page that hold commands."""
    for found in BLOCK.finditer(text):
        if not (lines := lines_of(found[2])):
            continue
        marked = found[0].startswith("<!--")
        out = {int(n) for n in re.findall(r"\d+", found[1] or "")} if marked else set()
        taken = [marked and (not out or n in out) for n in range(1, len(lines) + 1)]
        place = f"{page}:{text[: found.start(2)].count(chr(10))}"
        yield Shown(
            place,
            tuple(line for line, is_out in zip(lines, taken, strict=True) if not is_out),
            tuple(line for line, is_out in zip(lines, taken, strict=True) if is_out),
        )


SHOWN = [shown for page in PAGES for shown in blocks(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages name: music, a table, records, a model, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_corpus(Path("my-corpus"))
    shutil.copytree("my-corpus/audio", "fieldwork")
    Path("fieldwork", "train-05.wav").unlink()
    names = sorted(path.name for path in Path("fieldwork").iterdir())
    rows = [f"{name},{'high' if i % 2 else 'low'},album-{i // 4}" for i, name in enumerate(names)]
    Path("fieldwork", "notes.csv").write_text("\n".join(["file,label,album", *rows]) + "\n", encoding="utf-8")
    entries = ROOT / "leaderboards" / "entries"
    shutil.copytree(entries, "leaderboards/entries")
    for shown, name in STAND_INS.items():
        latest = max((entries / name).iterdir(), key=lambda version: int(version.name))
        for kept in [*latest.glob("records/*"), *latest.glob("predictions/*")]:
            Path("results", shown).mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, Path("results", shown, kept.name))
    model = random_checkpoint("random-mert-nano")
    folder = save(Path("my-mert"), model.shape, old_names(model.weights))
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 24000, "do_normalize": false}')
    return tmp_path


@pytest.mark.parametrize("shown", [one for one in SHOWN if one.run], ids=lambda one: one.where)
def test_it_runs(shown: Shown, here: Path) -> None:
    for line in shown.run:
        words = shlex.split(line, comments=True)
        assert words[0] == "cmbench", f"{shown.where}: {line}: mark it, the test runs cmbench alone"
        answer = CliRunner().invoke(app, words[1:])
        assert answer.exit_code == 0, f"{shown.where}: {line}\n{answer.output}\n{answer.exception!r}"


def test_marks_take_out_lines() -> None:
    text = "<!-- not run (2): a GPU -->\n```\ncmbench models\ncmbench doctor  # so\n```\n"
    text += "\n```\ncmbench models \\\n  --json\n```\n"
    first, second = blocks("x.md", text)
    assert (first.run, first.marked) == (("cmbench models",), ("cmbench doctor  # so",))
    assert second.run == ("cmbench models --json",)
    (whole,) = blocks("x.md", "<!-- not run: hours -->\n```\ncmbench models\nmake run\n```\n")
    assert whole.run == ()
    assert len(whole.marked) == 2


def test_marks_do_not_become_a_habit() -> None:
    """They are for what needs data, weights, a network, a cluster or minutes."""
    assert sum(len(one.run) for one in SHOWN) >= 15
