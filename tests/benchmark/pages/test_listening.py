"""The page to hear and see the mini edition."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmbench.benchmark.pages.listening import (
    BANDS,
    LEFT,
    LOWEST_HZ,
    RANGE_DB,
    WIDE,
    choose_tracks,
    log_spectrogram,
    write_listening_page,
)
from cmbench.errors import UsageError
from cmbench.tasks.base import MINI_LABEL, LoadContext, Task
from cmbench.tasks.choice import get_task
from cmbench.tasks.mini.corpus import counts, plan
from cmbench.tasks.mini.edition import load_mini, tradition
from cmbench.tasks.mini.oscillator import RATE
from cmbench.tests.benchmark.pages.test_page import BROWSER, CHROMIUM, needs_browser
from cmbench.tests.conftest import Cmbench

SCALE = 0.1
"""Eight test tracks of two albums."""
SMALLEST = 0.03


class Reader(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("listen") / "deep" / "mini.html"
    tasks = [get_task("turkish_makam"), get_task("fma_medium")]
    assert write_listening_page(tasks, out, count=2, scale=SCALE) == out
    return out.read_text(encoding="utf-8")


def test_the_page_needs_no_network_and_says_what_it_is(page: str) -> None:
    found = Reader(page)
    assert page.count(MINI_LABEL) == 1
    for tag, attributes in found.elements:
        assert attributes.get("src", "data:").startswith("data:"), tag
        assert attributes.get("href", "#").startswith("#"), tag
    assert [a.get("src") for a in found.named("script")] == [None]
    assert not found.named("link")
    assert not re.search(r"@import|url\(", page)
    policy = next(a for a in found.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_every_track_has_a_player_a_described_picture_and_its_labels(page: str) -> None:
    found = Reader(page)
    assert len(found.named("article")) == len(found.named("audio")) == len(found.named("img")) == 4
    for image in found.named("img"):
        assert image["alt"].startswith("Spectrogram of test-")
        assert base64.b64decode(image["src"].partition(",")[2])[8:12] == b"WEBP"
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    size = {"test": counts(SCALE)["test"]}
    for spec in choose_tracks(plan("turkish_makam", tradition("turkish_makam"), 0, size), 2):
        assert all(label in page for label in (spec.id, spec.group, *spec.content.labels))


# A player whose sound does not matter: media take their own time, which a headless browser's clock does not wait for.
PROBE = """
<script>
addEventListener("load", function () {
  const article = document.querySelector("article"), audio = article.querySelector("audio");
  const line = article.querySelector(".seen span"), seen = article.querySelector(".seen");
  let at = 0;
  Object.defineProperty(audio, "duration", {value: 8});
  Object.defineProperty(audio, "currentTime",
    {get: () => at, set: v => { at = v; audio.dispatchEvent(new Event("seeked")); }});
  const told = {hidden: line.hidden}, box = seen.getBoundingClientRect();
  seen.dispatchEvent(new MouseEvent("click", {clientX: box.left + box.width * (%s + %s / 4)}));
  told.place = (line.getBoundingClientRect().left - box.left) / box.width;
  told.seconds = at;
  told.shown = !line.hidden;
  document.body.textContent = "told " + JSON.stringify(told) + " told";
});
</script>
"""


@needs_browser
def test_a_line_shows_where_the_player_is(page: str, tmp_path: Path) -> None:
    probed = tmp_path / "probed.html"
    probed.write_text(page.replace("</body>", PROBE % (LEFT, WIDE) + "</body>"), encoding="utf-8")
    assert CHROMIUM is not None
    command = [CHROMIUM, *BROWSER, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"told (\{.*\}) told", done.stdout)
    assert found is not None, done.stdout[-500:] + done.stderr[-2000:]
    told = json.loads(found[1])
    assert told["hidden"]
    assert told["shown"]
    assert told["seconds"] == pytest.approx(2.0, abs=0.05)
    assert told["place"] == pytest.approx(LEFT + WIDE / 4, abs=0.01)


def test_modal_music_shows_its_degrees_and_other_music_does_not(page: str) -> None:
    turkish, western = page.split('<section id="fma_medium"')
    assert re.search(r"cents above the tonic</dt><dd>0 \d+ .* 1200", turkish)
    assert "cents above the tonic" not in western


def test_what_is_heard_is_what_a_run_reads(tmp_path: Path) -> None:
    splits = load_mini("turkish_makam", LoadContext(None, tmp_path, mini_scale=SMALLEST, mini_seed=4))
    page = write_listening_page([get_task("turkish_makam")], tmp_path / "mini.html", 1, 4, SMALLEST)
    (player,) = Reader(page.read_text(encoding="utf-8")).named("audio")
    track = next(t for t in splits["test"] if player["aria-label"].endswith(f", {t.id}"))
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(player["src"].partition(",")[2])), dtype="int16")
    assert rate == RATE
    assert np.array_equal(heard, soundfile.read(track.path, dtype="int16")[0])


def test_the_same_seed_gives_the_same_page(tmp_path: Path) -> None:
    tasks = [get_task("lyra")]
    pages = [write_listening_page(tasks, tmp_path / f"{k}.html", 1, 0, SMALLEST).read_bytes() for k in range(2)]
    other = write_listening_page(tasks, tmp_path / "other.html", 1, 1, SMALLEST).read_bytes()
    assert pages[0] == pages[1] != other


def test_a_sine_stands_in_its_band_in_every_octave() -> None:
    time = np.arange(RATE) / RATE
    for hz in (60.0, 130.0, 440.0, 1500.0, 7000.0):
        levels = log_spectrogram(0.5 * np.sin(2 * np.pi * hz * time))
        assert levels.max() == 0.0
        assert levels.min() >= -RANGE_DB
        assert abs(int(levels[:, 50].argmax()) - np.log2(hz / LOWEST_HZ) * BANDS) <= 2.5, hz


def test_silence_has_a_spectrogram() -> None:
    assert np.isfinite(log_spectrogram(np.zeros(RATE))).all()


def test_chosen_tracks_are_of_different_albums_and_show_new_labels() -> None:
    specs = plan("lyra", tradition("lyra"), 0, {"test": 80})
    chosen = choose_tracks(specs, 4)
    assert len({s.group for s in chosen}) == 4
    assert len(chosen[0].content.labels) == max(len(s.content.labels) for s in specs)
    assert set(chosen[1].content.labels) - set(chosen[0].content.labels)
    assert len(choose_tracks(specs, 500)) == len({s.group for s in specs})


@pytest.mark.parametrize(
    ("count", "scale", "what"), [(0, 1.0, "--tracks"), (81, 1.0, "--tracks"), (1, 0.0, "scale"), (1, np.nan, "scale")]
)
def test_wrong_numbers_are_refused(tmp_path: Path, count: int, scale: float, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        write_listening_page([get_task("lyra")], tmp_path / "mini.html", count, 0, scale)


def test_tasks_without_a_mini_edition_and_folders_are_refused(tmp_path: Path, make_task: Callable[[], Task]) -> None:
    with pytest.raises(UsageError, match="no mini edition"):
        write_listening_page([make_task()], tmp_path / "mini.html")
    with pytest.raises(UsageError, match="is a folder"):
        write_listening_page([get_task("lyra")], tmp_path)


def test_the_command_writes_the_page(tmp_path: Path, cmbench: Cmbench) -> None:
    out = tmp_path / "mini.html"
    done = cmbench("mini", "listen", "--tasks", "lyra", "--tracks", "1", "--mini-scale", SMALLEST, "--out", out)
    assert done.out.startswith(f"Page: {out}")
    assert len(Reader(out.read_text()).named("audio")) == 1
