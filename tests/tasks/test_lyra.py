"""Lyra: the published tables, pieces of their own or cut from videos, the draw of the validation split."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.tasks import lyra
from cmbench.tasks.base import LoadContext, TaskData
from cmbench.tasks.fetching.carry_out import carry_out
from cmbench.tasks.lyra import DUPLICATED_LABELS, TASK, VALID_SHA256, draw_valid, ids_sha256
from cmbench.tasks.preparing import PrepareContext

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]
Serve = Callable[[Path], str]
HEADER = "id\tinstruments\tgenres\tplace\tcoordinates\tis-danced\tyoutube-id\tstart-ts\tend-ts"


@pytest.fixture
def root(context: LoadContext, write: Write) -> Path:
    """Ten training and two test pieces; all of video V1 and the piece t2 have audio."""
    assert context.data_root is not None
    folder = context.data_root / "lyra"
    rows = [
        f"p{i}\tVoice|Lyra\tTraditional|Cretan\tCrete|Chania\t1|2\t1\tV1\t{10 * i}\t{10 * i + 9}" for i in range(10)
    ]
    write(folder / "split" / "training.tsv", [HEADER, *rows])
    tests = [
        "t1\tOud\tLaiko\tNone\tNone\t0\tV2\t3.5\t90",
        "t2\tVoice|Piano\tTraditional|Nisiotiko|Aegean\tAegean-sea|Icaria\t1|2\t0\tV1\t3\t4",
    ]
    write(folder / "split" / "test.tsv", [HEADER, *tests])
    for name in ("V1.ogg", "t2.wav"):
        write(folder / "audio" / name, [])
    return folder


def test_pieces_are_cut_from_videos_unless_they_have_a_file_of_their_own(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    cut = data.splits["train"][0]
    number = int(cut.id[1:])
    assert (cut.path, cut.start, cut.end) == (root / "audio" / "V1.ogg", 10.0 * number, 10.0 * number + 9)
    absent, own = data.splits["test"]
    assert (own.id, own.path, own.start, own.end) == ("t2", root / "audio" / "t2.wav", 0.0, None)
    assert absent.path == root / "audio" / "t1.mp3"
    assert {track.group for track in (cut, own)} == {"V1"}
    assert absent.group == "V2"


def test_labels_are_made_of_three_columns_and_the_rest_is_left_out(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    assert data.splits["train"][0].labels == ("instruments--Voice", "genres--Traditional", "instruments--Lyra")
    assert data.splits["test"][0].labels == ("place--None", "genres--Laiko", "instruments--Oud")
    assert data.splits["test"][1].labels == (
        "instruments--Voice",
        "genres--Traditional",
        "genres--Nisiotiko",
        "genres--Aegean",
        "place--Aegean-sea",
        "instruments--Piano",
    )


def test_a_tenth_is_drawn_and_both_parts_keep_the_files_order(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    train, valid = ([track.id for track in data.splits[name]] for name in ("train", "valid"))
    assert len(valid) == 1
    assert train == [f"p{i}" for i in range(10) if f"p{i}" not in valid]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x\tVoice\tLaiko\tNone\tNone\t0\tV1\t9\t9", "line 2: x ends at 9.0 s, before it starts"),
        ("x\tVoice\tLaiko\tNone\tNone\t0\tV1\t0:09\t20", "line 2: '0:09' is not a time in seconds"),
        ("x\tVoice", "line 2: 2 cells"),
    ],
)
def test_a_wrong_row_is_named(root: Path, context: LoadContext, write: Write, row: str, message: str) -> None:
    write(root / "split" / "test.tsv", [HEADER, row])
    with pytest.raises(UsageError, match=message):
        TASK.load("full", context)


def test_an_empty_audio_folder_is_missing_audio(root: Path, context: LoadContext) -> None:
    shutil.rmtree(root / "audio")
    (root / "audio").mkdir()
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    (missing,) = caught.value.missing
    assert missing.what == "audio of lyra (1570 pieces of 74 videos)"


@pytest.mark.parametrize("ending", ["m4a", "webm", "mkv", "unheard-of", "MP4"])
def test_a_video_may_have_any_ending(root: Path, context: LoadContext, ending: str) -> None:
    (root / "audio" / "V1.ogg").rename(root / "audio" / f"V1.{ending}")
    (root / "audio" / "V1.info.json").touch()
    (root / "audio" / "V1.json").touch()
    (root / "audio" / "._V2.m4a").touch()
    assert TASK.load("full", context).splits["train"][0].path == root / "audio" / f"V1.{ending}"


@pytest.mark.parametrize("name", ["A song [abcdefghij-].webm", "A song-abcdefghij-.m4a", "abcdefghij-.mp4"])
def test_a_video_is_found_by_the_id_at_the_end_of_its_name(root: Path, context: LoadContext, name: str) -> None:
    table = root / "split" / "test.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("\tV2\t", "\tabcdefghij-\t"), encoding="utf-8")
    (root / "audio" / name).touch()
    piece = TASK.load("full", context).splits["test"][0]
    assert (piece.id, piece.path, piece.start, piece.end) == ("t1", root / "audio" / name, 3.5, 90.0)


def test_files_of_no_piece_are_named_once(root: Path, context: LoadContext, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("V3.m4a", "holiday.mp3", "cover.jpg", ".DS_Store"):
        (root / "audio" / name).touch()
    for _ in range(2):
        TASK.load("full", context)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "2 files belong to no piece or video" in said
    assert "V3.m4a" in said
    assert "holiday.mp3" in said
    assert "cover" not in said


def test_a_folder_without_audio_says_what_lies_there(root: Path, context: LoadContext) -> None:
    shutil.rmtree(root / "audio")
    for name in ("V1.mp4.part", "V1.info.json"):
        (root / "audio").mkdir(exist_ok=True)
        (root / "audio" / name).touch()
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    assert "(there lie 2 files that are no audio: V1.info.json, V1.mp4.part)" in caught.value.missing[0].where


@pytest.fixture
def source(root: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tables at their source, as published today, and not in the data root."""
    folder = tmp_path / "source"
    (root / "split").rename(folder)
    monkeypatch.setattr(lyra, "TABLES_AT", serve(folder))
    tables = {
        name: (path.stat().st_size, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
        for name, path in {name: folder / f"{name}.tsv" for name in lyra.TABLES}.items()
    }
    monkeypatch.setattr(lyra, "TABLES", tables)
    return folder


def test_the_tables_are_fetched_and_the_missing_videos_named(
    source: Path, root: Path, context: LoadContext, preparing: PrepareContext
) -> None:
    plan = lyra.prepare(TASK, preparing)
    assert [one.path for one in plan.downloads] == [root / "split" / "training.tsv", root / "split" / "test.tsv"]
    assert plan.known_bytes == sum(path.stat().st_size for path in source.iterdir())
    carry_out(plan, preparing, root)
    assert (root / "videos.tsv").read_text(encoding="utf-8").splitlines() == [
        "youtube-id\turl\tpieces\tfirst-start-s\tlast-end-s",
        "V1\thttps://www.youtube.com/watch?v=V1\t11\t0\t99",
        "V2\thttps://www.youtube.com/watch?v=V2\t1\t3.5\t90",
    ]
    rest = lyra.prepare(TASK, preparing)
    assert rest.nothing_to_do
    (missing,) = rest.missing
    assert missing.what == "audio of lyra (1 of 12 pieces, of 1 videos: V2)"
    (root / "audio" / "V2.mp3").touch()
    assert lyra.prepare(TASK, preparing).missing == ()
    assert len(TASK.load("full", context).splits["test"]) == 2


def test_another_table_than_the_published_one_is_not_taken(source: Path, root: Path, preparing: PrepareContext) -> None:
    with (source / "test.tsv").open("a", encoding="utf-8") as table:
        table.write("t3\tOud\tLaiko\tNone\tNone\t0\tV2\t3.5\t90\n")
    with pytest.raises(CmbenchError, match=r"1 of 2 downloads failed:\n.*test\.tsv: what came is not"):
        carry_out(lyra.prepare(TASK, preparing), preparing, root)
    assert not (root / "videos.tsv").exists()
    assert [one.path.name for one in lyra.prepare(TASK, preparing).downloads] == ["test.tsv"]


def test_the_published_tables_have_the_stated_sizes_and_hashes(published: Path) -> None:
    for name, (size, digest) in lyra.TABLES.items():
        content = (published / "lyra" / f"{name}.tsv").read_bytes()
        assert (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}") == (size, digest)


def test_published_lengths_are_those_of_the_excerpts(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    assert data.splits["train"][0].seconds == 9.0
    assert [track.seconds for track in data.splits["test"]] == [86.5, 1.0]


@pytest.fixture
def published_root(published: Path, context: LoadContext, write: Write) -> Path:
    assert context.data_root is not None
    folder = context.data_root / "lyra"
    (folder / "split").mkdir(parents=True)
    for name in ("training.tsv", "test.tsv"):
        shutil.copy(published / "lyra" / name, folder / "split" / name)
    write(folder / "audio" / "cKXi8_5_Rd4.mp3", [])
    return folder


@pytest.fixture
def published_data(published_root: Path, context: LoadContext) -> TaskData:
    return TASK.load("full", context)


def test_the_published_tables_give_the_published_counts_and_supports(published_data: TaskData) -> None:
    assert {name: len(tracks) for name, tracks in published_data.splits.items()} == dict(TASK.counts)
    support = published_data.label_matrix("test").sum(axis=0)
    assert dict(zip(TASK.labels, support.tolist(), strict=True)) == dict(TASK.test_support)
    assert round(support.sum() / 330, 2) == 6.05


def test_the_label_order_is_that_of_the_training_counts(published_data: TaskData) -> None:
    both = [*published_data.splits["train"], *published_data.splits["valid"]]
    counts = {label: sum(label in track.labels for track in both) for label in TASK.labels}
    assert list(TASK.labels) == sorted(sorted(TASK.labels), key=lambda label: -counts[label])


def test_five_pairs_of_labels_are_the_same_in_every_piece(published_data: TaskData) -> None:
    columns = {
        label: tuple(
            bool(value)
            for name in ("train", "valid", "test")
            for value in published_data.label_matrix(name)[:, TASK.labels.index(label)]
        )
        for label in TASK.labels
    }
    pairs = {frozenset((a, b)) for a in TASK.labels for b in TASK.labels if a < b and columns[a] == columns[b]}
    assert pairs == {frozenset(pair) for pair in DUPLICATED_LABELS}
    assert len(columns["place--None"]) == 1570
    assert all(f"{a} = {b}" in TASK.notes[0] for a, b in DUPLICATED_LABELS)


def test_the_validation_split_is_the_published_draw(published_data: TaskData, published_rows: Rows) -> None:
    ids = [row["id"] for row in published_rows("lyra/training.tsv")]
    valid = [track.id for track in published_data.splits["valid"]]
    # The first rows that the published rule draws: 123, 416, 326 (numpy.random.seed(10); numpy.random.shuffle).
    assert {ids[123], ids[416], ids[326]} <= set(valid)
    assert valid == [piece for piece in ids if piece in set(valid)]
    assert ids_sha256(published_data.splits["valid"]) == VALID_SHA256


def test_the_groups_are_the_videos_and_leak_as_stated(published_data: TaskData) -> None:
    videos = {name: {track.group for track in tracks} for name, tracks in published_data.splits.items()}
    assert len(set().union(*videos.values())) == 74
    assert len(videos["test"]) == 15
    assert not videos["test"] & (videos["train"] | videos["valid"])
    assert sum(track.group in videos["train"] for track in published_data.splits["valid"]) == 124


def test_another_order_of_the_training_table_is_noticed(
    published_root: Path, context: LoadContext, write: Write
) -> None:
    table = published_root / "split" / "training.tsv"
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    write(table, [header, *sorted(rows, reverse=True)])
    with pytest.raises(UsageError, match="not the published table"):
        TASK.load("full", context)


def test_a_changed_test_table_is_noticed(published_root: Path, context: LoadContext) -> None:
    table = published_root / "split" / "test.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("Voice|", "", 1), encoding="utf-8")
    with pytest.raises(UsageError, match="instruments--Voice: 222, published 223"):
        TASK.load("full", context)


def test_drawing_from_nothing_gives_nothing() -> None:
    assert draw_valid(()) == ((), ())
