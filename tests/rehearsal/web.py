"""The publishers' servers on this machine: every address that is asked for leads to one loopback server, or nowhere.

What a server does: ``Range`` with ``If-Range`` (RFC 9110, 13.1.5 and 14.2), entity tags, redirects, and the faults it
is told to make. GitHub answers ``/raw/`` with a redirect to another host, as its users see; the other publishers'
headers could not be read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from cmbench.tests.tasks.conftest import Fault


class Web(ThreadingHTTPServer):
    """Serves files by their whole addresses.

    Attributes:
        files: address without scheme and query -> content.
        redirects: address without scheme and query -> address.
        faults: what goes wrong with an address, once each, in order.
        asked: method, address and ``Range`` of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.asked: list[tuple[str, str, str | None]] = []

    def put(self, address: str, content: bytes) -> None:
        """Serve ``content`` at ``https://…``."""
        self.files[_bare(address)] = content

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        address = urlsplit(self.path).path[1:]
        wanted = self.headers["Range"]
        self.server.asked.append((self.command, address, wanted))
        if address in self.server.redirects:
            return self._send(302, b"", {"Location": self.server.redirects[address]})
        content = self.server.files.get(address)
        if content is None:
            return self._send(404, b"not here", {})
        faults = self.server.faults[address] if body else []
        fault = faults.pop(0) if faults else Fault()
        if fault.status != 200:
            return self._send(fault.status, b"no", fault.headers)
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Content-Length": str(len(content))}
        first = 0
        if wanted and self.headers["If-Range"] in (None, tag):
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            headers["Content-Length"] = str(len(content) - first)
        rest = content[first:][: fault.cut] if body else b""
        return self._send(206 if first else 200, rest, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _bare(address: str) -> str:
    """Host and path of an address."""
    parts = urlsplit(address)
    return parts.netloc + parts.path


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Let a server answer; gives its address."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def route(monkeypatch: pytest.MonkeyPatch, server: Web) -> None:
    """Send every request of this process to the double; what is not there is an unknown host, never the internet."""
    send = requests.adapters.HTTPAdapter.send

    def to_the_double(adapter: Any, request: Any, *args: Any, **how: Any) -> Any:
        parts = urlsplit(request.url)
        if parts.hostname != "127.0.0.1":
            hosts = {name.partition("/")[0] for name in (*server.files, *server.redirects)}
            if parts.netloc not in hosts:
                raise requests.ConnectionError(f"a rehearsal knows no host {parts.netloc}")
            request.url = f"http://127.0.0.1:{server.server_port}/{_bare(request.url)}"
        return send(adapter, request, *args, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", to_the_double)
