from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.own.corpus import Proposal, propose_task
from cmbench.tasks.own.roles import Choices
from cmbench.tasks.own.sources import open_source
from cmbench.tasks.own.writing import _tracks_csv
from cmbench.tests.tasks.own.conftest import Sound

Corpus = Callable[..., Path]


def rows(count: int, **more: str) -> list[dict[str, str]]:
    return [{"file": f"{i:02d}.wav", "makam": "ab"[i % 2], "album": f"disc {i // 3}", **more} for i in range(count)]


def files(count: int) -> list[str]:
    return [f"{i:02d}.wav" for i in range(count)]


def propose(folder: Path, choices: Choices | None = None, fewest: int = 3) -> Proposal:
    return propose_task(open_source(str(folder)), choices or Choices(), fewest)


def kinds(found: Proposal) -> dict[str, int]:
    return dict(Counter(problem.kind for problem in found.problems))


def test_a_clean_corpus_has_no_problems_and_whole_groups(corpus: Corpus) -> None:
    found = propose(corpus(rows(36), files(36)))
    assert not found.problems
    assert found.labels == ("makam--a", "makam--b")
    assert found.families == {"makam--a": "makam", "makam--b": "makam"}
    assert found.drawn == ("train", "valid", "test")
    assert sum(sum(found.support(s).values()) for s in ("train", "valid", "test")) == 36
    at: dict[str | None, set[str]] = {}
    for track in found.tracks:
        at.setdefault(track.group, set()).add(found.split_of[track.id])
    assert all(len(splits) == 1 for splits in at.values())


def test_everything_that_is_wrong_is_told_at_once(corpus: Corpus, sound: Sound) -> None:
    listed = rows(40, start="", end="")
    listed[0]["file"] = "99.wav"
    listed[1]["file"] = ""
    listed[2]["file"] = "03.wav"
    listed[4]["file"] = "twin.wav"
    listed[5] |= {"start": "3", "end": "2"}
    listed[6]["makam"] = "A"
    listed[7]["makam"] = "rare"
    folder = corpus(listed, files(40))
    (folder / "08.wav").write_bytes(b"no sound at all")
    sound(folder / "x" / "twin.wav")
    sound(folder / "y" / "twin.wav")
    found = propose(folder)
    assert kinds(found) == {
        "recordings that are not there": 1,
        "rows without a recording": 1,
        "recordings that stand in two rows": 1,
        "names that several recordings have": 1,
        "excerpts without a length": 1,
        "recordings that cannot be read": 1,
        "labels that differ only in case, blanks or signs": 1,
        "labels of fewer than 3 groups, left out": 2,
    }
    assert "1 group" in {p.text for p in found.problems if p.kind == "labels of fewer than 3 groups, left out"}
    assert found.lost == 6
    assert len(found.tracks) == 34
    [absent] = [p for p in found.problems if p.kind == "recordings that are not there"]
    assert (absent.where, absent.text) == ("songs.csv:2", "'99.wav'")
    assert any("in no row, and not used" in note for note in found.notes)


def test_a_missing_name_that_is_nearly_there(corpus: Corpus) -> None:
    listed = rows(12)
    listed[3]["file"] = "recordng 3.wav"
    found = propose(corpus(listed, [*files(3), *files(12)[4:], "a/recording 3.wav"]))
    assert found.problems[0].text == "'recordng 3.wav'; did you mean 'a/recording 3.wav'?"


def test_splits_of_the_table_stay_and_the_missing_one_is_drawn(corpus: Corpus) -> None:
    listed = [row | {"split": "test" if i >= 24 else "train"} for i, row in enumerate(rows(36))]
    found = propose(corpus(listed, files(36)))
    assert found.drawn == ("valid",)
    assert {id_ for id_, split in found.split_of.items() if split == "test"} == {f"{i:02d}" for i in range(24, 36)}
    assert Counter(found.split_of.values())["valid"] > 0


def test_given_splits_that_tear_a_group_are_told(corpus: Corpus) -> None:
    listed = [row | {"split": ["train", "valid", "test"][i % 3]} for i, row in enumerate(rows(36))]
    found = propose(corpus(listed, files(36)))
    assert not found.drawn
    assert any("tear 12 groups apart" in note and "group-safe" in note for note in found.notes)


def test_too_few_groups_is_said_in_words(corpus: Corpus) -> None:
    listed = [row | {"album": "one"} for row in rows(12)]
    folder = corpus(listed, files(12))
    found = propose(folder, Choices(group=("album",)), fewest=1)
    assert found.split_of == {}
    [problem] = found.problems
    assert problem.kind == "no split can be drawn"
    assert "You have 12 recordings in 1 group; at least 3 groups are needed" in problem.text
    assert "--group none" in problem.remedy
    assert set(propose(folder, Choices(group=("none",)), fewest=1).split_of.values()) == {"train", "valid", "test"}


