"""The board's pages: what is in the files, and what a real browser makes of them."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest

from cmbench.benchmark.comparing.paired import Difference
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.errors import CmbenchError, UsageError
from cmbench.files import sha256_of
from cmbench.leaderboards.claims import SAID, SHOWN_BY_A_RUN, UNVERIFIED
from cmbench.leaderboards.entry import ENTRIES, BoardId, FileFacts, Manifest, Submission, Withdrawal
from cmbench.leaderboards.listing import Site, read_site
from cmbench.leaderboards.pages.serving import server
from cmbench.leaderboards.pages.site import build, pages, reproducing
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.succession import confirm, version_order
from cmbench.tasks.base import MINI_LABEL

CHROMIUM = os.environ.get("CMBENCH_CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (`apt install chromium`, or set CMBENCH_CHROMIUM)"
)
RESAMPLES = 60
ANCHORS = ("mfcc", "random-mert-nano", "constant")
LINKS = "[a](javascript:alert(1)) [b](https://example.org) ![c](https://example.org/c.png)\n\n" + "| long |" * 30
EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)> javascript:alert(2) </script> & ﷽'


def write_entry(
    root: Path, name: str, version: str, found: Sequence[Evidence], *, card: str = "# Card", **said: Any
) -> Path:
    """Write an entry made of some evidence under another name."""
    folder = root / name / version
    for part in ("records", "predictions"):
        (folder / part).mkdir(parents=True)
    records = []
    for e in found:
        content = predictions_bytes(e.track_ids, e.groups, e.record.task.labels, e.targets, e.probabilities)
        predictions = e.record.predictions.model_copy(update={"sha256": sha256_of(content)})
        model = e.record.model.model_copy(update={"name": name, "family": "test", "description": EVIL, "source": EVIL})
        record = e.record.model_copy(update={"predictions": predictions, "model": model})
        (folder / "predictions" / f"{record.stem}.npz").write_bytes(content)
        (folder / "records" / f"{record.stem}.json").write_text(record.model_dump_json(), encoding="utf-8")
        records.append(record)
    task, protocol, model = records[0].task, records[0].protocol, records[0].model
    facts = {
        "contact": EVIL,
        "licence": "GPL-3.0",
        "training_corpora": (EVIL,),
        "contamination": EVIL,
        "submitted": "2026-01-02",
    }
    edition: Literal["full", "mini"] = "full" if task.edition == "full" else "mini"
    submission = Submission(
        name=name,
        version=version,
        board=BoardId(edition=edition, split=task.split, protocol=protocol.name, protocol_sha256=protocol.sha256),
        model_fingerprint=model.fingerprint,
        parameters=model.parameters,
        tasks=tuple(r.task.name for r in records),
        **(facts | said),
    )
    (folder / "submission.json").write_text(submission.model_dump_json(), encoding="utf-8")
    (folder / "card.md").write_text(card, encoding="utf-8")
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    listed = {
        p.relative_to(folder).as_posix(): FileFacts(bytes=p.stat().st_size, sha256=sha256_of(p.read_bytes()))
        for p in files
    }
    (folder / "manifest.json").write_text(Manifest(files=listed).model_dump_json(), encoding="utf-8")
    return folder


def copy_untrained(folder: Path) -> None:
    """Copy the example entries of models that have learnt nothing: what is added to the examples changes nothing."""
    for name in ("constant", "mfcc", "chroma", "random-mert-nano"):
        shutil.copytree(ENTRIES / name / "1", folder / name / "1")


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example entries, and: a hostile one, one that lacks a task, a withdrawn one and two versions of one."""
    root = tmp_path_factory.mktemp("board") / "entries"
    copy_untrained(root)
    chroma = read_entry(ENTRIES / "chroma" / "1").evidence
    write_entry(
        root, "evil", "1", chroma, card=f"---\nlicense: '{EVIL[:40]}'\nbase_model: lab/mfcc\n---\n{EVIL}\n\n{LINKS}"
    )
    write_entry(root, "partial", "1", [chroma[0].rows(chroma[0].track_ids[:-2]), *chroma[1:4]])
    gone = write_entry(root, "gone", "1", chroma)
    tombstone = Withdrawal(withdrawn="2026-02-03", reason=f"trained on the test tracks {EVIL}")
    (gone / "withdrawal.json").write_text(tombstone.model_dump_json(), encoding="utf-8")
    write_entry(root, "twice", "9", chroma)
    newer = write_entry(root, "twice", "10", chroma)
    confirm(newer)
    return root


