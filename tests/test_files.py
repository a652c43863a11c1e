"""Files written wholly or not at all, and names that are safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cmbench.files import safe_name, write_atomically


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
