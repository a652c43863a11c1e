"""Studies by name: the list in the docs, what other distributions offer, and the older names of commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmbench.benchmark.studies.registry import studies
from cmbench.cli import app
from cmbench.errors import CmbenchError

ROOT = Path(__file__).resolve().parents[3]
OWN = {"claims", "efficiency", "family", "leakage", "robustness", "similarity", "sweep", "where"}

GUEST = """
from dataclasses import dataclass
from cmbench.benchmark.studies.base import Study
from cmbench.benchmark.views.tables import ViewTable

@dataclass(frozen=True, kw_only=True)
class Request:
    upto: int = 3

@dataclass(frozen=True, kw_only=True)
class Odd:
    upto: "Nowhere" = 3

@dataclass(frozen=True, kw_only=True)
class Strange:
    upto: int | str = 3

def compute(request, observer):
    observer.preparing("Counting", request.upto, request.upto)
    return list(range(request.upto))

def tables(found):
    return [ViewTable("Counted", "nothing at all", "", ("number",), tuple((str(n),) for n in found))]

def study(**changes):
    return Study(**{"name": "guest", "help": "Count.", "request": Request, "compute": compute, "tables": tables,
                    "stem": lambda found: "guest", **changes})

GUEST = study(cost=lambda request: f"Counts to {request.upto}.", sentences=lambda found: ["That is all."])
FAILING = study(failed=lambda found: True)
CLASH = study(name="sweep")
UNTYPED = study(request=Odd)
UNASKED = study(request=Strange)
BROKEN = study(compute=lambda request, observer: 1 / 0)
UNPRICED = study(cost=lambda request: 1 / 0)
UNSHOWN = study(tables=lambda found: 1 / 0)
UNDRAWN = study(figures=lambda found: {"": lambda: 1 / 0})
NOTHING = 3
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Install a distribution with one entry point."""

    def install(name: str, source: str = GUEST) -> None:
        (tmp_path / "cmbench_guest.py").write_text(source, encoding="utf-8")
        info = tmp_path / "cmbench_guest-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cmbench-guest\nVersion: 1\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[cmbench.studies]\nguest = cmbench_guest:{name}\n", encoding="utf-8")
        studies.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    sys.modules.pop("cmbench_guest", None)
    studies.cache_clear()


def typed(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["study", *words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_the_docs_list_every_study() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `cmbench study (.*?)` \| (.*?) \|$", text, re.MULTILINE)
    assert listed == [(study.name, study.help.partition("\n\n")[0]) for study in studies().values()]
    assert {name for name, _ in listed} == OWN
    said = " ".join(typed().split())
    for name, help in listed:
        assert f" {name} {help}" in said


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_study_states_its_cost(name: str) -> None:
    assert studies()[name].cost is not None


def test_a_study_of_another_distribution_has_a_command_and_files(offer: Callable[[str], None], tmp_path: Path) -> None:
    offer("GUEST")
    assert typed("guest", "--plan", "--upto", "2").split("\n")[0] == "Counts to 2."
    said = typed("guest", "--out", str(tmp_path / "out"))
    assert said.index("Counts to 3.") < said.index("Counted") < said.index("That is all.")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"guest.md", "guest.tex"}
    assert "That is all." in (tmp_path / "out" / "guest.md").read_text(encoding="utf-8")
    (tmp_path / "file").touch()
    with pytest.raises(CmbenchError, match="is a file, where a folder is needed"):
        typed("guest", "--out", str(tmp_path / "file"))


def test_a_finding_that_something_is_wrong_is_the_exit_code(offer: Callable[[str], None]) -> None:
    offer("FAILING")
    assert "Counted" in typed("guest", code=1)


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("NOTHING", GUEST, "it gives int, not Study"),
        ("CLASH", GUEST, "there is a 'sweep' already"),
        ("GUEST", "import a_module_that_is_not_here", "ModuleNotFoundError"),
        ("UNTYPED", GUEST, "NameError: name 'Nowhere' is not defined"),
        ("UNASKED", GUEST, "Union types"),
    ],
)
def test_what_is_no_study_is_named_and_left_out(
    offer: Callable[[str, str], None], name: str, source: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    offer(name, source)
    assert set(studies()) == OWN
    assert f"'cmbench_guest:{name}' of group cmbench.studies of distribution cmbench-guest is left out" in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize("name", ["BROKEN", "UNPRICED", "UNSHOWN", "UNDRAWN"])
def test_what_goes_wrong_in_a_study_is_said_with_its_distribution(
    offer: Callable[[str], None], name: str, tmp_path: Path
) -> None:
    offer(name)
    named = r"^Study guest of distribution cmbench-guest cannot .* \(ZeroDivisionError: "
    with pytest.raises(CmbenchError, match=named):
        typed("guest", "--out", str(tmp_path / "out"))


def test_list_shows_what_the_bare_command_shows() -> None:
    listed, bare = (CliRunner().invoke(app, words) for words in (["study", "list"], ["study"]))
    assert listed.exit_code == 0, listed.output
    assert listed.output == bare.output
    assert all(name in listed.output for name in OWN)
    assert "list" not in re.findall(r"^  (\w+) ", bare.output, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "study"),
    [
        (("reproduce", "nano"), "claims"),
        (("reproduce", "family"), "family"),
        (("report", "similarity"), "similarity"),
    ],
)
def test_an_older_name_is_the_same_command(words: tuple[str, ...], study: str) -> None:
    def help_of(*path: str) -> str:
        said = CliRunner().invoke(app, [*path, "--help"]).output
        assert said.startswith("Usage: ")
        return said.partition("\n\n")[2]

    assert help_of(*words) == help_of("study", study)
    plan = ["--tokens", "stand-in", "--plan"] if study == "similarity" else ["--plan"]
    one, other = (CliRunner().invoke(app, [*path, *plan]) for path in (words, ("study", study)))
    assert (one.exit_code, one.output) == (other.exit_code, other.output) == (0, other.output)
    assert "two cores" in one.output or "decodes" in one.output


def test_merge_with_sweep_is_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmbench.benchmark.commands import study as commands

    asked: list[Any] = []
    monkeypatch.setattr(commands, "carry_out", lambda study, request, out, _=False: asked.append((study, request, out)))
    words = "--base B --add M --add N --tasks lyra,carnatic --edition mini --density 0.2 --method ties --keep -o s"
    for path in (("study", "sweep", "--scales", "0.1,0.2"), ("merge", "--sweep", "0.1,0.2")):
        assert CliRunner().invoke(app, [*path, *words.split()], catch_exceptions=False).exit_code == 0
    assert asked[0] == asked[1]
    assert asked[0][1].tasks == ["lyra", "carnatic"]