@pytest.fixture(scope="module")
def built(entries: Path) -> Site:
    """All of these, ranked, and their pages written."""
    return build(entries, entries.parent / "site", RESAMPLES)


@pytest.fixture(scope="module")
def site(entries: Path, built: Site) -> Path:
    """The pages of all of these."""
    return entries.parent / "site"


@pytest.fixture(scope="module")
def board_page(site: Path) -> Path:
    (found,) = (site / "boards").iterdir()
    return found / "index.html"


def test_why_an_entry_without_some_tracks_has_no_place_is_said(site: Path, board_page: Path) -> None:
    for page in (board_page, site / "entries/partial/1/index.html"):
        text = page.read_text(encoding="utf-8")
        assert "2 of 80 test tracks of carnatic are missing" in text
        assert "A place needs every test track" in text
    assert "A place needs every" not in (site / "entries/mfcc/1/index.html").read_text(encoding="utf-8")


def test_the_address_and_the_hashes_of_a_board_are_told_apart(board_page: Path) -> None:
    text = board_page.read_text(encoding="utf-8")
    title, slug = re.search(r"<h1>(.*)</h1>", text), board_page.parent.name
    assert title is not None
    assert title[1].endswith(f"({slug[-10:-6]}, data {slug[-6:]})")
    starts = re.findall(r"SHA-256(?:</dt><dd>| )<code>([0-9a-f]{64})", text)
    assert starts[0].startswith(slug[-10:-6])
    assert starts[1].startswith(slug[-6:])


def test_an_entry_says_the_command_that_reproduces_it_and_what_is_unverified(site: Path) -> None:
    text = (site / "entries/mfcc/1/index.html").read_text(encoding="utf-8")
    assert "<code>cmbench run --model mfcc --tasks all --edition mini --protocol cmbench-1 --out own</code>" in text
    assert "<code>cmbench leaderboard reproduce leaderboards/entries/mfcc/1 --run own --maintainer" in text
    (words,) = re.findall(r'<p class="notice" id="unverified"><strong>(\w+)</strong>.*?: (.*?)\. cmbench', text)
    assert words[0].lower() == UNVERIFIED
    found = json.loads((site / "board.json").read_text("utf-8"))["entries"]["mfcc/1"]
    assert words[1].split("; ") == found[UNVERIFIED] == [*SHOWN_BY_A_RUN, *SAID]


def test_a_command_is_one_for_a_shell_whatever_a_model_is_called(built: Site) -> None:
    listed = built.listed["partial/1"]
    record = listed.records[0]
    hostile = record.model_copy(update={"model": record.model.model_copy(update={"name": "x; rm -rf ~ $(id)"})})
    board = listed.submission.board.model_copy(update={"split": "group-safe"})
    said = listed.submission.model_copy(update={"board": board})
    run, _ = reproducing(replace(listed, records=(hostile,), submission=said))
    words = shlex.split(run)
    assert words[:4] == ["cmbench", "run", "--model", "x; rm -rf ~ $(id)"]
    assert words[5] == "carnatic,fma_medium,hindustani,lyra"
    assert words[words.index("--split") + 1] == "group-safe"


class Reader(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))


def every_page(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) == 2 + 2 + len(list((site / "entries").glob("*/*")))
    return found


def test_pages_need_no_network_and_every_link_leads_somewhere(site: Path) -> None:
    links = strangers = 0
    for page in every_page(site):
        text = page.read_text(encoding="utf-8")
        found = Reader(text)
        assert not [t for t, _ in found.elements if t in ("link", "img", "iframe", "object", "embed", "base")], page
        ids = {a["id"] for _, a in found.elements if "id" in a}
        for tag, attributes in found.elements:
            assert "src" not in attributes, (page, tag)
            assert not [name for name in attributes if name.startswith("on")], (page, tag)
            if "href" in attributes:
                target = urlsplit(attributes["href"])
                if "nofollow" in attributes.get("rel", ""):
                    assert target.scheme == "https"
                    strangers += 1
                    continue
                assert not target.scheme, attributes["href"]
                assert not target.netloc
                if target.path:
                    assert (page.parent / unquote(target.path)).is_file(), (page, attributes["href"])
                else:
                    assert target.fragment in ids
                links += 1
        assert not re.search(r"@import|url\(", text)
    assert links > 150
    assert strangers == 1


