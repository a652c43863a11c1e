"""CompMusic's raga data sets: folders in the publisher's layout, what is missing, and the real lists where they are.

The layout of the doubles was read in sankalpg/MelodicAnalysisDatasets at 3b083ba (``RagaDataset/*/_info_``,
``filelist.txt``), with its own ids of ragas; that the archive writes ``_`` for ``:``, ``&`` and ``'`` was read in
two public readers of it. The archive itself was not at hand.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks import carnatic_raga, hindustani_raga
from cmbench.tasks.base import LoadContext, Task, TaskData
from cmbench.tasks.compmusic.raga import Half
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

HALVES = {
    "Carnatic": (carnatic_raga.TASK, carnatic_raga.HALF),
    "Hindustani": (hindustani_raga.TASK, hindustani_raga.HALF),
}


def _write(root: Path, half: Half, each: int = 6) -> dict[str, str]:
    """Write a double: some recordings of each raga, two to a concert, five concerts to an artist; return the list."""
    listed = {}
    for number, raga in enumerate(sorted(half.ragas)):
        for k in range(each):
            serial = number * each + k
            mbid = str(uuid.UUID(int=serial))
            where = f"RagaDataset/{half.tradition}/audio/{raga}/Artist_{serial // 10}/Live:_A_&_B's_{serial // 2}"
            name = f"Song_{serial % 50}" if half.has_works else f"Raga_{serial}_{mbid}"
            path = f"{where}/{name}/{name}" if half.has_works else f"{where}/{name}"
            listed[mbid] = path
            file = root / f"{path}.mp3"
            if not half.has_works:
                file = root / "".join("_" if c in ":&'" else c for c in f"{path}.mp3")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    info = root / "RagaDataset" / half.tradition / "_info_"
    info.mkdir(parents=True)
    rows = {mbid: {"path": path, "mbid": mbid, "ragaid": path.split("/")[3]} for mbid, path in listed.items()}
    (info / "path_mbid_ragaid.json").write_text(json.dumps(rows))
    return listed


@pytest.fixture(params=HALVES)
def loaded(request: pytest.FixtureRequest, context: LoadContext) -> tuple[Task, Half, TaskData, dict[str, str]]:
    task, half = HALVES[request.param]
    assert context.data_root is not None
    listed = _write(context.data_root / "compmusic_raga", half)
    return task, half, task.load("full", context), listed


Loaded = tuple[Task, Half, TaskData, dict[str, str]]


def test_every_recording_is_found_with_its_raga_and_no_concert_is_in_two_splits(loaded: Loaded) -> None:
    _, half, data, listed = loaded
    tracks = {t.id: t for split in SPLITS for t in data.splits[split]}
    assert tracks.keys() == listed.keys()
    for mbid, track in tracks.items():
        parts = listed[mbid].split("/")
        assert track.labels == (f"raga--{half.ragas[parts[3]]}",)
        assert track.path.is_file(), "names that the archive writes otherwise are found all the same"
        assert (track.group, track.performer) == ("/".join(parts[4:6]), parts[4].replace("_", " "))
        assert track.work == (parts[6].replace("_", " ") if half.has_works else None)
    groups = [{t.group for t in data.splits[split]} for split in SPLITS]
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert data.split_name == "own"


def test_splits_by_performer_and_by_work(loaded: Loaded, context: LoadContext) -> None:
    task, half, _, _ = loaded
    safe = task.load("full", context, "performer-safe")
    artists = [{t.performer for t in safe.splits[split]} for split in SPLITS]
    assert len(set().union(*artists)) == sum(map(len, artists))
    if not half.has_works:
        with pytest.raises(MissingError, match="work unknown for 180 of 180"):
            task.load("full", context, "work-safe")
        return
    safe = task.load("full", context, "work-safe")
    works = [{t.work for t in safe.splits[split]} for split in SPLITS]
    assert len(set().union(*works)) == sum(map(len, works))


@pytest.mark.parametrize("tradition", HALVES)
def test_what_is_missing_is_named_at_once(tradition: str, context: LoadContext) -> None:
    task, _ = HALVES[tradition]
    with pytest.raises(MissingError) as caught:
        task.load("full", context)
    first, second = caught.value.missing
    assert f"cmbench tasks prepare {task.name} --data-root {context.data_root}" in first.command
    assert "zenodo.org/record/7278511" in second.source
    with pytest.raises(MissingError) as caught:
        task.load("full", replace(context, needs_audio=False))
    assert len(caught.value.missing) == 1


@pytest.mark.parametrize(
    "row",
    [
        {"path": "RagaDataset/Carnatic/audio/x/a/c/s/s", "ragaid": "no such raga"},
        {"path": "RagaDataset/Carnatic/audio/../../a/c/s", "ragaid": "6345e8fe-7061-4bdc-842c-dcfd4a379820"},
        {"path": "/tmp/Carnatic/audio/x/a/c/s/s", "ragaid": "6345e8fe-7061-4bdc-842c-dcfd4a379820"},
        {"ragaid": "6345e8fe-7061-4bdc-842c-dcfd4a379820"},
        "text",
    ],
)
def test_a_row_that_is_not_the_publishers_is_refused(row: object, context: LoadContext) -> None:
    assert context.data_root is not None
    _write(context.data_root / "compmusic_raga", carnatic_raga.HALF)
    table = context.data_root / "compmusic_raga/RagaDataset/Carnatic/_info_/path_mbid_ragaid.json"
    table.write_text(json.dumps({**json.loads(table.read_text()), "odd": row}))
    with pytest.raises(UsageError, match="the entry 'odd' is not one of the published list"):
        carnatic_raga.TASK.load("full", context)


def test_another_list_of_the_published_length_is_refused(context: LoadContext) -> None:
    assert context.data_root is not None
    _write(context.data_root / "compmusic_raga", carnatic_raga.HALF, each=12)
    with pytest.raises(UsageError, match="not the published list: its recordings give another split"):
        carnatic_raga.TASK.load("full", context)


@pytest.mark.parametrize("tradition", HALVES)
def test_the_plan_fetches_the_list_and_asks_for_the_audio(tradition: str, preparing: PrepareContext) -> None:
    task, half = HALVES[tradition]
    plan = half.prepare(task, preparing)
    (download,) = plan.downloads
    assert download.url.endswith(f"RagaDataset/{tradition}/_info_/path_mbid_ragaid.json")
    assert download.digest == f"sha256:{half.lists[1]}"
    (missing,) = plan.missing
    assert f"0 of {sum(task.counts.values())} recordings" in missing.what
    with pytest.raises(UsageError, match="no source"):
        half.prepare(task, replace(preparing, source="saraga"))


@pytest.mark.parametrize(("tradition", "ragas", "each"), [("Carnatic", 40, 12), ("Hindustani", 30, 10)])
def test_the_labels_and_counts_are_the_publishers(tradition: str, ragas: int, each: int) -> None:
    task, _ = HALVES[tradition]
    assert len(task.labels) == len(set(task.labels)) == ragas
    assert sum(task.counts.values()) == ragas * each
    assert sum(task.test_support.values()) == task.counts["test"]
    assert min(task.test_support.values()) >= 1
    assert task.single_label
    mini = task.editions["mini"].labels
    assert set(mini) < set(task.labels)


@pytest.mark.parametrize("tradition", HALVES)
def test_the_published_list_gives_the_split_that_is_typed_in(
    tradition: str, context: LoadContext, tmp_path: Path
) -> None:
    """Needs the published list: CMBENCH_TEST_RAGA names the folder ``RagaDataset`` of its repository."""
    import os
    import shutil

    named = os.environ.get("CMBENCH_TEST_RAGA")
    if not named:
        pytest.skip("CMBENCH_TEST_RAGA does not name RagaDataset of sankalpg/MelodicAnalysisDatasets")
    task, half = HALVES[tradition]
    published = Path(named) / tradition / "_info_" / "path_mbid_ragaid.json"
    content = published.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == half.lists
    assert context.data_root is not None
    table = context.data_root / "compmusic_raga/RagaDataset" / tradition / "_info_" / published.name
    table.parent.mkdir(parents=True)
    shutil.copy(published, table)
    data = task.load("full", replace(context, needs_audio=False))
    assert {split: len(data.splits[split]) for split in SPLITS} == dict(task.counts)
    assert set(Counter(t.labels[0] for s in SPLITS for t in data.splits[s]).values()) == {12 if half.has_works else 10}
