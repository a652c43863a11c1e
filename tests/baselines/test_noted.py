"""Cards noted in the cache: found again, and never for other weights or other code."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from cmbench import files
from cmbench.baselines import noted
from cmbench.baselines.base import EncoderEntry, LoadOptions
from cmbench.baselines.hub.about import with_hashes
from cmbench.baselines.nano import NANO_BASE, nano_folder
from cmbench.baselines.noted import note_path, read_note, write_note
from cmbench.baselines.registry import _adopt, load_encoder
from cmbench.errors import UsageError

OPTIONS = LoadOptions("cpu", offline=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of someone else: nothing in its folder states a hash."""
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / "theirs").mkdir(exist_ok=True)
        shutil.copy(nano_folder(NANO_BASE) / name, tmp_path / "theirs")
    return tmp_path / "theirs"


def path_of(name: str | Path) -> Path:
    path = note_path(str(name), OPTIONS)
    assert path is not None
    return path


@pytest.mark.parametrize("name", [NANO_BASE, "MERT-nano-untrained"])
def test_a_card_is_read_as_it_was_noted(name: str) -> None:
    assert read_note(path_of(name)) is None
    card = load_encoder(name, OPTIONS).card
    write_note(path_of(name), card)
    assert read_note(path_of(name)) == card


def test_a_changed_byte_is_another_card_whatever_the_dates_say(folder: Path) -> None:
    weights, first = folder / "model.safetensors", path_of(folder)
    write_note(first, load_encoder(str(folder), OPTIONS).card)
    facts, content = weights.stat(), bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    second = path_of(folder)
    assert read_note(second) is None
    before, after = read_note(first), load_encoder(str(folder), OPTIONS).card
    assert before is not None
    assert before.weights_sha256 != after.weights_sha256


def test_every_file_of_a_folder_counts(folder: Path) -> None:
    paths = {path_of(folder)}
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    paths.add(path_of(folder))
    (folder / "preprocessor_config.json").unlink()
    paths.add(path_of(folder))
    paths.add(path_of(folder.rename(folder.with_name("another"))))
    assert len(paths) == 4


def test_a_folder_that_is_not_as_it_was_written_is_refused(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "text.txt").write_text("as it was")
    (folder / "merge.json").write_text(with_hashes("{}", folder, ["more/text.txt"], None))
    path_of(folder)
    (folder / "more" / "text.txt").write_text("another")
    with pytest.raises(UsageError, match="not the file that was written there"):
        path_of(folder)


def test_other_code_is_another_note(monkeypatch: pytest.MonkeyPatch) -> None:
    before = path_of(NANO_BASE)
    noted._code.cache_clear()
    monkeypatch.setattr(noted, "version", lambda package: "another")
    assert path_of(NANO_BASE) != before
    noted._code.cache_clear()
    hashed: list[Path] = []

    def count(file: Path) -> str:
        hashed.append(file)
        return "0"

    for module in (noted, files):
        monkeypatch.setattr(module, "current_sha256", count)
    files.code_sha256.cache_clear()
    path_of(NANO_BASE)
    noted._code.cache_clear()
    files.code_sha256.cache_clear()
    names = {file.name for file in hashed}
    assert {"checkpoint.py", "about.py", "nano.py", "noted.py", "model.safetensors"} <= names


def test_what_more_decides_than_files_is_not_noted(tmp_path: Path) -> None:
    for name in ("constant", "MERT-v1-95M", "hf:owner/name", str(tmp_path / "nowhere")):
        assert note_path(name, OPTIONS) is None, name
    assert note_path(NANO_BASE, LoadOptions("cpu", precision="bfloat16")) is None
    theirs = EncoderEntry("theirs", "One.", "MIT", "theirs", partial(load_encoder, "constant"), made_of=())
    assert _adopt(theirs, " of distribution theirs").made_of is None


@pytest.mark.parametrize("at", [0, 40, -3])
def test_a_flipped_byte_of_a_note_is_named(at: int, caplog: pytest.LogCaptureFixture) -> None:
    path = path_of(NANO_BASE)
    write_note(path, load_encoder(NANO_BASE, OPTIONS).card)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert read_note(path) is None
    assert str(path) in caplog.text


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_cache_for_reading_only_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(noted, "write_atomically", refuse)
    card = load_encoder("constant", OPTIONS).card
    with pytest.raises(OSError, match="no") if number == errno.ENOSPC else nullcontext():
        write_note(path_of(NANO_BASE), card)