def test_only_our_own_scripts_may_run(site: Path) -> None:
    for page in every_page(site):
        policy = next(
            a["content"] for _, a in Reader(page.read_text("utf-8")).elements if "content" in a and "http-equiv" in a
        )
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
        assert "script-src 'unsafe" not in policy


def test_ids_are_unique_and_tables_have_captions_and_scopes(site: Path) -> None:
    for page in every_page(site):
        text = page.read_text(encoding="utf-8")
        found = Reader(text).elements
        ids = Counter(a["id"] for _, a in found if "id" in a)
        assert [i for i, n in ids.items() if n > 1] == []
        kinds = Counter(tag for tag, _ in found)
        assert kinds["table"] == kinds["caption"], page
        assert all("scope" in a for tag, a in found if tag == "th"), page
        assert kinds["h1"] == kinds["main"] == 1


def test_mini_is_named_once_above_every_number(site: Path) -> None:
    for page in every_page(site):
        text = page.read_text("utf-8")
        here = page != site / "reported.html"
        assert text.count(f'<p class="mini">{MINI_LABEL}</p>') == text.count(MINI_LABEL) == here, page
        assert not here or text.index(MINI_LABEL) < text.index("<caption")
    assert 'id="no-real"' in (site / "index.html").read_text("utf-8")


