"""BRID: names in the publisher's layout, what is left out, the draw, and the plan.

Layout and names: ``brid_full_index_1.0.json`` of mir-dataset-loaders/mirdata at cbf3415.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks import brazilian_rhythms
from cmbench.tasks.base import LoadContext
from cmbench.tasks.brazilian_rhythms import RHYTHMS, TASK, prepare
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

NAMES = [
    "Acoustic Mixtures/4 Instruments/[0001] M4-01-SA",
    "Acoustic Mixtures/2 Instruments/[0062] M2-14-SE",
    "Solo Tracks/Instrumentalist #1/Pandeiro/[0101] S1-PD2-01-SA",
    "Solo Tracks/Instrumentalist #1/Pandeiro/[0102] S1-PD2-02-PA",
    "Solo Tracks/Instrumentalist #1/Pandeiro/[0104] S1-PD2-04-MA",
    "Solo Tracks/Instrumentalist #2/Surdo/[0190] S2-SU1-05-CA",
    "Solo Tracks/Instrumentalist #2/Surdo/[0191] S2-SU1-06-SE",
    "Solo Tracks/Instrumentalist #3/Surdo/[0363] S3-SU3-06-SA",
    "Solo Tracks/Instrumentalist #3/Surdo/[0364] S3-SU3-07-PA",
    "Solo Tracks/Instrumentalist #3/Tanta/[0350] S3-TT1-01-MA",
]
LEFT_OUT = [
    "Solo Tracks/Instrumentalist #1/Pandeiro/[0106] S1-PD2-06-VPA",
    "Solo Tracks/Instrumentalist #3/Reco-reco/[0314] S3-RR1-07-OT",
    "Solo Tracks/Instrumentalist #3/Surdo/notes",
]


@pytest.fixture
def root(context: LoadContext) -> Path:
    assert context.data_root is not None
    for name in [*NAMES, *LEFT_OUT]:
        file = context.data_root / "brid" / "BRID_1.0" / "Data" / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return context.data_root / "brid"


def test_the_name_tells_rhythm_player_and_instrument(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    tracks = {t.id: t for split in SPLITS for t in data.splits[split]}
    assert sorted(tracks) == sorted(name.split("[")[1][:4] for name in NAMES)
    solo, mixture = tracks["0102"], tracks["0062"]
    assert (solo.labels, solo.group, solo.performer) == (("rhythm--partido alto",), "S1-PD2", "Instrumentalist #1")
    assert (mixture.labels, mixture.group, mixture.performer) == (("rhythm--samba-enredo",), None, None)
    assert all(track.path.is_file() for track in tracks.values())
    assert len({split for split in SPLITS for t in data.splits[split] if t.group == "S1-PD2"}) == 1


def test_absent_audio_names_the_command(context: LoadContext) -> None:
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    assert "cmbench tasks prepare brazilian_rhythms" in caught.value.missing[0].command


def test_the_published_counts_are_typed_in() -> None:
    """Counted in the index: 95 samba, 83 partido alto, 81 samba-enredo, 30 marcha and 12 capoeira of 367."""
    assert sum(TASK.counts.values()) == 95 + 83 + 81 + 30 + 12 == 367 - 64 - 2
    assert sum(TASK.test_support.values()) == TASK.counts["test"]
    assert list(TASK.test_support) == [f"rhythm--{name}" for name in RHYTHMS.values()]


def test_other_recordings_of_the_published_number_are_refused(root: Path, context: LoadContext) -> None:
    assert context.data_root is not None
    for k in range(301 - len(NAMES)):
        code = list(RHYTHMS)[k % 5]
        (root / f"[{1000 + k}] S{1 + k % 3}-TB{k % 9}-01-{code}.wav").touch()
    with pytest.raises(UsageError, match="not the published recordings"):
        TASK.load("full", context)


def test_the_archive_is_planned_unpacked_and_not_asked_for_again(
    context: LoadContext, preparing: PrepareContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(TASK, preparing)
    (download,), (step,) = plan.downloads, plan.steps
    assert (download.size, download.digest) == (944409073, "md5:3514b53d66515181f95619adb71a59b4")
    download.path.parent.mkdir(parents=True)
    with zipfile.ZipFile(download.path, "w") as archive:
        for name in [*NAMES, *LEFT_OUT]:
            archive.writestr(f"Data/{name}.wav", b"")
        archive.writestr("Data/readme.txt", b"")
    step.run(preparing)
    loaded = TASK.load("full", context)
    assert Counter(len(loaded.splits[s]) > 0 for s in SPLITS) == {True: 3}
    assert not list((download.path.parent / "BRID_1.0").rglob("*.txt"))
    monkeypatch.setattr(brazilian_rhythms, "RECORDINGS", len(NAMES) + 2)
    assert prepare(TASK, preparing).nothing_to_do
    with pytest.raises(UsageError, match="no source"):
        prepare(TASK, replace(preparing, source="x"))
