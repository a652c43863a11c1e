"""Views by name: the list in the docs, and what other distributions offer."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmbench.benchmark.pages.page import write_page
from cmbench.benchmark.records.record import Record, write_record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.registry import views
from cmbench.cli import app
from cmbench.errors import CmbenchError

ROOT = Path(__file__).resolve().parents[3]
OWN = {
    "calibration",
    "changes",
    "cost",
    "equity",
    "families",
    "forgetting",
    "headline",
    "labels",
    "layers",
    "reported",
    "scores",
    "transfer",
}

GUEST = """
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.base import View
from cmbench.benchmark.views.tables import ViewTable

def tables(section):
    return [ViewTable.of(section, "Counted", ("model",), [(row.name,) for row in section.rows])]

GUEST = View(name="guest", help="Count models.", compute=sections, tables=tables)
CLASH = View(name="cost", help="Count models.", compute=sections)
BROKEN = View(name="guest", help="Count models.", compute=sections, tables=lambda section: 1 / 0)
UNREADY = View(name="guest", help="Count models.", compute=lambda records: records.nothing)
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
        (info / "entry_points.txt").write_text(f"[cmbench.views]\nguest = cmbench_guest:{name}\n", encoding="utf-8")
        views.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    sys.modules.pop("cmbench_guest", None)
    views.cache_clear()


def test_the_docs_list_every_view() -> None:
    listed = re.findall(
        r"^\| `cmbench report (.*?)` \| (.*?) \| (.*?) \|$", (ROOT / "docs" / "views.md").read_text(), re.MULTILINE
    )
    found = [(view.name, view.help.partition("\n\n")[0], view.reads) for view in views().values()]
    assert listed == found
    assert {name for name, _, _ in listed} == OWN


def test_a_view_of_another_distribution_has_a_command_and_a_block(
    offer: Callable[[str], None], build_record: Callable[..., Record], tmp_path: Path
) -> None:
    offer("GUEST")
    record = build_record("mfcc", "lyra")
    folder = tmp_path / "results"
    write_record(record, folder)
    done = CliRunner().invoke(app, ["report", "guest", str(folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "Counted" in done.output
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".md", ".tex"}
    assert "guest        Count models." in CliRunner().invoke(app, ["report", "--help"]).output
    page = write_page(sections([record]), tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<details class="part" id="s1-guest">\n<summary><h3>Guest</h3></summary>' in page
    assert page.index("s1-families") < page.index("s1-guest")


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("NOTHING", GUEST, "it gives int, not View"),
        ("CLASH", GUEST, "there is a 'cost' already"),
        ("GUEST", "import a_module_that_is_not_here", "ModuleNotFoundError"),
    ],
)
def test_what_is_no_view_is_named_and_left_out(
    offer: Callable[[str, str], None], name: str, source: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    offer(name, source)
    assert set(views()) == OWN
    assert f"'cmbench_guest:{name}' of group cmbench.views of distribution cmbench-guest is left out" in caplog.text
    assert why in caplog.text


def test_a_view_that_breaks_is_named_and_spoils_no_page(
    offer: Callable[[str], None], build_record: Callable[..., Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offer("BROKEN")
    page = write_page(sections([build_record("mfcc", "lyra")]), tmp_path / "page.html")
    assert "s1-guest" not in page.read_text(encoding="utf-8")
    assert "View guest of distribution cmbench-guest is left out of the page (ZeroDivisionError" in caplog.text


def test_a_view_that_cannot_be_computed_is_named(offer: Callable[[str], None]) -> None:
    offer("UNREADY")
    with pytest.raises(CmbenchError, match=r"distribution cmbench-guest cannot be shown \(AttributeError"):
        list(views()["guest"].compute(records=[]))
