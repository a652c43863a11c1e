"""What a stranger wrote is read strictly, or refused with a reason; never anything else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmbench.errors import CmbenchError
from cmbench.leaderboards.untrusted import is_name, read_bytes, read_card, read_json, walk

FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        "[Infinity]",
        "[1e999]",
        "[" * 100_000,
        "{",
        '["a\\u202eb"]',
        '["a\\u0000b"]',
        '["\\ud800"]',
        '["e\\u0301"]',
        "",
    ],
)
def test_what_is_no_strict_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CmbenchError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


@FIXTURE
@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    try:
        found = read_json(path)
    except CmbenchError:
        return
    assert found == json.loads(content)


@pytest.mark.parametrize(
    "front",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: &x [1, 1]\nb: [*x, *x]",
        "a: 1\na: 2",
        "- 1\n- 2",
        "a: [" + "[" * 3000,
        "a: {",
        "? [1]\n: 2",
        "a: !!binary aGk=",
        "a: !x y",
        "a: !!set {b, c}",
    ],
)
def test_front_matter_that_is_no_plain_yaml(tmp_path: Path, front: str) -> None:
    (tmp_path / "card.md").write_text(f"---\n{front}\n---\ntext")
    with pytest.raises(CmbenchError, match="front matter"):
        read_card(tmp_path / "card.md")


@FIXTURE
@given(st.text(max_size=120))
def test_any_front_matter_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.md"
    path.write_bytes(f"---\n{text}\n---\nbody".encode(errors="surrogatepass"))
    try:
        facts, _ = read_card(path)
    except CmbenchError:
        return
    assert isinstance(facts, dict)


@pytest.mark.parametrize(
    ("text", "facts", "body"),
    [
        ("# A model", {}, "# A model"),
        ("---\nlicense: mit\ndatasets: [a, b]\n---\nText\n", {"license": "mit", "datasets": ["a", "b"]}, "Text\n"),
        ("---\r\nlicense: mit\r\n---\r\nText", {"license": "mit"}, "Text"),
        ("---\n---\nText", {}, "Text"),
        (
            "---\na: 2020-01-01\nb: 1.10\nc: no\nd: 1:30\n---\n",
            {"a": "2020-01-01", "b": "1.10", "c": "no", "d": "1:30"},
            "",
        ),
        ("---\na: true\nb:\nc: [~, 0x10]\n---\n", {"a": True, "b": None, "c": [None, "0x10"]}, ""),
        ("---\nnever ends", {}, "---\nnever ends"),
    ],
)
def test_cards(tmp_path: Path, text: str, facts: dict[str, Any], body: str) -> None:
    (tmp_path / "card.md").write_bytes(text.encode())
    assert read_card(tmp_path / "card.md") == (facts, body)


def test_a_card_that_turns_the_direction_of_writing(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("a \u202e b", encoding="utf-8")
    with pytest.raises(CmbenchError, match=r"U\+202E"):
        read_card(tmp_path / "card.md")


@pytest.mark.parametrize("name", ["MERT-v1-95M@bfloat16", "a", "1.0", "a_b+c"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".git", "-a", "a/b", "a\\b", "a\n", "a b", "é", "a.", "x" * 81, "a\0"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


def test_pipes_links_and_large_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name, largest in (("pipe", 9), ("link", 9), ("file", 4), ("nothing", 9)):
        with pytest.raises(CmbenchError, match=name):
            read_bytes(tmp_path / name, largest)
    with pytest.raises(CmbenchError, match="not a plain file"):
        read_bytes(tmp_path, 9)
    assert read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(CmbenchError, match="a link or a device"):
        list(walk(tmp_path))


def test_too_many_files(tmp_path: Path) -> None:
    for i in range(401):
        (tmp_path / f"f{i}").touch()
    with pytest.raises(CmbenchError, match="more than 200 files"):
        list(walk(tmp_path))
