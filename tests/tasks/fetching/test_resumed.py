"""What is asked for of a file of which a part is there. What comes of it: test_download.py, ../dunya/test_client.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
