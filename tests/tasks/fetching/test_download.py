"""Downloads from a local server that fails in every way a real one does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.tasks.fetching import download as download_module
from cmbench.tasks.fetching import room
from cmbench.tasks.fetching.download import announced_size, fetch, is_fetched, read_receipt, receipt_path
from cmbench.tasks.fetching.unreachable import UnreachableError
from cmbench.tasks.preparing import Download, PrepareContext

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@dataclass
class Server:
    """What a request gets, and what was asked.

    Attributes:
        url: of the one file.
        faults: one for each request, in order: a status, or ``cut`` (half of what was asked), ``slow`` (nothing for a
            while), ``moved`` (a stretch that begins elsewhere), ``stretch`` (a whole answer with the first half of what
            was asked), ``empty``, ``nowhere`` (sent on to what is no address). When they are used up, all is well.
        ranges: whether it knows ranges.
        body: the file.
        asked: the Range header of every request; ``None`` where there was none.
    """

    url: str = ""
    faults: list[int | str] = field(default_factory=list)
    ranges: bool = True
    validator: bool = True
    body: bytes = BODY
    retry_after: str | None = None
    kind: str = "application/zip"
    asked: list[str | None] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:12]}"'


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Be quiet."""

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(server.body)))
            self.end_headers()

        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            server.asked.append(wanted)
            fault = server.faults.pop(0) if server.faults else None
            if isinstance(fault, int):
                self.send_response(fault)
                if server.retry_after:
                    self.send_header("Retry-After", server.retry_after)
                self.end_headers()
                return
            if fault in ("empty", "nowhere"):
                self.send_response(200 if fault == "empty" else 302)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "http://[clips")
                self.end_headers()
                return
            if fault == "slow":
                time.sleep(0.6)
            same = self.headers["If-Range"] in (None, server.tag)
            first = int(wanted[6:-1]) if wanted and server.ranges and same else None
            rest = server.body[first or 0 :]
            if fault == "stretch":
                first, rest = first or 0, rest[: len(rest) // 2]
            if first is not None:
                self.send_response(206)
                begins = first + 1 if fault == "moved" else first
                self.send_header("Content-Range", f"bytes {begins}-{len(server.body) - 1}/{len(server.body)}")
            else:
                self.send_response(200)
            if server.validator:
                self.send_header("ETag", server.tag)
            self.send_header("Content-Type", server.kind)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # the other side gave up
                self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{listening.server_address[1]}/clips.zip"
    yield made
    listening.shutdown()
    listening.server_close()
    thread.join()


@dataclass
class Told:
    """What a context was told."""

    waits: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def context(tmp_path: Path, told: Told) -> PrepareContext:
    def ask(prompt: str) -> str:
        raise AssertionError(prompt)

    return PrepareContext(
        tmp_path,
        ask,
        tell=told.lines.append,
        progress=lambda *state: told.progress.append(state),
        wait=told.waits.append,
    )


@pytest.fixture
def download(server: Server, tmp_path: Path) -> Download:
    return Download(server.url, tmp_path / "task" / "clips.zip", "CC0-1.0", len(BODY), SHA256)


def leavings(download: Download) -> list[str]:
    return sorted(path.name for path in download.path.parent.iterdir())


def test_a_file_is_fetched_once_checked_and_leaves_a_receipt(
    server: Server, download: Download, context: PrepareContext, told: Told
) -> None:
    assert not is_fetched(download)
    fetch(download, context)
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    assert leavings(download) == ["clips.zip", "clips.zip.download.json"]
    receipt = read_receipt(download.path)
    assert receipt is not None
    assert (receipt.url, receipt.digest, receipt.size, receipt.checked) == (server.url, SHA256, len(BODY), True)
    assert server.asked == [None]
    assert told.progress[-1] == ("clips.zip", len(BODY), len(BODY))


def test_without_a_published_hash_the_first_one_is_noted_and_said(
    download: Download, context: PrepareContext, told: Told
) -> None:
    fetch(replace(download, digest=None), context)
    receipt = read_receipt(download.path)
    assert receipt is not None
    assert (receipt.digest, receipt.checked) == (SHA256, False)
    assert "not checked against one" in told.lines[-1]
    assert SHA256 in told.lines[-1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_refusal_is_tried_again_after_growing_waits(
    server: Server, download: Download, context: PrepareContext, told: Told, status: int
) -> None:
    server.faults = [status, status, status]
    fetch(download, context)
    assert told.waits == [2.0, 4.0, 8.0]
    assert f"answered {status}" in told.lines[0]


def test_the_server_may_name_the_wait(server: Server, download: Download, context: PrepareContext, told: Told) -> None:
    server.faults, server.retry_after = [503, 429], "90"
    fetch(download, context)
    assert told.waits == [90.0, 90.0]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_lasting_refusal_is_not_tried_again(
    server: Server, download: Download, context: PrepareContext, told: Told, status: int
) -> None:
    server.faults = [status]
    with pytest.raises(CmbenchError, match=f"the server answered {status}"):
        fetch(download, context)
    assert (told.waits, leavings(download)) == ([], [])


def test_a_cut_connection_goes_on_where_it_stopped(
    server: Server, download: Download, context: PrepareContext, told: Told
) -> None:
    server.faults = ["cut", "cut"]
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    half, quarter = len(BODY) // 2, len(BODY) // 4
    assert server.asked == [None, f"bytes={half}-", f"bytes={half + quarter}-"]
    assert len(told.waits) == 2


def test_another_run_goes_on_where_a_killed_one_stopped(
    server: Server, download: Download, context: PrepareContext
) -> None:
    server.faults = ["cut", 500, 500, 500, 500]
    with pytest.raises(CmbenchError, match=r"given up after 5 failures in a row .* 524\.3 kB are kept"):
        fetch(download, context)
    assert leavings(download) == ["clips.zip.part", "clips.zip.part.json"]
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    assert server.asked[-1] == f"bytes={len(BODY) // 2}-"


def test_a_server_without_ranges_sends_the_whole_file_again(
    server: Server, download: Download, context: PrepareContext
) -> None:
    server.faults, server.ranges = ["cut"], False
    fetch(download, context)
    assert download.path.read_bytes() == BODY


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_changes_between_two_attempts_is_never_mixed(
    server: Server, download: Download, context: PrepareContext, known: bool
) -> None:
    changed = BODY[::-1]
    server.faults, server.validator = ["cut", 500, 500, 500, 500], known
    with pytest.raises(CmbenchError, match="given up"):
        fetch(replace(download, digest=None), context)
    server.body = changed
    fetch(replace(download, digest=None), context)
    assert download.path.read_bytes() == changed


def test_a_stretch_that_was_not_asked_for_is_not_used(
    server: Server, download: Download, context: PrepareContext
) -> None:
    server.faults = ["cut", "moved"]
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    assert server.asked[-1] is None


def test_a_stretch_is_not_taken_for_the_whole(server: Server, download: Download, context: PrepareContext) -> None:
    server.faults = ["stretch", "stretch"]
    fetch(replace(download, digest=None), context)
    assert download.path.read_bytes() == BODY
    assert len(server.asked) == 3


@pytest.mark.parametrize("fault", ["empty", "nowhere"])
def test_what_is_no_answer_is_asked_for_again(
    server: Server, download: Download, context: PrepareContext, fault: str
) -> None:
    server.faults = [fault]
    fetch(replace(download, digest=None), context)
    assert download.path.read_bytes() == BODY


def test_the_server_may_name_the_hour(server: Server, download: Download, context: PrepareContext, told: Told) -> None:
    server.faults = [503, 429]
    server.retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    fetch(download, context)
    assert all(90 < seconds <= 100 for seconds in told.waits)
    assert len(told.waits) == 2


def test_a_wait_that_is_no_number_is_ours(
    server: Server, download: Download, context: PrepareContext, told: Told
) -> None:
    server.faults, server.retry_after = [503], "²"
    fetch(download, context)
    assert told.waits == [2.0]


def test_a_part_that_is_longer_than_the_file_is_begun_anew(
    server: Server, download: Download, context: PrepareContext
) -> None:
    part = download.path.with_name("clips.zip.part")
    part.parent.mkdir()
    part.write_bytes(BODY + b"more")
    server.faults = [416]
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY) + 4}-", None]


