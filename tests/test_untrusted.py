"""The door for what somebody else wrote: anything is read or refused in a sentence, quickly and within its limits."""

from __future__ import annotations

import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cmbench.errors import CmbenchError, UnusableAudio, UsageError
from cmbench.files import file_sha256
from cmbench.opening import opened
from cmbench.tasks.custom import load_task
from cmbench.untrusted import (
    DEEPEST,
    LARGEST_TEXT,
    LARGEST_YAML,
    MOST_NODES,
    open_plain,
    parse_json,
    parse_npy,
    parse_yaml,
    read_bytes,
    read_object,
)

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


def require_value_or_refusal(read: Callable[[], object]) -> None:
    refused = ""
    try:
        read()
    except UsageError as error:
        refused = str(error)
    assert refused.startswith("here") or not refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "aliases written out"),
        ("a: &a [*a]", "an alias stands for what it is in"),
        ("[" * (DEEPEST + 1), "within one another"),
        ("[" * 100_000, "within one another|nesting"),
        ("{a: " * 5_000, "within one another"),
        ("- a\n" * (2 * MOST_NODES + 5), "more than|larger than"),
        ("a: !!timestamp x", "the YAML tag"),
        ("a: !!python/object/apply:os.system [true]", "the YAML tag"),
        ("a: !!int x", "not valid YAML"),
        ("a: !!float ''", "not valid YAML"),
        ("a: !!bool maybe", "not valid YAML"),
        ("a: 2020-13-45", "not valid YAML"),
        ("? [1]\n: 2", "not valid YAML"),
        ("a: \x1b", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: " + "9" * 5_000, "not valid YAML"),
        ("x" * 600_000, "larger than"),
    ],
)
def test_yaml_that_is_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_yaml(text, "task.yaml")
    assert str(caught.value).startswith("task.yaml")
    assert len(str(caught.value)) < 300


MANY_KEYS = ",".join(f'"{i:x}":1' for i in range(LARGEST_TEXT // 10))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: " + "1:" * (LARGEST_YAML // 2 - 10) + "1", "a number of more than 400 characters"),
        ('a: "' + "\\x41" * (LARGEST_YAML // 4 - 10) + '"', None),
        (f'{{{MANY_KEYS},"z":1,"z":1}}', "the key 'z' is there twice"),
    ],
    ids=["base 60", "escapes", "a key twice"],
)
def test_time_is_bounded_by_size(text: str, told: str | None) -> None:
    """The worst that fits through the door takes a second or two; where time grew with the square, it took minutes."""
    parse = parse_json if text[0] == "{" else parse_yaml
    if told is None:
        parse(text, "x")
        return
    with pytest.raises(UsageError, match=told):
        parse(text, "x")


def test_plain_yaml_with_an_alias_is_read() -> None:
    node, value = parse_yaml("a: &x [1, !!str no]\nb: *x\n", "here")
    assert value == {"a": [1, "no"], "b": [1, "no"]}
    assert node is not None
    assert parse_yaml("# nothing", "here") == (None, None)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!?|>'\"#%@ \n0123456789.~", max_size=80))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    require_value_or_refusal(lambda: parse_yaml(text, "here"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(content: bytes) -> None:
    require_value_or_refusal(lambda: parse_json(content, "here"))


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"a"', '{"a": 1, "a": 1}', "[" * 100_000, "9" * 5_000, "\ud800"])
def test_what_is_no_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError, match=r"x\.json"):
        read_object(path)


def npy(array: NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def with_header(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x03\x00" + bytes(200),
        with_header("{'descr': '<U9', 'fortran_order': False, 'shape': (10000000000000,)}"),
        with_header("{'descr': '<U0', 'fortran_order': False, 'shape': (10000000000000,)}"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        with_header("{'descr': 'nothing', 'fortran_order': False, 'shape': ()}"),
        with_header("[" * 100),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (0L,)}"),
        with_header("'\\"),
        with_header("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}") + b"\x07",
        with_header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}") + b"\xff\xff\xff\xff",
    ],
)
def test_array_headers_that_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"arra|text|truth"):
        parse_npy(content)


def test_a_doubtful_header_is_refused_without_a_word_on_the_screen() -> None:
    content = npy(np.array(["a", "bc"])).replace(b"(2,), }", b"(1if 2else 3,)}")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="Cannot parse header"):
            parse_npy(content)
    assert not heard


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_makes_another_array_or_none(place: int, value: int) -> None:
    content = bytearray(npy(np.array(["a", "bc"])))
    content[place % len(content)] = value
    with suppress(ValueError):
        parse_npy(bytes(content))


def test_arrays_are_read() -> None:
    for array in (np.array(["a", "ü"]), np.arange(6).reshape(2, 3), np.asfortranarray(np.eye(3)), np.float32(3)):
        assert np.array_equal(parse_npy(npy(np.asarray(array))), array)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such devices")
def test_devices_pipes_and_names_that_cannot_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(UsageError, match="not a plain file"):
            read_bytes(Path(name))
        with pytest.raises(UnusableAudio, match="not a file"), opened(Path(name)):
            pass
        with pytest.raises(OSError, match="not a file"):
            file_sha256(Path(name))
    with pytest.raises(UsageError, match=r"null (byte|character)"), open_plain(tmp_path / "a\0b"):
        pass
    with pytest.raises(UnusableAudio, match="no file can have this name"), opened(tmp_path / "a\0b"):
        pass
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as out:
        out.truncate(2**40)
    with pytest.raises(UsageError, match="larger than"):
        read_bytes(sparse)


def test_a_description_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    """What prints a value must not print what a few lines of aliases stand for."""
    (tmp_path / "task.yaml").write_text(BOMB + "name: *a11\nlabels: [a]\n")
    began = time.process_time()
    with pytest.raises(CmbenchError, match="aliases written out") as caught:
        load_task(tmp_path / "task.yaml")
    assert len(str(caught.value)) < 500
    assert time.process_time() - began < 5, "it is refused before it is built"
