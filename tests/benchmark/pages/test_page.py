"""The page: what is in the file, and what a real browser makes of it."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cmbench.benchmark.comparing.paired import Difference
from cmbench.benchmark.pages import page as page_module
from cmbench.benchmark.pages.page import conclusions_of, page_key, write_page
from cmbench.benchmark.records.record import FailedTrack, LabelScore, Record
from cmbench.benchmark.records.sections import audited, sections
from cmbench.benchmark.views.scores.table import print_table
from cmbench.benchmark.views.words import percent
from cmbench.tasks.audit.audit import audit, keep_audit
from cmbench.tasks.base import MINI_LABEL, LoadContext, Task

CHROMIUM = os.environ.get("CMBENCH_CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
BROWSER = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=20000",
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (`apt install chromium`, or set CMBENCH_CHROMIUM)"
)


class Reader(HTMLParser):
    """Every element with its attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._silent = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


@pytest.fixture(scope="module")
def page(board: list[Record], build_record: Callable[..., Record], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The board without one cell, and a small mini edition."""
    records = [r for r in board if (r.model.name, r.task.name) != ("chroma", "lyra")]
    records += [build_record(m, "lyra", edition="mini") for m in ("mfcc", "random-mert-nano")]
    out = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    assert write_page(sections(records), out) == out
    return out.read_text(encoding="utf-8")


def test_the_page_needs_no_network(page: str) -> None:
    found = Reader(page)
    assert not [t for t, _ in found.elements if t in ("link", "img", "iframe", "object", "embed", "image")]
    for tag, attributes in found.elements:
        assert "src" not in attributes, tag
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    assert not re.search(r"@import|url\((?!#)", page)
    policy = next(a for t, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_ids_are_unique_and_every_reference_has_its_target(page: str) -> None:
    found = Reader(page)
    ids = Counter(a["id"] for _, a in found.elements if "id" in a)
    assert [i for i, n in ids.items() if n > 1] == []
    wanted = {a[k][1:] for _, a in found.elements for k in ("href", "xlink:href") if a.get(k)}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", page))
    wanted |= {
        i for _, a in found.elements for k in ("aria-labelledby", "aria-describedby") for i in a.get(k, "").split()
    }
    assert len(wanted) > 20
    assert wanted <= set(ids)


def test_every_figure_has_alternative_text(page: str) -> None:
    drawings = re.findall(
        r'<svg role="img" aria-labelledby="[^"]+"[^>]*><title [^>]*>([^<]+)</title><desc [^>]*>([^<]+)<', page
    )
    assert len(drawings) == page.count("<svg") == 8
    assert sum("Cost against score" in title for title, _ in drawings) == 2
    assert sum("Distance above chance" in title for title, _ in drawings) == 4
    assert any("Chosen on validation: mfcc: lyra hidden_0" in text for _, text in drawings)


def test_every_score_and_every_label_is_there(page: str, board: list[Record]) -> None:
    text = " ".join(" ".join(Reader(page).words).split())
    for record in board:
        if (record.model.name, record.task.name) == ("chroma", "lyra"):
            continue
        metric = record.metrics["roc_auc"]
        assert metric.interval is not None
        assert f"{percent(metric.value)} [{percent(metric.interval.low)}, {percent(metric.interval.high)}]" in text
    for label in board[0].labels:
        assert label.label in text
    assert "makam--Uşşak" in text
    assert "the file is empty (0 bytes)" in text
    assert re.search(r"instrument--Bansuri\s*\(no positive in the test split\)", text)
    assert "318 of 326 test recordings share a release" in text
    assert board[0].protocol.sha256 in text
    assert "5/6 cells" in text
    assert not re.search(r"\b(nan|None|inf)\b", text.replace("place--None", ""), flags=re.IGNORECASE)


def test_mini_is_said_once_in_sight_of_its_section_only(page: str) -> None:
    real, mini = page.split('<section class="report" id="s2"')
    body = real.split("<main")[1]
    assert MINI_LABEL not in body
    shown, kept = mini.split('<script type="application/json"')
    assert shown.count(MINI_LABEL) == shown.count(f'<p class="mini">{MINI_LABEL}</p>') == 1
    assert kept.count(MINI_LABEL) == 1
    assert re.search(r"p\.mini \{ position: sticky;", page)


def test_text_from_users_is_escaped(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore], tmp_path: Path
) -> None:
    evil = '<script>alert("x")</script>'
    labels = [build_label(evil, evil, 0.7), build_label(f"{evil}2", evil, None)]
    failed = (FailedTrack(id=evil, split="test", file=evil, reason=evil),)
    records = [build_record(m, evil, labels=labels, failed=failed, notes=(evil,)) for m in (evil, "b</desc>&")]
    page = write_page(sections(records), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert" in page
    assert "b</desc>&" not in page


@pytest.mark.usefixtures("without_pictures")
def test_a_long_name_leaves_the_numbers_in_sight(build_record: Callable[..., Record], tmp_path: Path) -> None:
    name = "very-" * 40 + "long"
    page = write_page(sections([build_record(name), build_record("b")]), tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    assert re.search(r"\nth\[scope=row\] \{[^}]*max-width: 22rem[^}]*text-overflow: ellipsis", page)
    assert f"<summary>{name} " in page, "it is there as a whole"


@pytest.mark.usefixtures("without_pictures")
def test_a_score_that_does_not_exist_is_a_dash_with_its_reason(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore], tmp_path: Path
) -> None:
    records = [build_record(m, labels=[build_label("Rast", "makam", None)]) for m in ("a", "b")]
    page = write_page(sections(records), tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<td title="no label is defined">–<small>no label is defined</small></td>' in page
    assert '<td title="no positive in the test split">–' in page


@pytest.mark.usefixtures("without_pictures")
def test_tables_and_page_print_the_audit_with_every_result(
    make_task: Callable[..., Task], build_record: Callable[..., Record], own_cache: Path, tmp_path: Path
) -> None:
    task_of_tones = replace(make_task(), group_kind="album")
    data = task_of_tones.load("custom", LoadContext(None, tmp_path))
    leaking = (replace(data.splits["test"][0], group="train-0"), *data.splits["test"][1:])
    data = replace(data, splits={**data.splits, "test": leaking})
    record = build_record()
    console = Console(width=200, record=True, file=io.StringIO())
    print_table(sections([record]), console)
    assert "Audit of" not in console.export_text()
    task = record.task.model_copy(update={"split_sha256": data.split_sha256, "label_sha256": data.label_sha256})
    shown = record.model_copy(update={"task": task})
    keep_audit(audit(data).model_copy(update={"task": task.name}), own_cache)
    known = audited(sections([shown]), own_cache)
    print_table(known, console)
    assert "Audit of turkish_makam: 1 of 12 test tracks share a known album" in console.export_text()
    page = write_page(known, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<dt>audit of the split</dt><dd>1 of 12 test tracks share a known album" in page
    bare = write_page(sections([shown]), tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "audit of the split" not in bare, "what this machine keeps is not looked for"


@pytest.mark.usefixtures("without_pictures")
def test_bars_end_where_the_scores_are(build_record: Callable[..., Record], build_label: Callable[..., LabelScore],
                                       tmp_path: Path) -> None:  # fmt: skip
    labels = [build_label("high", "makam", 0.75), build_label("low", "makam", 0.4)]
    page = write_page(sections([build_record(labels=labels)]), tmp_path / "report.html").read_text(encoding="utf-8")
    high, low = (re.search(rf"<th scope=row>{name}<td>.*", page) for name in ("high", "low"))
    assert high is not None
    assert low is not None
    # A ROC-AUC cell runs from 30 to 100: 75 lies at 45/70 of it, 40 at 10/70.
    assert "<td style=--z:64;" in high[0]
    assert "<td style=--a:14;" in low[0]
    assert "<td style=--z:75;" in high[0]
    assert "--c:6" in high[0]


def test_an_interval_without_zero_that_decides_nothing_is_marked() -> None:
    settled = Difference(0.5, 0.6, 0.1, 0.02, 0.18, q_value=0.01)
    open_ = replace(settled, q_value=0.2)
    assert [page_module.unsettled(one) for one in (settled, open_, replace(open_, low=-0.01))] == [False, True, False]
    assert not page_module.unsettled(Difference(0.5, 0.6, 0.1))
    assert not page_module.unsettled(None)


def test_the_same_records_make_the_same_page(build_record: Callable[..., Record], tmp_path: Path) -> None:
    records = [build_record(m, "lyra") for m in ("mfcc", "random-mert-nano")]
    first, again = (write_page(sections(records), tmp_path / n).read_bytes() for n in ("a.html", "b.html"))
    assert first == again


@pytest.mark.usefixtures("without_pictures")
def test_what_a_page_says_is_read_again_only_from_the_page_that_was_written(
    build_record: Callable[..., Record], tmp_path: Path
) -> None:
    page = write_page(sections([build_record("mfcc"), build_record("chroma")]), tmp_path / "a.html", key="k")
    said, sound = conclusions_of(page, "k"), page.read_bytes()
    assert said
    assert conclusions_of(page, "other") is None
    for at in range(0, len(sound), len(sound) // 50):
        page.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert conclusions_of(page, "k") is None
    page.write_bytes(sound[:-200])
    assert conclusions_of(page, "k") is None


def test_a_page_of_other_code_or_with_other_views_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {page_key(tmp_path, "fact"), page_key(tmp_path, "other fact")}
    with monkeypatch.context() as patch:
        patch.setattr(page_module, "code_sha256", lambda *_: "another")
        keys.add(page_key(tmp_path, "fact"))
    with monkeypatch.context() as patch:
        patch.setattr(page_module, "entry_points", lambda group: [EntryPoint("mine", "a:b", group)])
        keys.add(page_key(tmp_path, "fact"))
    assert len(keys) == 4


def test_twenty_models_on_six_tasks_stay_under_two_mebibytes(
    board: list[Record], build_record: Callable[..., Record], tmp_path: Path
) -> None:
    tasks = sorted({r.task.name for r in board})
    records = [build_record(f"some-model-{i:02d}-330M", t, hidden_states=25) for i in range(20) for t in tasks]
    assert write_page(sections(records), tmp_path / "report.html").stat().st_size < 2 * 2**20


# --- in a browser -----------------------------------------------------------------------------------------------------

PROBE = """
var frame = document.querySelector("iframe"), seen = {errors: []};
frame.addEventListener("load", function () {
  const d = frame.contentDocument, w = frame.contentWindow;
  const table = d.querySelector("table.sortable");
  const names = () => Array.from(table.tBodies[0].rows, r => r.cells[0].textContent.trim());
  const buttons = table.tHead.rows[table.tHead.rows.length - 1].querySelectorAll("button");
  seen.buttons = buttons.length;
  seen.start = names();
  buttons[1].click(); seen.down = names(); seen.state = buttons[1].parentElement.getAttribute("aria-sort");
  buttons[1].click(); seen.up = names();
  buttons[4].click(); seen.missing_last_down = names(); buttons[4].click(); seen.missing_last_up = names();
  buttons[0].click(); seen.by_name = names();
  buttons[2].focus(); seen.focusable = d.activeElement === buttons[2];
  const bars = d.querySelector("table.bars"), sorter = bars.tHead.querySelectorAll("button");
  seen.bar_buttons = sorter.length;
  sorter[1].click();
  seen.families = Array.from(bars.tBodies, b => b.rows[0].className);
  seen.supports = Array.from(bars.tBodies[0].rows).slice(1).map(r => Number(r.cells[1].textContent));
  d.querySelectorAll("details").forEach(p => { p.open = true; });
  seen.overflow = d.documentElement.scrollWidth - d.documentElement.clientWidth;
  seen.width = d.documentElement.clientWidth;
  d.querySelectorAll("details").forEach(p => { p.open = false; });
  w.dispatchEvent(new Event("beforeprint")); seen.closed_in_print = d.querySelectorAll("details:not([open])").length;
  w.dispatchEvent(new Event("afterprint")); seen.open_after_print = d.querySelectorAll("details[open]").length;
  seen.background = w.getComputedStyle(d.body).backgroundColor;
  seen.ink = w.getComputedStyle(d.body).color;
  seen.figure_ink = w.getComputedStyle(Array.from(d.querySelector("figure svg").querySelectorAll("text")).pop()).fill;
  seen.unnamed = Array.from(d.querySelectorAll("button, a, summary")).filter(e => !e.textContent.trim()).length;
  const result = document.createElement("pre");
  result.id = "result"; result.textContent = JSON.stringify(seen);
  document.body.replaceChildren(result);
});
"""


def look(page: str, folder: Path, *options: str, width: int = 360) -> dict[str, Any]:
    """Open the page in a frame of the given width, use it, and return what was seen."""
    assert CHROMIUM is not None
    watch = (
        "<script>addEventListener('error', e => parent.seen.errors.push(e.message));"
        "addEventListener('securitypolicyviolation', e => parent.seen.errors.push(e.blockedURI))</script>"
    )
    watched = page.replace("<title>", f"{watch}<title>", 1)
    frame = f'<iframe style="width:{width}px;height:3000px;border:0" srcdoc="{html.escape(watched)}"></iframe>'
    (folder / "harness.html").write_text(f"<!doctype html><body>{frame}<script>{PROBE}</script>", encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, *BROWSER, f"--user-data-dir={folder / 'profile'}", *options, "--dump-dom",
            (folder / "harness.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert result is not None, done.stdout[-2000:] + done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(result[1]))
    return seen


@pytest.fixture(scope="module")
def seen(page: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a light browser saw at the width of a telephone."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    return look(page, tmp_path_factory.mktemp("light"), "--blink-settings=preferredColorScheme=1")


@needs_browser
def test_browser_reports_no_error(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []


@needs_browser
def test_tables_sort_by_every_column_and_missing_scores_stay_last(seen: dict[str, Any]) -> None:
    assert seen["buttons"] == 7
    assert seen["start"] == ["constant", "mfcc", "chroma", "random-mert-nano"]
    assert seen["down"] == ["chroma", "mfcc", "random-mert-nano", "constant"]
    assert seen["state"] == "descending"
    assert seen["up"] == seen["down"][::-1]
    assert seen["missing_last_down"] == ["mfcc", "random-mert-nano", "constant", "chroma"]
    assert seen["missing_last_up"] == ["constant", "random-mert-nano", "mfcc", "chroma"]
    assert seen["by_name"] == ["chroma", "constant", "mfcc", "random-mert-nano"]
    assert seen["focusable"]


@needs_browser
def test_labels_sort_within_their_family(seen: dict[str, Any]) -> None:
    assert seen["bar_buttons"] == 5
    assert set(seen["families"]) == {"family"}
    assert seen["supports"] == sorted(seen["supports"], reverse=True)
    assert seen["supports"][:3] == [650, 321, 314]


@needs_browser
def test_a_telephone_shows_the_page_without_sideways_scrolling(seen: dict[str, Any]) -> None:
    assert seen["width"] <= 360
    assert seen["overflow"] == 0


@needs_browser
def test_print_opens_everything_and_restores_it(seen: dict[str, Any]) -> None:
    assert seen["closed_in_print"] == 0
    assert seen["open_after_print"] == 0


@needs_browser
def test_every_control_has_a_name(seen: dict[str, Any]) -> None:
    assert seen["unnamed"] == 0


@needs_browser
def test_light_and_dark(seen: dict[str, Any], page: str, tmp_path: Path) -> None:
    dark = look(page, tmp_path, "--blink-settings=preferredColorScheme=0", width=1000)

    def brightness(colour: str) -> float:
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    for view, bright in ((seen, True), (dark, False)):
        assert (brightness(view["background"]) > 200) == bright
        assert (brightness(view["ink"]) < 100) == bright
        assert view["figure_ink"] == view["ink"]
    assert dark["overflow"] == 0
