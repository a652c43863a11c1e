"""What is said before anything is fetched."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cmbench.benchmark.commands import preparation
from cmbench.benchmark.commands.preparation import print_notes, print_plan, shown_on, with_announced_sizes
from cmbench.errors import Missing
from cmbench.tasks.preparing import Download, Plan, PrepareContext, Step
from cmbench.terminal import ProgressBar


def printed(plan: Plan) -> str:
    console = Console(width=60, file=io.StringIO(), record=True)
    print_notes(plan, console)
    print_plan(plan, console)
    return console.export_text()


@pytest.fixture
def download(tmp_path: Path) -> Download:
    return Download("https://example.org/[a].zip", tmp_path / "[a].zip", "CC BY 4.0", 2_500_000, "sha1:00")


def test_source_place_size_check_and_licence_are_all_said(download: Download, tmp_path: Path) -> None:
    step = Step("fetch tags with your token", lambda context: None, size=None, licence="on request", fetches=True)
    unpack = Step("unpack 3 clips", lambda context: None, size=4_000)
    unknown = replace(download, path=tmp_path / "b", size=None, digest=None)
    lacking = Missing("audio of x", "here", "a shop", "", "")
    text = printed(Plan((download, unknown), (unpack, step), (lacking,), ("Mind the [gap].",)))
    assert "note  Mind the [gap]." in text
    assert "https://example.org/[a].zip" in text
    assert f"to {tmp_path}/[a].zip" in text
    assert "2.5 MB · checked by sha1 · CC BY 4.0" in text
    assert "size not stated · no hash published, so not checked · CC BY 4.0" in text
    assert "unpack 3 clips (4.0 kB)" in text
    assert "fetch tags with your token (on request)" in text
    assert "not here  audio of x: only you can get it, from a shop" in text
    assert "To fetch: 2.5 MB and 2 of unknown size. On the disk in the end: 2.5 MB or more." in text


def test_sizes_that_nobody_states_are_estimated_and_called_so(download: Download) -> None:
    unpack = Step("unpack 3 clips", lambda context: None, size=4_000_000)
    plan = Plan((replace(download, size=None),), (unpack,), estimate=3_000_000)
    told = "To fetch: 0 bytes and 1 of unknown size, about 3.0 MB in all. On the disk in the end: about 7.0 MB."
    assert told in printed(plan)
    stated = replace(plan, downloads=(download,))
    assert "To fetch: 2.5 MB. On the disk in the end: 6.5 MB." in printed(stated)


def test_files_of_a_collection_are_counted_and_their_bytes_worked_out(download: Download) -> None:
    collection = Step("fetch 5297 mp3", lambda context: None, licence="lent", fetches=True, files=5297, estimate=10**10)
    text = printed(Plan((download,), (collection,)))
    assert "fetch 5297 mp3 (about 10.0 GB · lent)" in text
    assert "To fetch: 5298 files, about 10.0 GB (2.5 MB of it stated, the rest worked out)." in text
    assert "On the disk in the end: about 10.0 GB." in text


def test_what_is_there_is_not_counted_again(download: Download, tmp_path: Path) -> None:
    part = replace(download, path=tmp_path / "b")
    (tmp_path / "[a].zip").write_bytes(b"x")
    (tmp_path / "b.part").write_bytes(b"x" * 1000)
    text = printed(Plan((download, part)))
    assert "there already · checked by sha1" in text
    assert "2.5 MB, 1.0 kB of it there" in text
    assert "To fetch: 2.5 MB." in text


def test_only_unstated_sizes_are_asked_for(download: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def announced(one: Download, context: PrepareContext) -> int:
        asked.append(one.path)
        return 7

    monkeypatch.setattr(preparation, "announced_size", announced)
    there, unknown = (replace(download, path=tmp_path / name, size=None) for name in ("there", "unknown"))
    there.path.touch()
    plan = with_announced_sizes(Plan((download, there, unknown)), PrepareContext(tmp_path, str))
    assert [one.size for one in plan.downloads] == [2_500_000, None, 7]
    assert asked == [unknown.path]


def test_a_server_that_does_not_say_is_not_asked_again(
    download: Download, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(preparation, "announced_size", lambda one, context: asked.append(one.url))
    urls = ("https://a.org/1", "https://a.org/2", "https://b.org/1")
    downloads = tuple(replace(download, url=url, path=tmp_path / url[-3:], size=None) for url in urls)
    with_announced_sizes(Plan(downloads), PrepareContext(tmp_path, str))
    assert asked == ["https://a.org/1", "https://b.org/1"]


def test_bars_show_bytes_of_downloads_and_files_of_steps() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with ProgressBar(console) as bars:
        progress = shown_on(bars, {"a.zip"})
        progress("a.zip", 1_500_000, 3_000_000)
        bars.bars.refresh()
        progress("a.zip", 2_000_000, 0)
        bars.bars.refresh()
        progress("mp3.zip", 3, 4)
        bars.bars.refresh()
        bars.print("[not markup]")
    text = stream.getvalue()
    for words in ("1.5 MB of 3.0 MB", "2.0 MB", "3/4", "[not markup]"):
        assert words in text
