"""Small data roots for the tests of the tasks."""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import pytest

from cmbench.tasks.base import LoadContext
from cmbench.tasks.preparing import PrepareContext

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]


@pytest.fixture
def context(tmp_path: Path) -> LoadContext:
    """A loader's context whose data root is an empty folder."""
    root = tmp_path / "data"
    root.mkdir()
    return LoadContext(data_root=root, cache_root=tmp_path / "cache")


@pytest.fixture
def preparing(context: LoadContext) -> PrepareContext:
    """A context for preparing data into the same data root; nothing may be asked, and no wait is waited."""
    assert context.data_root is not None

    def ask(prompt: str) -> str:
        raise AssertionError(prompt)

    return PrepareContext(context.data_root, ask, wait=lambda seconds: None)


@pytest.fixture
def published() -> Path:
    """The folder of published lists and labels beside the checkout; the test is skipped where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the published lists (../shared/data) are not beside this checkout")
    return SHARED_DATA


@pytest.fixture
def published_rows(published: Path) -> Rows:
    """Reads a published tab-separated table by its path, packed or not."""

    def rows(name: str) -> list[dict[str, str]]:
        path = published / name
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as handle:
                return list(csv.DictReader(handle, delimiter="\t"))
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle, delimiter="\t"))

    return rows


@pytest.fixture
def write() -> Write:
    """Writes lines to a file, with the folders above it."""

    def to(path: Path, lines: Iterable[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return to


@dataclass
class Fault:
    """What a server does once instead of answering well.

    Attributes:
        status: answered in place of 200, without what was asked for.
        headers: sent with it.
        cut: bytes of the body after which the connection is closed; ``None`` for a whole body.
        body: sent in place of what was asked for.
        delay: seconds before anything is sent.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    body: bytes | None = None
    delay: float = 0.0


class DunyaServer(ThreadingHTTPServer):
    """Speaks as much of Dunya's interface as :mod:`cmbench.tasks.dunya.client` asks for, and fails where it is told to.

    Verified forms (MTG/dunya at 8c2c902): addresses, the ``Authorization`` header, pages, recordings' details, 401 and
    404. Not known of the real server: ``Range``, ``ETag``, 429 and ``Retry-After``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _DunyaHandler)
        self.token = "5ecre7-t0ken-0f-the-test"
        self.details: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.mp3: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.page_size = 2
        self.next_host = "http://dunya.invalid"
        self.endless: str | None = None
        self.detail_in_lists = True
        self.etag: str | None = '"v1"'
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _DunyaHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: DunyaServer

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        parts = urlsplit(self.path)
        faults = self.server.faults[parts.path]
        fault = faults.pop(0) if faults else Fault()
        time.sleep(fault.delay)
        if self.headers.get("Authorization") != f"Token {self.server.token}":
            fault = Fault(401, body=b'{"detail": "Invalid token."}')
        if fault.status != 200 or fault.body is not None:
            self._send(fault.status, fault.body or b"no", fault.headers, fault.cut)
        elif parts.path.startswith("/document/by-id/"):
            self._file(self.server.mp3.get(parts.path.split("/")[3]), fault)
        else:
            _, _, collection, _, *mbid = parts.path.split("/")
            known = self.server.details[collection]
            answer = known.get(mbid[0]) if mbid else self._page(parts, list(known.values()))
            status = 404 if answer is None else 200
            self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"}, fault.cut)

    def _page(self, parts: SplitResult, entries: list[dict[str, Any]]) -> dict[str, Any]:
        query = parse_qs(parts.query)
        number, size = int(query.get("page", ["1"])[0]), self.server.page_size
        shown = entries[(number - 1) * size : number * size]
        if query.get("detail") != ["1"] or not self.server.detail_in_lists:
            shown = [{"mbid": entry["mbid"], "title": ""} for entry in shown]
        following = number + 1 if number * size < len(entries) or self.server.endless == "growing" else None
        if self.server.endless == "self":
            following = number
        where = f"{self.server.next_host}{parts.path}?detail=1&page={following}"
        return {"count": len(entries), "next": where if following else None, "previous": None, "results": shown}

    def _file(self, body: bytes | None, fault: Fault) -> None:
        if body is None:
            return self._send(404, b"Cannot find a document with this id", {}, None)
        headers = {"Content-Type": "audio/mpeg"} | ({"ETag": self.server.etag} if self.server.etag else {})
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not self.server.ranges or self.headers.get("If-Range", self.server.etag) != self.server.etag or not start:
            return self._send(200, body, headers, fault.cut)
        if start >= len(body):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(body)}"}, None)
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self._send(206, body[start:], headers, fault.cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@pytest.fixture
def dunya_server() -> Iterator[DunyaServer]:
    """A server of Dunya's interface on this machine."""
    with DunyaServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fault() -> type[Fault]:
    """What makes the server fail."""
    return Fault


def makam_details(mbid: str, makam: str, instrument: str = "Ney", release: str = "r1") -> dict[str, Any]:
    """Details of a recording in the form of the makam collection."""
    return {
        "mbid": mbid,
        "title": "Hicaz Peşrev",
        "releases": [{"mbid": release, "title": "A release"}],
        "performers": [{"mbid": "p1", "name": "A performer", "instrument": {"mbid": "i1", "name": instrument}}],
        "works": [{"mbid": "w1", "title": "A work"}],
        "artists": [],
        "makamlist": [{"uuid": "m1", "name": makam}],
        "usullist": [{"uuid": "u1", "name": "Düyek"}],
    }


@pytest.fixture
def makam() -> Callable[..., dict[str, Any]]:
    """Makes the details of a makam recording."""
    return makam_details
