"""What is asked for of a file of which a part is there. What comes of it: test_download.py, ../dunya/test_client.py."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import requests
from urllib3 import HTTPResponse

from cmbench.errors import UsageError
from cmbench.tasks.fetching import resumed
from cmbench.tasks.fetching.resumed import HEADERS, Resumed


@pytest.mark.parametrize(
    ("note", "trusted", "asked"),
    [
        ({"url": "here", "version": '"v1"'}, False, {"Range": "bytes=3-", "If-Range": '"v1"'}),
        ({"url": "elsewhere", "version": '"v1"'}, False, {}),
        ({"url": "elsewhere", "version": '"v1"'}, True, {"Range": "bytes=3-"}),
        (None, False, {}),
    ],
    ids=["known", "of another file", "of another file, but with a hash", "unknown"],
)
def test_a_part_is_gone_on_with_where_it_is_safe(
    tmp_path: Path, note: dict[str, str] | None, trusted: bool, asked: dict[str, str]
) -> None:
    file = Resumed(tmp_path / "a.zip", "here", trusted)
    assert file.headers() == HEADERS
    file.part.write_bytes(b"abc")
    if note:
        (tmp_path / "a.zip.part.json").write_text(json.dumps(note))
    assert file.headers() == HEADERS | asked


def test_what_is_left_of_another_version_is_gone_before_the_new_one_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Resumed(tmp_path / "a.zip", "here")
    file.part.write_bytes(b"old")
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": "here", "version": '"v1"'}))
    answer = requests.Response()
    answer.status_code, answer.raw = 200, HTTPResponse(io.BytesIO(b"newer"), preload_content=False)
    answer.headers.update({"ETag": '"v2"', "Content-Length": "5"})
    answer.request = requests.Request("GET", "https://example.org", file.headers()).prepare()

    def full(place: Path, wanted: int) -> None:
        raise UsageError("no room")

    monkeypatch.setattr(resumed, "require_room", full)
    with pytest.raises(UsageError, match="no room"):
        file.receive(answer)
    assert file.headers() == HEADERS, "nothing of the first version is gone on with as the second"