def test_a_split_that_tells_no_label_apart_is_refused(corpus: Corpus) -> None:
    listed = rows(12)
    for i, row in enumerate(listed):
        row["split"] = "train" if i < 8 else "valid" if i < 10 else "test"
        row["makam"] = "a" if 8 <= i < 10 else "ab"[i % 2]
    folder = corpus(listed, files(12))
    found = propose(folder)
    assert found.split_of == {}
    [problem] = found.problems
    assert problem.kind == "splits with nothing to compare"
    assert "--split none" in problem.remedy
    assert propose(folder, Choices(split="none")).split_of


def test_a_dozen_recordings_without_groups(corpus: Corpus) -> None:
    listed = [{"file": f"{i:02d}.wav", "genre": "ab"[i % 2]} for i in range(12)]
    found = propose(corpus(listed, files(12)))
    assert not found.problems
    assert all(set(found.support(split)) == {"genre--a", "genre--b"} for split in ("train", "valid", "test"))
    assert "Scores on 3 test recordings are a first look, not a finding." in found.notes


def test_labels_and_groups_are_the_same_in_either_unicode_form(corpus: Corpus) -> None:
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    listed = [
        {unicodedata.normalize("NFD", "dosyâ"): f"{i:02d}.wav", "makam": unicodedata.normalize(forms[i // 2 % 2], "hâ"
         if i % 2 else "şû"), "albüm": unicodedata.normalize(forms[i % 2], f"â{i // 4}")} for i in range(40)
    ]  # fmt: skip
    found = propose(corpus(listed, files(40)), Choices(path="dosyâ"))
    assert not found.problems
    assert (found.labels, len({t.group for t in found.tracks})) == (("makam--hâ", "makam--şû"), 10)
    assert found.roles.why["makam"] == "labels: 2 different values"


def test_a_column_of_folders_tells_names_apart(corpus: Corpus) -> None:
    listed = [{"file": f"{i}.wav", "side": f"Side {s}", "label": "ab"[i % 2]} for i in range(9) for s in (1, 2)]
    folder = corpus(listed, [f"side 0{s}/{i}.wav" for i in range(9) for s in (1, 2)])
    found = propose(folder)
    assert not found.problems
    assert found.roles.why["file"] == "the recording, with the folder in 'side': 18 of 18 found"
    assert len({track.path for track in found.tracks}) == 18


def test_names_that_all_are_of_two_recordings(corpus: Corpus) -> None:
    """What the message says is typed."""
    listed = [{"file": f"{i}.wav", "label": "ab"[i % 2]} for i in range(20)]
    folder = corpus(listed, [f"{s}/{i}.wav" for i in range(20) for s in "xy"])
    with pytest.raises(UsageError) as caught:
        propose(folder)
    assert "'0.wav' in the column 'file' is the name of 2 recordings (x/0.wav, y/0.wav)" in str(caught.value)
    remedy = re.search(r"--audio (\S+)\.$", str(caught.value))
    assert remedy is not None
    found = propose_task(open_source(str(folder), audio=Path(remedy[1])), Choices())
    assert {track.path.parent.name for track in found.tracks} == {"x"}


def test_numbers_as_excel_writes_them(corpus: Corpus) -> None:
    listed = [{"id": f"{i}{'.0' * (i % 2)}", "label": "ab"[i % 2]} for i in range(1, 121)]
    found = propose(corpus(listed, [f"{i:03d}.wav" for i in range(1, 121)]))
    assert [track.path.name for track in found.tracks] == [f"{i:03d}.wav" for i in range(1, 121)]
    assert any("'1.0' is taken for 001.wav" in note for note in found.notes)


def test_two_columns_of_numbers_are_not_chosen_from(corpus: Corpus) -> None:
    listed = [{"rank": str(21 - i), "order": str(i), "label": "ab"[i % 2]} for i in range(1, 21)]
    folder = corpus(listed, [f"{i:03d}.wav" for i in range(1, 21)])
    with pytest.raises(UsageError, match=r"--path rank, or --path order\."):
        propose(folder)
    assert propose(folder, Choices(path="order")).tracks[0].path.name == "001.wav"


def test_a_typing_error_in_a_split_is_told(corpus: Corpus) -> None:
    listed = [row | {"split": ["train", "dev", "Test set"][i // 12]} for i, row in enumerate(rows(36))]
    listed[3]["split"] = "tarin"
    found = propose(corpus(listed, files(36)))
    assert kinds(found) == {"unknown splits": 1}
    assert (found.drawn, Counter(found.split_of.values())) == ((), {"train": 11, "valid": 12, "test": 12})


def test_numbered_things_are_no_labels(corpus: Corpus) -> None:
    listed = [{"file": f"{i:02d}.wav", "Rulle": f"rulle {i // 3}", "label": "ab"[i % 2]} for i in range(36)]
    found = propose(corpus(listed, files(36)))
    assert (found.roles.labels, found.roles.group) == (("label",), ("Rulle",))


def test_several_groups_are_joined_and_told_apart(corpus: Corpus) -> None:
    listed = [row | {"artist": f"disc {i // 6}"} for i, row in enumerate(rows(36))]
    found = propose(corpus(listed, files(36)), Choices(group=("album", "artist")))
    assert found.tracks[7].group == "album disc 2|artist disc 1"


def test_empty_groups_are_told(corpus: Corpus) -> None:
    listed = [row | {"album": f"disc {i // 3}" * (i % 3 == 0)} for i, row in enumerate(rows(36))]
    assert any("24 recordings with an empty 'album'" in note for note in propose(corpus(listed, files(36))).notes)


def test_excerpts_of_one_file_are_tracks_of_their_own(corpus: Corpus) -> None:
    listed = [{"file": "long.wav", "start": f"0:{i:02d}", "end": str(i + 1), "label": "ab"[i % 2]} for i in range(20)]
    found = propose(corpus(listed, ["long.wav"]))
    assert [t.id for t in found.tracks[:2]] == ["long@0", "long@1"]
    assert (found.tracks[1].start, found.tracks[1].end) == (1.0, 2.0)
    assert not found.problems


def test_without_a_group_column_the_reader_is_warned(corpus: Corpus) -> None:
    listed = [{k: v for k, v in row.items() if k != "album"} for row in rows(20)]
    assert any("--group COLUMN" in note for note in propose(corpus(listed, files(20))).notes)


def test_the_order_of_rows_changes_no_split(corpus: Corpus) -> None:
    folder = corpus(rows(36), files(36))
    source = open_source(str(folder))
    turned = replace(source, sheet=replace(source.sheet, rows=source.sheet.rows[::-1], lines=source.sheet.lines[::-1]))
    assert propose_task(source, Choices()).split_of == propose_task(turned, Choices()).split_of


@pytest.mark.parametrize("count", [160])
def test_the_ethnomusicologist_s_folder(corpus: Corpus, count: int) -> None:
    found = propose(corpus(rows(count), files(count), ";", "cp1254"))
    assert len(found.tracks) == count
    assert Counter(found.split_of.values())["test"] == pytest.approx(0.2 * count, rel=0.15)


def test_question_marks_are_unknown_and_reach_the_task(corpus: Corpus) -> None:
    listed = rows(36)
    for i, row in enumerate(listed):
        row["instrument"] = ("ud", "ney|?ud", "ney")[i % 3]
    listed[0]["makam"] = "?"
    found = propose(corpus(listed, files(36)), Choices(labels=("makam", "instrument")))
    assert set(found.labels) == {"makam--a", "makam--b", "instrument--ney", "instrument--ud"}
    tracks = {track.path.name: track for track in found.tracks}
    assert set(tracks["00.wav"].unknown) == {"makam--a", "makam--b"}
    assert tracks["00.wav"].labels == ("instrument--ud",)
    assert tracks["01.wav"].labels == ("makam--b", "instrument--ney")
    assert tracks["01.wav"].unknown == ("instrument--ud",)
    written = _tracks_csv(found, found.source.recordings.folder)
    assert "instrument--ud|?makam--b|?makam--a\n" in written
    assert "makam--b|instrument--ney|?instrument--ud\n" in written


def test_a_column_for_each_label_may_hold_question_marks(corpus: Corpus) -> None:
    listed = [{"file": f"{i:02d}.wav", "ney": "10"[i % 2], "ud": "01?"[i % 3], "album": f"disc {i // 3}"}
              for i in range(36)]  # fmt: skip
    found = propose(corpus(listed, files(36)))
    assert set(found.labels) == {"ney", "ud"}
    assert [t.unknown for t in found.tracks[:4]] == [(), (), ("ud",), ()]
    assert [t.labels for t in found.tracks[:4]] == [("ney",), ("ud",), ("ney",), ()]


def test_a_label_that_is_there_or_not_known_everywhere_tells_nothing_apart(corpus: Corpus) -> None:
    listed = rows(36)
    for i, row in enumerate(listed):
        row["form"] = "song" if i % 2 else "?song"
    found = propose(corpus(listed, files(36)), Choices(labels=("makam", "form")))
    assert set(found.labels) == {"makam--a", "makam--b"}
    assert kinds(found) == {"labels that every recording has, left out": 1}
    assert not any(t.unknown for t in found.tracks)
