"""The hub on this machine: as much of its interface as ``huggingface_hub`` asks for, with its faults.

Read: huggingface_hub 2.4, ``constants.py`` (``HF_ENDPOINT``; the form of file addresses, ``/owner/name/resolve/…``),
``hf_api.py`` (``/api/models/owner/name/revision/…`` and what a description holds), ``file_download.py`` (``HEAD`` with
``X-Repo-Commit``, ``ETag`` and ``X-Linked-Etag``, ``Range`` when a download goes on) and ``utils/_http.py``
(``X-Error-Code``: GatedRepo, RepoNotFound, RevisionNotFound). Not spoken: xet, by which the real hub sends large files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Hub(ThreadingHTTPServer):
    """Serves repositories.

    Attributes:
        repositories: owner/name -> revision -> commit.
        folders: commit -> folder of the files.
        gated: repositories that nobody may see without having agreed to their terms.
        cuts: file name -> bytes after which a connection breaks, once each.
        asked: method, path and ``Range`` of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, str]] = {}
        self.folders: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.cuts: dict[str, list[int]] = {}
        self.asked: list[tuple[str, str, str | None]] = []

    def add(self, repository: str, folder: Path, *revisions: str) -> str:
        """Serve a folder as a commit of a repository, under revisions by name too; return the commit."""
        commit = hashlib.sha1(f"{repository} {folder}".encode()).hexdigest()
        self.folders[commit] = folder
        self.repositories.setdefault(repository, {}).update({commit: commit} | dict.fromkeys(revisions, commit))
        return commit

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers["Range"]))
        parts = path.strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        repository = "/".join(parts[2:4] if is_api else parts[:2])
        rest = parts[4:] if is_api else parts[2:]
        revisions = self.server.repositories.get(repository)
        if revisions is None:  # the hub does not tell a stranger what exists
            return self._fail(401, "RepoNotFound", "Repository Not Found")
        if repository in self.server.gated:
            return self._fail(401, "GatedRepo", f"Access to model {repository} is restricted.")
        commit = revisions.get(rest[1] if len(rest) > 1 else "main")
        if commit is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        if is_api:
            return self._describe(repository, commit, tree=rest[:1] == ["tree"])
        return self._file(commit, "/".join(rest[2:]))

    def _describe(self, repository: str, commit: str, tree: bool) -> None:
        names = sorted(path.name for path in self.server.folders[commit].iterdir())
        files: Iterator[Mapping[str, object]]
        if tree:
            files = (
                {"type": "file", "path": name, "oid": "0" * 40, "size": len(self._content(commit, name))}
                for name in names
            )
            return self._json(list(files))
        described = {
            "_id": "0" * 24, "id": repository, "modelId": repository, "sha": commit, "private": False, "gated": False,
            "disabled": False, "tags": [], "downloads": 0, "likes": 0, "siblings": [{"rfilename": n} for n in names],
        }  # fmt: skip
        return self._json(described)

    def _content(self, commit: str, name: str) -> bytes:
        return (self.server.folders[commit] / name).read_bytes()

    def _file(self, commit: str, name: str) -> None:
        if not (self.server.folders[commit] / name).is_file():
            return self._fail(404, "EntryNotFound", f"{name} does not exist")
        content = self._content(commit, name)
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers["Range"]
        first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        cut = None
        if self.command == "GET" and self.server.cuts.get(name):
            cut = self.server.cuts[name].pop(0)
        return self._send(206 if first else 200, content[first:], headers, cut)

    def _fail(self, status: int, code: str, message: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True