def test_a_slow_answer_is_given_up_and_tried_again(
    server: Server, download: Download, context: PrepareContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "TIMEOUTS", (2.0, 0.2))
    server.faults = ["slow"]
    fetch(download, context)
    assert "no answer in time" in told.lines[0]
    assert download.path.read_bytes() == BODY


def test_a_server_that_was_never_reached_is_not_waited_for(
    download: Download, context: PrepareContext, told: Told
) -> None:
    with pytest.raises(UnreachableError, match=r"cannot be reached: no connection \(Connection refused\)"):
        fetch(replace(download, url="http://127.0.0.1:9/clips.zip"), context)
    with pytest.raises(UnreachableError, match="its name cannot be resolved"):
        fetch(replace(download, url="http://nowhere.invalid/clips.zip"), context)
    assert told.waits == []
    assert announced_size(replace(download, url="http://127.0.0.1:9/clips.zip"), context) is None


def test_a_server_that_was_reached_once_is_waited_for(
    server: Server, download: Download, context: PrepareContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = iter([server.url])
    real = requests.get
    monkeypatch.setattr(requests, "get", lambda url, **how: real(next(addresses, "http://127.0.0.1:9/"), **how))
    server.faults = [503]
    with pytest.raises(CmbenchError, match="given up after 5 failures in a row"):
        fetch(download, context)
    assert told.waits == [2.0, 4.0, 8.0, 16.0]


def test_wrong_bytes_are_thrown_away(server: Server, download: Download, context: PrepareContext) -> None:
    server.body = b"another file"
    with pytest.raises(CmbenchError, match="what came is not the published file"):
        fetch(download, context)
    assert leavings(download) == []


def test_a_web_page_is_no_file(server: Server, download: Download, context: PrepareContext) -> None:
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(CmbenchError, match="sent a web page"):
        fetch(replace(download, digest=None), context)
    assert leavings(download) == []


def test_a_file_of_ones_own_is_used_if_it_is_the_published_one(
    server: Server, download: Download, context: PrepareContext
) -> None:
    download.path.parent.mkdir()
    download.path.write_bytes(BODY)
    fetch(download, context)
    assert (server.asked, is_fetched(download)) == ([], True)


def test_a_wrong_file_is_replaced_but_only_by_the_right_one(
    server: Server, download: Download, context: PrepareContext, told: Told
) -> None:
    download.path.parent.mkdir()
    download.path.write_bytes(b"cut short")
    server.faults = [404]
    with pytest.raises(CmbenchError, match="404"):
        fetch(download, context)
    assert download.path.read_bytes() == b"cut short"
    fetch(download, context)
    assert download.path.read_bytes() == BODY
    assert any("is not the published file" in line for line in told.lines)


def damaged_receipts() -> list[Callable[[Path], object]]:
    return [
        lambda path: path.unlink(),
        lambda path: path.write_text("{", encoding="utf-8"),
        lambda path: path.write_text("[1]", encoding="utf-8"),
        lambda path: path.write_text(json.dumps({"url": "x"}), encoding="utf-8"),
    ]


@pytest.mark.parametrize("damage", damaged_receipts())
def test_a_damaged_receipt_is_written_again_without_fetching(
    server: Server, download: Download, context: PrepareContext, damage: Callable[[Path], object]
) -> None:
    fetch(download, context)
    damage(receipt_path(download.path))
    assert not is_fetched(download)
    fetch(download, context)
    assert is_fetched(download)
    assert len(server.asked) == 1


def test_a_receipt_is_void_when_the_file_or_the_published_hash_changes(
    download: Download, context: PrepareContext
) -> None:
    fetch(download, context)
    assert not is_fetched(replace(download, digest="sha256:" + "0" * 64))
    download.path.write_bytes(BODY[:-1])
    assert not is_fetched(download)


def test_offline_nothing_is_asked_for(server: Server, download: Download, context: PrepareContext) -> None:
    offline = replace(context, offline=True)
    with pytest.raises(MissingError, match=r"clips\.zip is missing"):
        fetch(download, offline)
    assert announced_size(download, offline) is None
    assert announced_size(download, context) == len(BODY)
    assert server.asked == []


def test_a_full_disk_is_said_before_it_is_full(
    download: Download, context: PrepareContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SPARE_BYTES", 2**60)
    with pytest.raises(UsageError, match=r"1\.0 MB are needed and .* are free"):
        fetch(download, context)
