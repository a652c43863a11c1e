"""CNPM: the table as the publisher's script reads it, and what is refused.

The columns and the order of the modes: datasets/ccmusic-database/CNPM on the Hugging Face hub, ``CNPM.py`` at 0b292f6.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import LoadContext
from cmbench.tasks.chinese_modes import LABELS, PATTERNS, TASK, prepare, read_tracks
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS


def _write(root: Path, rows: list[str], header: str = "File_Name,System,Tonic,Pattern,Type,Length") -> Path:
    (root / "audio").mkdir(parents=True, exist_ok=True)
    for row in rows:
        (root / "audio" / row.split(",")[0]).touch()
    (root / "label.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root


def test_a_number_is_a_mode_and_the_draw_is_of_whole_recordings(context: LoadContext) -> None:
    assert context.data_root is not None
    rows = [f"刮地风 {k}.wav,{k % 12},{(k + 2) % 12},{k % 5},{k % 6},180" for k in range(60)]
    _write(context.data_root / "chinese_modes", rows)
    data = TASK.load("full", context)
    tracks = {t.id: t for split in SPLITS for t in data.splits[split]}
    assert len(tracks) == 60
    for k in range(60):
        track = tracks[f"刮地风 {k}.wav"]
        assert track.labels == (f"mode--{PATTERNS[k % 5]}",)
        assert track.path.is_file()
        assert track.group is None
    assert [len(data.splits[split]) for split in SPLITS] == pytest.approx([42, 6, 12], abs=2)
    assert {t.labels[0] for t in data.splits["test"]} == set(LABELS)
    assert data.split_name == "own"


@pytest.mark.parametrize(
    "row", ["a.wav,0,0,5,0,1", "a.wav,0,0,Gong,0,1", "a.wav,0,0,,0,1", ",0,0,1,0,1", "../a.wav,0,0,1,0,1"]
)
def test_a_row_without_a_mode_or_a_name_is_refused(row: str, tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text(f"File_Name,System,Tonic,Pattern,Type,Length\n{row}\n")
    with pytest.raises(UsageError, match=r"line 2: .* expected a file's name, and a number from 0"):
        read_tracks(tmp_path / "label.csv", tmp_path)


def test_a_recording_with_two_rows_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, ["a.wav,0,0,1,0,1", "a.wav,0,0,2,0,1"])
    with pytest.raises(UsageError, match=r"line 3: 'a\.wav' has a row already"):
        read_tracks(tmp_path / "label.csv", tmp_path / "audio")


def test_another_table_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, ["a.wav,1"], "name,mode")
    with pytest.raises(UsageError, match="lacks the column 'File_Name', 'Pattern'"):
        read_tracks(tmp_path / "label.csv", tmp_path / "audio")


def test_what_only_the_user_can_have_is_named(context: LoadContext, preparing: PrepareContext) -> None:
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    plan = prepare(TASK, preparing)
    assert plan.nothing_to_do
    assert [m.where for m in plan.missing] == [m.where for m in caught.value.missing]
    assert all("Accept the terms" in missing.command for missing in plan.missing)
    assert context.data_root is not None
    _write(context.data_root / "chinese_modes", ["a.wav,0,0,1,0,1"])
    assert not prepare(TASK, preparing).missing