def test_the_first_page_shows_the_board(site: Path, board_page: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    rows = re.findall(r"<tr><th scope=\"row\"><a [^>]*>([^<]*)</a>(.*?)</tr>", text)
    assert [name for name, _ in rows] == [name.replace("/", " ") for name in ALL]
    assert [" °" in cells for _, cells in rows] == [name.split("/")[0] in ANCHORS for name in ALL]
    assert all(len(re.findall('<td style="background:#[0-9a-f]{6};color:#', cells)) == 6 for _, cells in rows)
    assert f'href="boards/{board_page.parent.name}/compare.html"' in text


def test_what_papers_report_is_apart_grey_and_without_a_place(site: Path, board_page: Path) -> None:
    apart = (site / "reported.html").read_text("utf-8")
    block = re.search(r'<section class="reported".*?</section>', apart, flags=re.DOTALL)
    assert block is not None
    assert "CultureMERT" in block[0]
    assert "never ranked" in block[0]
    # Reported figures are of real data and never on a page of synthetic data.
    for page in (site / "index.html", board_page):
        assert "CultureMERT" not in page.read_text("utf-8")


def test_words_of_entries_are_escaped(site: Path) -> None:
    seen = 0
    for page in every_page(site):
        text = page.read_text(encoding="utf-8")
        found = Reader(text).elements
        scripts = [a for tag, a in found if tag == "script"]
        assert len(scripts) <= 3
        assert "<script>alert" not in text
        assert "<img" not in text
        seen += "&lt;script&gt;alert" in text
    assert seen >= 3


def test_entries_that_do_not_count_are_listed_with_the_reason(site: Path, board_page: Path) -> None:
    text = board_page.read_text(encoding="utf-8")
    places = re.search(r'<table class="sortable board" id="places">.*?</table>', text, flags=re.DOTALL)
    assert places is not None
    named = re.findall(r'data-name="([^"]+)"', places[0])
    assert sorted(named) == ["chroma/1", "constant/1", "evil/1", "mfcc/1", "random-mert-nano/1", "twice/10"]
    assert "no record of magnatagatune, turkish_makam" in text
    retired = text.split('id="retired"')[1]
    assert "withdrawn on 2026-02-03: trained on the test tracks" in retired
    assert re.search(r"twice 9</a>: superseded by <a [^>]*>twice 10</a>", retired)
    partial = (site / "entries" / "partial" / "1" / "index.html").read_text("utf-8")
    assert "Not ranked: no record of" in partial


def test_versions_are_ordered_as_numbers() -> None:
    assert sorted(["10", "9", "1.10", "1.9", "1", "2a", "2"], key=version_order) == [
        "1", "1.9", "1.10", "2", "2a", "9", "10",
    ]  # fmt: skip


def test_twins_share_a_place_and_retention_knows_the_base(site: Path) -> None:
    found = json.loads((site / "board.json").read_text("utf-8"), parse_constant=lambda c: pytest.fail(c))
    (board,) = found["boards"]
    places = {one["name"]: one for one in board["places"]}
    assert places["evil/1"]["place"] == places["chroma/1"]["place"] == places["twice/10"]["place"]
    assert set(places["evil/1"]["not_told_apart_from"]) >= {"chroma/1", "twice/10"}
    western = [places[name]["traditions"]["western"][0] for name in ("evil/1", "mfcc/1")]
    assert places["evil/1"]["western_retention"][0] == pytest.approx(western[0] / western[1], abs=1e-4)
    assert places["mfcc/1"]["western_retention"] is None
    assert board["warning"] == MINI_LABEL
    assert found["entries"]["gone/1"]["withdrawn"].startswith("trained on the test tracks")
    for one in found["entries"].values():
        assert all((site / file).is_file() for file in one["files"])


def test_downloads_are_the_entrys_files(entries: Path, site: Path) -> None:
    for file in (entries / "mfcc" / "1").rglob("*"):
        if file.is_file():
            copy = site / "entries" / "mfcc" / "1" / file.relative_to(entries / "mfcc" / "1")
            assert copy.read_bytes() == file.read_bytes()


def test_the_same_entries_make_the_same_bytes(entries: Path, site: Path, tmp_path: Path) -> None:
    build(entries, tmp_path / "again", RESAMPLES)
    names = sorted(p.relative_to(site) for p in site.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    assert all((site / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_the_hash_follows_the_entries(entries: Path, tmp_path: Path) -> None:
    copy = tmp_path / "entries"
    shutil.copytree(entries, copy, ignore=shutil.ignore_patterns("evil", "twice", "partial", "gone"))
    before = read_site(copy, RESAMPLES).entries_sha256
    tombstone = Withdrawal(withdrawn="2026-02-03", reason="a mistake")
    (copy / "mfcc" / "1" / "withdrawal.json").write_text(tombstone.model_dump_json(), encoding="utf-8")
    after = read_site(copy, RESAMPLES)
    assert after.entries_sha256 != before
    assert [place.name for place in after.boards[0].places] == ["chroma/1", "random-mert-nano/1", "constant/1"]
    assert after.boards[0].missing_anchors == ("MFCC",)


def test_a_foreign_folder_is_not_touched(entries: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds something that is not a board"):
        build(entries, tmp_path / "mine", RESAMPLES)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"
    with pytest.raises(UsageError, match="not a folder"):
        build(entries, tmp_path / "mine" / "thesis.tex", RESAMPLES)
    with pytest.raises(CmbenchError, match="there is no such folder"):
        build(tmp_path / "nothing", tmp_path / "site", RESAMPLES)
    assert not (tmp_path / "site").exists()


def test_no_entries_make_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "entries").mkdir()
    for _ in range(2):
        assert build(tmp_path / "entries", tmp_path / "site").boards == ()
    assert 'id="no-real"' in (tmp_path / "site" / "index.html").read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["entries", "site"]


@pytest.mark.parametrize(("count", "paired"), [(57, True), (70, False)])
def test_many_entries_stay_under_300_kilobytes(built: Site, count: int, paired: bool) -> None:
    (board,) = built.boards
    places = tuple(replace(board.places[i % 6], name=f"a-long-name-for-a-model-{i}/1") for i in range(count))
    listed = {p.name: replace(built.listed["mfcc/1"], key=p.name) for p in places}
    told = Difference(0.41234, 0.51234, 0.12345, 0.01234, 0.21234, p_value=0.01)
    differences = {(a.name, b.name): told for a, b in combinations(places, 2)}
    many = replace(board, places=places, incomplete=(), differences=differences)
    made = dict(pages(Site((many,), listed, built.reported, "1.0", "0" * 64)))
    for name, text in made.items():
        assert len(text.encode()) < 300_000, name
        assert not name.endswith("compare.html") or ('"differences":null' not in text) == paired
    assert len(json.loads(made["board.json"])["boards"][0]["places"]) == count


def test_real_data_stand_apart_from_mini_and_beside_reported_figures(tmp_path: Path) -> None:
    found = []
    for e in read_entry(ENTRIES / "mfcc" / "1").evidence:
        task = e.record.task.model_copy(update={"edition": "full", "split": "official"})
        record = e.record.model_copy(update={"task": task})
        stem = {"file": f"{record.stem}.npz"}
        predictions = record.predictions.model_copy(update=stem)
        found.append(replace(e, record=record.model_copy(update={"predictions": predictions})))
    copy_untrained(tmp_path / "entries")
    write_entry(tmp_path / "entries", "real", "1", found)
    made = dict(pages(read_site(tmp_path / "entries", RESAMPLES)))
    real, mini = (text for name, text in made.items() if name.startswith("boards/") and name.endswith("index.html"))
    body = real.split("<main")[1]
    assert MINI_LABEL not in body
    assert 'data-name="real/1"' in body
    assert 'data-name="mfcc/1"' not in body
    assert "Anchors that nobody has measured here yet: constant, random weights, MFCC." in body
    assert '<section class="reported"' in body
    assert 'data-name="real/1"' not in mini
    assert "CultureMERT" not in mini
    assert 'id="no-real"' not in made["index.html"]
    first = made["index.html"].split("<main")[1]
    assert 'href="entries/real/1/index.html"' in first
    # Of the synthetic boards there is a link, and no number.
    assert "entries/mfcc" not in first
    assert MINI_LABEL not in first
    assert "mini edition" in first.split('id="examples"')[1]


def test_too_many_pairs_are_left_out_and_said(built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmbench.leaderboards.pages.site.MOST_PAIRS", 2)
    made = dict(pages(built))
    page = next(text for name, text in made.items() if name.endswith("compare.html"))
    assert '"differences":null' in page
    assert "too many pairs" in page


# --- in a browser -----------------------------------------------------------------------------------------------------

PROBE = """
const pause = () => new Promise(done => setTimeout(done, 60));
const frame = document.querySelector("iframe");
function open(address) {
  return new Promise(done => { frame.onload = () => done(frame.contentDocument); frame.src = address; });
}
const names = table => Array.from(table.tBodies[0].rows).filter(r => !r.hidden).map(r => r.dataset.name);
const overflow = d => d.documentElement.scrollWidth - d.documentElement.clientWidth;
// What reaches out of its own box, and what can only be read by scrolling sideways.
const wider = e => e.offsetWidth && e.scrollWidth > e.clientWidth + 1;
const cut = (d, what) => Array.from(d.querySelectorAll(what)).filter(wider).map(e => e.textContent.trim().slice(0, 40));
const CELLS = ".matrix :is(td, th), #side :is(td, th), form :is(label, output), dd, pre, .notice";
function choose(d, field, value) {
  const control = d.getElementById("filters").elements[field];
  control.value = value;
  control.dispatchEvent(new Event("input", {bubbles: true}));
}
const heads = table => Array.from(table.tHead.rows[0].cells).filter(c => !c.hidden).length;
async function look() {
  const seen = {};
  let d = await open(BOARD);
  const table = d.getElementById("places");
  seen.controls = Array.from(d.querySelectorAll("a, button, input, select, summary, [tabindex]"));
  const named = e => e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length;
  seen.unnamed = seen.controls.filter(e => !named(e)).length;
  seen.unreachable = seen.controls.filter(e => e.tabIndex < 0).length;
  seen.first = seen.controls[0].className;
  seen.controls = seen.controls.length;
  seen.form = !d.getElementById("filters").hidden;
  seen.start = names(table);
  const buttons = Array.from(table.tHead.querySelectorAll("button"));
  seen.buttons = buttons.length;
  buttons[2].click(); seen.down = names(table); seen.state = buttons[2].parentElement.getAttribute("aria-sort");
  buttons[2].click(); seen.up = names(table);
  buttons[0].click(); seen.by_name = names(table);
  buttons[1].focus({focusVisible: true});
  seen.focus = d.activeElement === buttons[1] && frame.contentWindow.getComputedStyle(buttons[1]).outlineStyle;
  choose(d, "licence", "GPL-3.0"); seen.licence = names(table); seen.shown = d.getElementById("shown").textContent;
  seen.hash = frame.contentWindow.location.hash;
  choose(d, "licence", ""); choose(d, "name", "TWI"); seen.name = names(table);
  choose(d, "name", ""); choose(d, "badge", "rescored"); seen.badge = names(table).length;
  choose(d, "badge", ""); choose(d, "size", "10"); seen.size = names(table).length; choose(d, "size", "");
  seen.heads = heads(table); choose(d, "tradition", "turkish");
  seen.turkish = [heads(table), heads(d.getElementById("roc_auc"))];
  choose(d, "tradition", ""); choose(d, "task", "lyra"); seen.lyra = heads(d.getElementById("roc_auc"));
  choose(d, "metric", "average_precision");
  seen.metric = [d.getElementById("roc_auc").offsetHeight, d.getElementById("average_precision").offsetHeight > 0];
  d.querySelector("button[type=reset]").click(); await pause();
  seen.reset = [heads(d.getElementById("roc_auc")), names(table).length, frame.contentWindow.location.hash];
  seen.overflow = []; seen.cells = []; seen.scrolled = [];
  const measure = d => {
    seen.overflow.push(overflow(d)); seen.cells.push(...cut(d, CELLS));
    seen.scrolled.push(...cut(d, ".scroll, th[scope=row]"));
  };
  measure(d);
  seen.width = d.documentElement.clientWidth;
  const style = frame.contentWindow.getComputedStyle(d.body);
  seen.background = style.backgroundColor; seen.ink = style.color;
  seen.sticky = frame.contentWindow.getComputedStyle(table.tBodies[0].rows[0].cells[0]).backgroundColor;
  await open("/index.html");
  d = await open(BOARD + "#licence=GPL-3.0&task=lyra&badge=%3Cimg%3E");
  seen.link = [names(d.getElementById("places")), heads(d.getElementById("roc_auc"))];
  d = await open(BOARD.replace("index.html", "compare.html") + "#a=chroma/1&b=mfcc/1");
  seen.verdict = d.getElementById("verdict").textContent;
  seen.rows = Array.from(d.getElementById("rows").rows, r => Array.from(r.cells, c => c.textContent));
  d.getElementById("swap").click();
  seen.swapped = d.getElementById("verdict").textContent;
  seen.pair = frame.contentWindow.location.hash;
  measure(d);
  d.querySelector("#name-a a").click(); await new Promise(done => { frame.onload = done; });
  d = frame.contentDocument;
  seen.entry = d.querySelector("h1").textContent;
  d.querySelectorAll("details").forEach(part => { part.open = true; });
  measure(d);
  d = await open("/entries/evil/1/index.html");
  d.querySelectorAll("details").forEach(part => { part.open = true; });
  measure(d);
  seen.card = d.querySelector(".card").textContent.includes("<script>alert");
  seen.images = d.images.length;
  d = await open("/index.html"); measure(d);
  seen.matrix = cut(d, ".scroll");
  return seen;
}
look().catch(e => ({failed: String(e), stack: e.stack})).then(seen => {
  const result = document.createElement("pre");
  result.id = "result"; result.textContent = JSON.stringify(seen);
  document.body.replaceChildren(result);
});
"""


@pytest.fixture(scope="module")
def served(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A copy of the site on a local port."""
    folder = tmp_path_factory.mktemp("served") / "site"
    shutil.copytree(site, folder)
    with server(folder) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def look(served: tuple[Path, str], profile: Path, width: int, *options: str) -> tuple[dict[str, Any], str]:
    """Use the pages in a frame of some width; return what was seen, and what the browser complained of."""
    assert CHROMIUM is not None
    folder, address = served
    (board,) = (folder / "boards").iterdir()
    script = PROBE.replace("BOARD", json.dumps(f"/boards/{board.name}/index.html"))
    frame = f'<iframe style="width:{width}px;height:3000px;border:0"></iframe>'
    (folder / "harness.html").write_text(f"<!doctype html><body>{frame}<script>{script}</script>", encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
            "--disable-dev-shm-usage", "--enable-logging=stderr",
            f"--user-data-dir={profile}", "--virtual-time-budget=20000", *options, "--dump-dom",
            f"{address}/harness.html",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert result is not None, done.stdout[-2000:] + done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(result[1]))
    assert "failed" not in seen, seen
    return seen, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.fixture(scope="module")
def seen(served: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a light browser saw at the width of a telephone."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    profile = tmp_path_factory.mktemp("light")
    found, complaints = look(served, profile, 390, "--blink-settings=preferredColorScheme=1")
    return found | {"complaints": complaints}


ALL = ["mfcc/1", "chroma/1", "evil/1", "twice/10", "random-mert-nano/1", "constant/1"]


@needs_browser
def test_the_browser_complains_of_nothing(seen: dict[str, Any]) -> None:
    assert seen["complaints"] == ""
    assert seen["form"]


@needs_browser
def test_places_sort_by_every_column(seen: dict[str, Any]) -> None:
    assert seen["start"] == seen["down"] == ALL
    assert seen["buttons"] == seen["heads"] == 9
    assert seen["state"] == "descending"
    assert (seen["up"][0], seen["up"][-1]) == ("constant/1", "mfcc/1")
    assert seen["by_name"] == sorted(ALL)


@needs_browser
def test_filters_hide_entries_and_columns_but_never_anchors(seen: dict[str, Any]) -> None:
    anchors = {"mfcc/1", "random-mert-nano/1", "constant/1"}
    assert set(seen["licence"]) == anchors | {"evil/1", "twice/10"}
    assert seen["shown"] == "5 of 6 entries shown; anchors stay."
    assert seen["hash"] == "#licence=GPL-3.0"
    assert set(seen["name"]) == anchors | {"twice/10"}
    assert (seen["badge"], seen["size"]) == (6, 6)
    assert seen["turkish"] == [5, 2]
    assert seen["lyra"] == 2
    assert seen["metric"] == [0, True]
    assert seen["reset"] == [7, 6, ""]


@needs_browser
def test_a_link_keeps_the_filters(seen: dict[str, Any]) -> None:
    assert set(seen["link"][0]) == {"mfcc/1", "random-mert-nano/1", "constant/1", "evil/1", "twice/10"}
    assert seen["link"][1] == 2


@needs_browser
def test_two_entries_are_compared_with_their_paired_interval(seen: dict[str, Any], site: Path) -> None:
    assert re.fullmatch(
        r"Score, second − first: \+\d+\.\d \[[+−]?\d+\.\d, \+\d+\.\d\], paired\. .*", seen["verdict"]
    ), seen["verdict"]
    assert re.match(r"Score, second − first: −\d+\.\d \[−\d+\.\d, [+−]?\d+\.\d\], paired\. ", seen["swapped"])
    assert seen["pair"] == "#a=mfcc%2F1&b=chroma%2F1"
    assert len(seen["rows"]) == 6 + 12
    place = json.loads((site / "board.json").read_text("utf-8"))["boards"][0]["places"][1]
    assert place["name"] == "chroma/1"
    assert seen["rows"][0][1].startswith(f"{100 * place['score'][0]:.1f} [")
    assert seen["entry"] == "mfcc 1"


@needs_browser
def test_a_telephone_shows_every_page_without_sideways_scrolling(seen: dict[str, Any]) -> None:
    assert seen["width"] <= 390
    assert seen["overflow"] == [0] * 5
    assert seen["cells"] == []
    # The board at a glance fits as a whole.
    assert seen["matrix"] == []


@needs_browser
def test_every_control_has_a_name_and_is_reached_by_keyboard(seen: dict[str, Any]) -> None:
    assert seen["controls"] > 30
    assert seen["unnamed"] == seen["unreachable"] == 0
    assert seen["first"] == "skip"
    assert seen["focus"] == "solid"


@needs_browser
def test_hostile_words_are_only_words(seen: dict[str, Any]) -> None:
    assert seen["card"]
    assert seen["images"] == 0


@needs_browser
def test_light_and_dark_and_at_a_desk_nothing_is_cut(
    seen: dict[str, Any], served: tuple[Path, str], tmp_path: Path
) -> None:
    dark, complaints = look(served, tmp_path, 1400, "--blink-settings=preferredColorScheme=0")

    def brightness(colour: str) -> float:
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    for view, bright in ((seen, True), (dark, False)):
        assert (brightness(view["background"]) > 200) == bright
        assert (brightness(view["ink"]) < 100) == bright
        assert view["sticky"] == view["background"]
    assert dark["overflow"] == [0] * 5
    assert dark["cells"] == dark["scrolled"] == []
    assert complaints == ""
