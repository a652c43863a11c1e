"""Files written wholly or not at all, and names that are safe."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench import files as files_module
from cmbench.errors import remedy
from cmbench.files import (
    HOST,
    SEAL,
    current_sha256,
    is_part,
    remove_leavings,
    safe_name,
    seal_is_broken,
    sealed,
    sha256_of,
    whole_folder,
    write_atomically,
    write_folder_files,
)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "x.json"
    write_atomically(path, b"old")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a machine that loses power may have the name without the content."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(f"{os.fstat(handle).st_size} bytes")
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "x.json", b"four")
    assert done == ["4 bytes", "x.json"]


@pytest.mark.parametrize("letter", ["a", "य"])
def test_long_names_are_file_names_and_stay_different(letter: str, tmp_path: Path) -> None:
    names = [letter * 300 + end for end in ("1", "2")]
    files = {safe_name(name) for name in names}
    assert len(files) == 2
    for file in files:
        (tmp_path / f"labels-{file}.turkish_makam.full.official.cmbench-1.json").write_text("")
    assert safe_name(letter * 50) == letter * 50


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "", "hf:owner/name@rev"])
def test_a_models_name_cannot_leave_the_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert safe not in (".", "..")


KILLED = """
import os, signal, sys
from pathlib import Path
from cmbench import files
out = Path(sys.argv[1])
if sys.argv[2] == "file":
    os.fsync = lambda handle: (print("there", flush=True), signal.pause())
    files.write_atomically(out, b"half" * 1000)
with files.whole_folder(out) as folder:
    (folder / "model").write_bytes(b"half" * 1000)
    print("there", flush=True)
    signal.pause()
"""


@pytest.fixture(params=["file", "folder"])
def killable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A path and a process that has written half of it, as a file or as a folder."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out), request.param], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    with process:
        yield out, process
        process.kill()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nothing is claimed, and so nothing is removed")
def test_what_a_killed_process_left_goes_with_the_next_run_and_what_a_live_one_writes_stays(
    killable: tuple[Path, subprocess.Popen[str]],
) -> None:
    out, process = killable
    (left,) = out.parent.iterdir()
    assert is_part(left)
    os.utime(left, (0, 0))
    swap = out.parent / ".out.swp"
    swap.write_bytes(b"an editor's")
    remove_leavings(out)
    assert left.exists(), "its writer lives"
    process.kill()
    process.wait()
    write_folder_files(out, {"a/b": b"1", "c": b"2"})
    assert sorted(path.name for path in out.parent.iterdir()) == [".out.swp", "out"]
    assert (out / "a" / "b").read_bytes() == b"1"


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder_files(out, {"old": b"1"})

    def fail() -> None:
        with whole_folder(out) as folder:
            (folder / "new").write_bytes(b"2")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=f"No space left on device: '{out}'"):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]
    with whole_folder(out) as folder:
        (folder / "new").write_bytes(b"2")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]


def test_a_folder_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    left = tmp_path / ".out.abcdefgh.part"
    (left / "old").mkdir(parents=True)
    (left / "old" / "file").write_bytes(b"1")
    os.utime(left, (0, 0))
    remove_leavings(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "file"]


def test_errors_name_the_file_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        write_atomically(tmp_path / "file" / "x" / "y", b"")
    assert "part" not in str(caught.value)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=re.escape(f"'{tmp_path / 'folder'}'")):
        write_atomically(tmp_path / "folder", b"")


VALUES = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists)


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_a_seal_finds_every_change_and_no_other_layout(document: dict[str, object], data: st.DataObject) -> None:
    document.pop(SEAL, None)
    written = sealed(document)
    read = json.loads(json.dumps(dict(reversed(written.items())), indent=3))
    assert not seal_is_broken(read)
    assert not seal_is_broken(document), "it was written before there were seals"
    key = data.draw(st.sampled_from(sorted(written)))
    read[key] = [read[key]]
    assert seal_is_broken(read)


def test_a_file_is_hashed_once_for_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"a")
    first = current_sha256(file)
    monkeypatch.setattr(files_module, "file_sha256", lambda _: "again")
    assert current_sha256(file) == first == sha256_of(b"a")
    times = file.stat().st_mtime_ns
    other = tmp_path / "y"
    other.write_bytes(b"b")
    os.utime(other, ns=(times, times))
    other.replace(file)
    assert current_sha256(file) == "again"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "permissions"), (errno.ENOENT, "removed"), (0, "Look")]
)
def test_an_error_of_the_system_has_a_remedy(number: int, words: str) -> None:
    assert words in remedy(OSError(number, "", "file"))


def test_what_another_machine_writes_is_left_to_it(tmp_path: Path) -> None:
    """Its locks may not be seen here."""
    theirs, mine = (tmp_path / f".out.{sign}abcdefgh.part" for sign in ("0000", HOST))
    for left in (theirs, mine):
        left.write_bytes(b"1")
        os.utime(left, (0, 0))
    write_atomically(tmp_path / "out", b"2")
    assert {path.name for path in tmp_path.iterdir()} == {"out", theirs.name}
