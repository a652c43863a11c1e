"""Unpacking: parts read as one, members that must not be written, damage named."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import CmbenchError, UsageError
from cmbench.sound import FileBytes, joined_bytes
from cmbench.tasks.fetching import room
from cmbench.tasks.fetching.archives import unpack

CLIPS = {"0/a.mp3": b"\x01" * 5000, "0/b.mp3": b"", "f/ü.mp3": bytes(range(256)) * 20, "README.txt": b"read me"}
Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Writes an archive."""

    def to(members: Mapping[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "mp3.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return to


def in_parts(path: Path, count: int) -> list[Path]:
    whole = path.read_bytes()
    size = -(-len(whole) // count)
    parts = []
    for i in range(count):
        part = path.with_name(f"{path.name}.{i + 1:03d}")
        part.write_bytes(whole[i * size : (i + 1) * size])
        parts.append(part)
    path.unlink()
    return parts


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_an_archive_in_parts_is_unpacked_without_joining_them(
    pack: Pack, tmp_path: Path, count: int, compression: int
) -> None:
    states: list[tuple[str, int, int]] = []
    parts = in_parts(pack(CLIPS, compression), count)
    found = unpack(parts, tmp_path / "mp3", lambda name: name.endswith(".mp3"), lambda *state: states.append(state))
    assert found == 3
    assert contents(tmp_path / "mp3") == {name: body for name, body in CLIPS.items() if name.endswith(".mp3")}
    assert states == [(f"unpacking {parts[0].name}", done, 3) for done in (1, 2, 3)]


def test_what_was_unpacked_is_not_written_again(pack: Pack, tmp_path: Path) -> None:
    path = pack(CLIPS)
    unpack([path], tmp_path / "mp3")
    first = tmp_path / "mp3" / "0" / "a.mp3"
    first.write_bytes(b"\x02" * 5000)
    (tmp_path / "mp3" / "f" / "ü.mp3").write_bytes(b"begun")
    unpack([path], tmp_path / "mp3")
    assert first.read_bytes() == b"\x02" * 5000
    assert (tmp_path / "mp3" / "f" / "ü.mp3").read_bytes() == CLIPS["f/ü.mp3"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "C:/x", "a\\..\\x", "."])
def test_a_member_outside_the_folder_stops_everything(pack: Pack, tmp_path: Path, name: str) -> None:
    path = pack({"0/a.mp3": b"a", name: b"x"})
    with pytest.raises(UsageError, match="would land outside the folder; nothing unpacked"):
        unpack([path], tmp_path / "deep" / "mp3")
    assert set(contents(tmp_path)) == {"mp3.zip"}


def test_links_and_encrypted_members_are_refused(pack: Pack, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("0/link.mp3")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UsageError, match=r"'0/link\.mp3' is a link"):
        unpack([pack({link: b"/etc/passwd"})], tmp_path / "mp3")
    path = pack({"0/a.mp3": b"a"})
    body = bytearray(path.read_bytes())
    body[6] |= 1  # the general purpose flags in the local header (APPNOTE 4.3.7) and in the directory (4.3.12)
    body[body.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(body)
    with pytest.raises(UsageError, match=r"'0/a\.mp3' is encrypted"):
        unpack([path], tmp_path / "mp3")
    assert not (tmp_path / "mp3").exists()


@pytest.mark.parametrize(
    ("other", "said"), [("./0/a.mp3", "two members are called"), ("0/a.mp3/b", "'0/a.mp3' is a file and a folder")]
)
def test_members_that_would_overwrite_one_another_are_refused(
    pack: Pack, tmp_path: Path, other: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        unpack([pack({"0/a.mp3": b"a", other: b"other"})], tmp_path / "mp3")
    assert not (tmp_path / "mp3").exists()
    assert unpack([pack({"0/a.mp3": b"a", "./0/a.mp3": b"a"})], tmp_path / "mp3") == 1


def test_a_bomb_is_not_unpacked(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack({"0/a.mp3": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("cmbench.tasks.fetching.archives._BOMB_BYTES", 2**16)
    with pytest.raises(UsageError, match=r"1\.0 MB, as no real data do; nothing unpacked"):
        unpack([path], tmp_path / "mp3")
    assert not (tmp_path / "mp3").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_named_and_the_others_are_unpacked(pack: Pack, tmp_path: Path, compression: int) -> None:
    path = pack(CLIPS, compression)
    with zipfile.ZipFile(path) as archive:
        one = archive.getinfo("f/ü.mp3")
    body = bytearray(path.read_bytes())
    middle = one.header_offset + 30 + len("f/ü.mp3".encode()) + one.compress_size // 2
    for i in range(middle, middle + 8):
        body[i] ^= 0xFF
    path.write_bytes(body)
    with pytest.raises(CmbenchError, match=r"mp3\.zip: 1 of 4 members are damaged and were not unpacked: f/ü\.mp3"):
        unpack([path], tmp_path / "mp3")
    assert set(contents(tmp_path / "mp3")) == {"0/a.mp3", "0/b.mp3", "README.txt"}


@pytest.mark.parametrize("damage", [lambda body: body[: len(body) // 2], lambda body: b"<html>", lambda body: b""])
def test_an_archive_that_is_none_is_named(pack: Pack, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = pack(CLIPS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CmbenchError, match=r"mp3\.zip is damaged: .* Remove it and prepare again"):
        unpack([path], tmp_path / "mp3")


def test_a_member_larger_than_the_disk_is_not_begun(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SPARE_BYTES", 2**60)
    with pytest.raises(UsageError, match="are needed"):
        unpack([pack(CLIPS)], tmp_path / "mp3")
    assert not (tmp_path / "mp3").exists()


@given(
    pieces=st.lists(st.binary(max_size=8), min_size=1, max_size=5),
    moves=st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-50, 50), st.integers(0, 50)), max_size=8),
)
def test_joined_parts_read_like_the_joined_bytes(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], moves: list[tuple[int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / str(i) for i in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    oracle = io.BytesIO(b"".join(pieces))
    with joined_bytes(b"", [FileBytes(path) for path in paths]) as joined:
        for whence, offset, count in moves:
            target = {0: 0, 1: oracle.tell(), 2: len(b"".join(pieces))}[whence] + offset
            if target >= 0:
                assert joined.seek(offset, whence) == oracle.seek(target)
            else:
                assert joined.seek(offset, whence) == oracle.seek(0), "before the first byte there is nothing"
            assert joined.read(count) == oracle.read(count)
            assert joined.tell() == oracle.tell()


@pytest.mark.parametrize("name", ["a/" * 2_000 + "b", "x" * 300])
def test_members_that_no_file_system_takes(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.writestr(name, b"1")
    with pytest.raises(UsageError, match="nothing unpacked"):
        unpack([tmp_path / "deep.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
