"""The first screen answers: what a real browser shows before anything is scrolled or opened, on a desk and a phone."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmbench.benchmark.pages.page import write_page
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.sections import sections
from cmbench.tests.benchmark.comparing.test_headline import HEIR, KNOWS, measured
from cmbench.tests.benchmark.pages.test_page import BROWSER, CHROMIUM

Build = Callable[..., Evidence]
SIX = {**KNOWS, "chroma": KNOWS["mfcc"], "CultureMERT-of-another-name": KNOWS[HEIR]}
SCREENS = {"desk": (1400, 900), "phone": (390, 844)}
MOST_WORDS, MOST_BYTES = 1500, 330_000

PROBE = """
const seen = {};
document.querySelectorAll("iframe").forEach(function (frame) {
  frame.addEventListener("load", function () {
    const d = frame.contentDocument, w = frame.contentWindow;
    const box = e => { const r = e.getBoundingClientRect(); return {top: r.top, bottom: r.bottom, right: r.right}; };
    const maps = Array.from(d.querySelectorAll(".first svg")).filter(e => e.getClientRects().length);
    const words = d.body.innerText.split(/\\s+/).filter(Boolean).length;
    const one = {title: d.querySelector("h1").innerText, maps: maps.map(box), words: words};
    one.sentences = Array.from(d.querySelectorAll(".said p"), p => ({text: p.innerText, ...box(p)}));
    one.tall = Array.from(maps[0].querySelectorAll("text"), t => t.getBoundingClientRect().height);
    one.names = Array.from(maps[0].querySelectorAll("text"), t => ({text: t.textContent, ...box(t)}));
    one.width = d.documentElement.clientWidth; one.overflow = d.documentElement.scrollWidth - one.width;
    one.open = d.querySelectorAll("details[open]").length;
    one.banners = Array.from(d.querySelectorAll("p.mini"), p => w.getComputedStyle(p).position);
    w.scrollTo({top: 600, behavior: "instant"});
    one.banner = box(d.querySelector("p.mini")).top;
    seen[frame.id] = one;
    if (Object.keys(seen).length === 2) {
      const result = document.createElement("pre");
      result.id = "result"; result.textContent = JSON.stringify(seen);
      document.body.replaceChildren(result);
    }
  });
});
"""


@pytest.fixture(scope="module")
def page(build_evidence: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six models on four tasks of the mini edition, as `make run` has them."""
    found = measured(build_evidence, SIX, edition="mini", split="own")
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(sections(e.record for e in found), out, found, title="My models, heard", resamples=100)


@pytest.fixture(scope="module")
def seen(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser shows of it in both sizes."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (`apt install chromium`, or set CMBENCH_CHROMIUM)")
    folder, source = tmp_path_factory.mktemp("browser"), html.escape(page.read_text(encoding="utf-8"))
    frames = "".join(
        f'<iframe id="{name}" style="width:{width}px;height:{height}px;border:0" srcdoc="{source}"></iframe>'
        for name, (width, height) in SCREENS.items()
    )
    (folder / "harness.html").write_text(
        f"<!doctype html><body><script>addEventListener('DOMContentLoaded', function () {{{PROBE}}})</script>{frames}",
        encoding="utf-8",
    )
    done = subprocess.run(
        [CHROMIUM, *BROWSER, f"--user-data-dir={folder / 'profile'}", "--window-size=1600,2000", "--dump-dom",
         (folder / "harness.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert result is not None, done.stdout[-2000:] + done.stderr[-2000:]
    told: dict[str, Any] = json.loads(html.unescape(result[1]))
    return told


@pytest.mark.parametrize("screen", SCREENS)
def test_title_map_and_conclusion_are_on_the_first_screen(seen: dict[str, Any], screen: str) -> None:
    shown, (width, height) = seen[screen], SCREENS[screen]
    assert shown["title"] == "My models, heard"
    assert width - 20 < shown["width"] <= width, "a scroll bar may take some"
    assert len(shown["maps"]) == 1, "one picture, turned round on a phone"
    (only,) = shown["maps"]
    assert 0 < only["top"] < only["bottom"] <= height
    assert only["right"] <= width
    assert 3 <= len(shown["sentences"]) <= 5
    assert shown["sentences"][0]["top"] < height
    if screen == "desk":
        assert shown["sentences"][-1]["bottom"] <= height


@pytest.mark.parametrize("screen", SCREENS)
def test_the_map_is_whole_and_legible(seen: dict[str, Any], screen: str) -> None:
    shown = seen[screen]
    named = {name["text"]: name for name in shown["names"]}
    assert {"Turkish", "Greek", "Western", "mfcc", HEIR} <= named.keys()
    assert all(name["right"] <= shown["width"] for name in shown["names"])
    assert min(shown["tall"]) >= 8, "pixels of the lowest letters"
    assert shown["overflow"] == 0


def test_nothing_is_open_and_little_is_to_be_read(seen: dict[str, Any], page: Path) -> None:
    for shown in seen.values():
        assert shown["open"] == 0
        assert 100 < shown["words"] <= MOST_WORDS
    assert page.stat().st_size <= MOST_BYTES


def test_one_banner_says_mini_and_stays_in_sight(seen: dict[str, Any]) -> None:
    for shown in seen.values():
        assert shown["banners"] == ["sticky"]
        assert shown["banner"] == 0


def test_the_sentences_are_those_of_the_numbers(seen: dict[str, Any]) -> None:
    told = " ".join(sentence["text"] for sentence in seen["desk"]["sentences"])
    assert f"Turkish {HEIR} (" in told
    assert "Adapting MERT to" in told
    assert "cannot be told" in told
    assert [s["text"] for s in seen["phone"]["sentences"]] == [s["text"] for s in seen["desk"]["sentences"]]
