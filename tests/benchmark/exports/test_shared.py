"""Results travel through a data set of the hub and are scored again; what does not fit its predictions stays out.

The double speaks as much of the hub's interface as huggingface_hub 2.4 asks for with small files (``hf_api.py``:
``/api/repos/create``, ``preupload``, ``commit`` as lines of JSON; ``file_download.py``: ``resolve``). Not spoken: LFS
and xet, by which the real hub takes large ones.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import pytest

from cmbench import load_records
from cmbench.benchmark.exports.shared import CARD, fetch, files_to_send, send
from cmbench.errors import CmbenchError, UsageError
from cmbench.tests.conftest import Cmbench

RESULTS = Path(__file__).resolve().parents[2] / "upgrade" / "v0.1.0" / "results"


class DataSets(ThreadingHTTPServer):
    """The hub: files by data set; ``refusing`` answers everything with 403."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.refusing = False
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DataSets

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path).path.strip("/").split("/")
        if self.server.refusing:
            return self._send(403, b"{}")
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = f"{asked.get('organization', 'our-lab')}/{asked['name']}"
            self.server.files.setdefault(name, {})
            return self._json({"url": f"{self.server.address}/datasets/{name}", "id": name, "name": name})
        if parts[-1] == "validate-yaml":
            return self._json({"errors": [], "warnings": []})
        name = "/".join(parts[2:4])
        if name not in self.server.files:
            return self._nothing()
        if parts[4] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.server.files[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        url = f"{self.server.address}/datasets/{name}/commit/{self._commit(name)}"
        return self._json({"commitOid": self._commit(name), "commitUrl": url, "success": True})

    def _commit(self, name: str) -> str:
        return hashlib.sha1(repr(sorted(self.server.files[name].items())).encode()).hexdigest()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        is_api = parts[0] == "api"
        name = "/".join(parts[2:4] if is_api else parts[1:3])
        if name not in self.server.files:
            return self._nothing()
        files, commit = self.server.files[name], self._commit(name)
        if is_api and parts[4:5] == ["tree"]:
            listed = [{"type": "file", "path": p, "oid": "0" * 40, "size": len(c)} for p, c in files.items()]
            return self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
        if is_api:
            siblings = [{"rfilename": p, "size": len(c)} for p, c in files.items()]
            about = {"_id": "0" * 24, "id": name, "sha": commit, "private": False, "gated": False, "disabled": False}
            return self._json(about | {"tags": [], "downloads": 0, "likes": 0, "siblings": siblings})
        content = files["/".join(parts[5:])]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return self._send(200, content, headers)

    def _nothing(self) -> None:
        self._send(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository Not Found"})

    def _json(self, value: dict[str, object]) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataSets]:
    """A hub of data sets on this machine, and a cache of its own."""
    with DataSets() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.address)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
        yield server
        server.shutdown()


def test_what_one_sends_another_has(hub: DataSets, tmp_path: Path, cmbench: Cmbench) -> None:
    sent = cmbench("results", "push", "our-lab/results", str(RESULTS), "--yes")
    assert "commit" in sent.out
    assert "corpora of your own" in sent.err
    pulled = cmbench("results", "pull", "our-lab/results", "--out", str(tmp_path / "theirs"))
    assert "2 records new, 0 here already, 0 refused" in pulled.out
    for model in ("mfcc", "merged"):
        assert load_records(tmp_path / "theirs" / model).equals(load_records(RESULTS / model))
    again = cmbench("results", "pull", "our-lab/results", "--out", str(tmp_path / "theirs"))
    assert "0 records new, 2 here already, 0 refused" in again.out


def test_a_pull_request_makes_no_data_set(hub: DataSets) -> None:
    with pytest.raises(CmbenchError, match="no such data set"):
        send(files_to_send([RESULTS / "mfcc"]), "our-lab/other", request=True)
    assert not hub.files


def test_a_dry_run_sends_nothing(hub: DataSets, cmbench: Cmbench) -> None:
    said = cmbench("results", "push", "our-lab/results", str(RESULTS), "--dry-run").out
    assert said.count(".json") == said.count(".npz") == 2
    assert CARD in said
    assert not hub.files


def test_nobody_to_ask_is_a_no(hub: DataSets, cmbench: Cmbench) -> None:
    assert "Add --yes" in cmbench("results", "push", "our-lab/results", str(RESULTS), code=2).err
    assert not hub.files


def test_a_record_that_does_not_fit_its_predictions_stays_out(hub: DataSets, tmp_path: Path) -> None:
    send(files_to_send([RESULTS]), "our-lab/results")
    files = hub.files["our-lab/results"]
    name = next(n for n in files if n.endswith(".npz"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    found = fetch("our-lab/results", tmp_path / "theirs")
    assert len(found.written) == 1
    assert "hash differs" in found.refused[0]
    assert len(list((tmp_path / "theirs").rglob("*.json"))) == 1


def test_another_result_is_never_replaced(hub: DataSets, tmp_path: Path) -> None:
    send(files_to_send([RESULTS / "mfcc"]), "our-lab/results")
    shutil.copytree(RESULTS / "merged", tmp_path / "here" / "mfcc")
    with pytest.raises(UsageError, match="another result of this cell"):
        fetch("our-lab/results", tmp_path / "here")


def test_editions_are_fetched_by_name(hub: DataSets, tmp_path: Path, cmbench: Cmbench) -> None:
    send(files_to_send([RESULTS]), "our-lab/results")
    assert not fetch("our-lab/results", tmp_path / "theirs", edition="full").written
    said = cmbench("results", "pull", "our-lab/results", "--edition", "full", "-o", str(tmp_path / "x"), code=1)
    assert "no sound record" in said.err


def test_failures_of_the_hub_have_words(hub: DataSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CmbenchError, match="no such data set that you may see"):
        fetch("our-lab/nothing", tmp_path)
    with pytest.raises(UsageError, match="should read"):
        fetch("../nothing", tmp_path)
    hub.refusing = True
    with pytest.raises(CmbenchError, match="may not write to it"):
        send({CARD: b"x"}, "our-lab/results")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CmbenchError, match="cannot be reached"):
        fetch("our-lab/results", tmp_path)


def test_the_card_keeps_editions_apart(tmp_path: Path) -> None:
    text = files_to_send([RESULTS])[CARD].decode()
    assert "## Edition custom" in text
    assert "mfcc" in text
