"""Room on a disk, asked for before anything is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.fetching import room
from cmbench.tasks.fetching.room import require_room, spoken_bytes


def test_a_folder_need_not_exist_to_be_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_room(tmp_path / "not" / "there", 1)
    monkeypatch.setattr(room, "SPARE_BYTES", 2**60)
    with pytest.raises(UsageError, match="1 bytes are needed"):
        require_room(tmp_path / "not" / "there", 1)


def test_sizes_are_told_in_powers_of_a_thousand() -> None:
    assert [spoken_bytes(n) for n in (0, 999, 1000, 1_500_000, 22 * 10**9)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.5 MB", "22.0 GB",
    ]  # fmt: skip
