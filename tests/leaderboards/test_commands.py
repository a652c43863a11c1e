"""``cmbench leaderboard build``, ``serve`` and ``compare`` from the command line."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.pages.serving import server


def build(out: Path, *entries: str) -> Path:
    """Build a board by the command, as a newcomer would; all of its models have a place."""
    done = CliRunner().invoke(app, ["leaderboard", "build", *entries, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "mini edition" in done.output
    models = len(list(Path(*entries or [ENTRIES]).iterdir()))
    assert f"{models} ranked, 0 without a place" in done.output
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board of some entries of the example board."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("constant/1", "mfcc/1", "random-mert-nano/1", "MERT-nano/2"):
        shutil.copytree(ENTRIES / name, folder / "entries" / name)
    return build(folder / "site", str(folder / "entries"))


@pytest.mark.slow
def test_every_entry_of_the_example_board_is_sound(tmp_path: Path) -> None:
    build(tmp_path / "site")


def test_the_example_board_is_built(site: Path) -> None:
    places = json.loads((site / "board.json").read_text("utf-8"))["boards"][0]["places"]
    assert {one["anchor"] for one in places} == {"constant", "MFCC", "random weights", None}
    assert max(p.stat().st_size for p in site.rglob("*.html")) < 300_000


def test_an_entry_that_is_not_sound_stops_the_build(tmp_path: Path) -> None:
    shutil.copytree(ENTRIES / "mfcc", tmp_path / "entries" / "mfcc")
    record = next((tmp_path / "entries" / "mfcc" / "1" / "records").glob("lyra*"))
    record.write_text(record.read_text("utf-8").replace('"value": 0.7', '"value": 0.9', 1), "utf-8")
    done = CliRunner().invoke(app, ["leaderboard", "build", str(tmp_path / "entries"), "--out", str(tmp_path / "site")])
    assert isinstance(done.exception, CmbenchError)
    assert "Not sound: mfcc/1" in str(done.exception)
    assert not (tmp_path / "site").exists()


def test_the_server_serves_the_pages_and_nothing_above_them(site: Path) -> None:
    (site.parent / "secret.txt").write_text("secret")
    with server(site) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{serving.server_address[1]}"
        with urllib.request.urlopen(f"{address}/index.html") as page:
            assert b"<h1>cmbench board</h1>" in page.read()
            assert page.headers["X-Content-Type-Options"] == "nosniff"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/%2e%2e/secret.txt")
        refused.value.close()
        assert refused.value.code == 404
        with pytest.raises(UsageError, match="cannot be used"):
            server(site, serving.server_address[1])
        serving.shutdown()
        thread.join()


def test_there_must_be_a_board_to_serve(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["leaderboard", "serve", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "holds no board" in str(done.exception)


def test_two_entries_are_compared_by_name() -> None:
    asked = ["leaderboard", "compare", "mfcc/1", "chroma/1", "--no-labels", "--resamples", "100"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "mini" in done.output
    assert "magnatagatune" in done.output
    done = CliRunner().invoke(app, ["leaderboard", "compare", "mfcc/1", "../../etc"])
    assert isinstance(done.exception, UsageError)
    assert "../../etc" in str(done.exception)
