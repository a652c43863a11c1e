"""BRID, the Brazilian Rhythmic Instruments Dataset: the rhythm of 301 recordings of samba percussion.

Layout and counts: mir-dataset-loaders/mirdata, ``mirdata/datasets/brid.py`` at b95bf38 and ``brid_full_index_1.0.json``
at cbf3415 (367 recordings)::

    brid/BRID_1.0/Data/Acoustic Mixtures/<2|3|4> Instruments/[0001] M4-01-SA.wav
    brid/BRID_1.0/Data/Solo Tracks/Instrumentalist #<1|2|3>/<instrument>/[0101] S1-PD2-01-SA.wav

A name ends with the rhythm. mirdata names the five main ones; their codes (SA, PA, SE, MA, CA) are read by
public code as five styles with a tempo each (``brid_track_info`` of a stem generator), and stand for the names'
initials: that is our reading. What VSA, VPA, VSE, VMA (64 recordings) and OT (2) mean was not to be read anywhere, so
these recordings are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import Edition, LoadContext, Splits, Task, Track
from .fetching.archives import unpack
from .fetching.carry_out import pending, require_usual_source
from .fetching.published import families_by_prefix, prepare_command, require_published_support, task_folder
from .mini import mini_edition
from .preparing import Download, Plan, PrepareContext, Step
from .splits.draw import draw_splits
from .splits.group_safe import draw_sha256
from .splits.names import SPLITS

RHYTHMS: Mapping[str, str] = {
    "SA": "samba",
    "PA": "partido alto",
    "SE": "samba-enredo",
    "MA": "marcha",
    "CA": "capoeira",
}
"""Rhythms by their code, in the order of their numbers of recordings: 95, 83, 81, 30, 12."""
LABELS = tuple(f"rhythm--{name}" for name in RHYTHMS.values())
RECORDINGS = 367
DRAW_SHA256 = "640a6e856e34420dc0e5d9796cc37b575c6e8b599df75642e30ceff780a0d9bd"

FOLDER = "brid"
"""In the data root: as mirdata calls the data set, so that its data home serves as well."""

SOURCE = "https://zenodo.org/records/14051323"
LICENCE = "CC BY-NC-SA 4.0 (mirdata's loader; another public reader of the record states CC BY 4.0)"
AUDIO = Download(f"{SOURCE}/files/audio.zip?download=1", Path("audio.zip"), LICENCE, 944409073,
                 "md5:3514b53d66515181f95619adb71a59b4")  # fmt: skip
"""The address and the MD5 are mirdata's; the bytes were read in a public inventory of the record."""

_NAME = re.compile(r"\[(\d{4})\] (?:(S[123])-([A-Z]{2}\d?)|M[234])-\d{2}-([A-Z]{2,3})")


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read BRID from ``<data root>/brid`` and draw its splits: no player's instrument is in two.

    Raises:
        MissingError: no recording is there.
        UsageError: the recordings are all there and are not the published ones.
    """
    folder = task_folder(task, context, SOURCE)
    names = _recordings(folder)
    if not names:
        raise MissingError([_absent(task, folder)])
    tracks = [track for name, path in sorted(names.items()) if (track := _track(name, path)) is not None]
    split_of = draw_splits(tracks)
    splits = {split: tuple(t for t in tracks if split_of[t.id] == split) for split in SPLITS}
    if len(tracks) == sum(task.counts.values()) and draw_sha256(splits) != DRAW_SHA256:
        raise UsageError(f"{folder}: these are not the published recordings: their names give another split.")
    return require_published_support(task, splits)


def _recordings(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("**/*.wav")) if _NAME.fullmatch(path.stem)}


def _track(name: str, path: Path) -> Track | None:
    """Return the track of a recording; ``None`` if its rhythm is none of the five.

    Its group is the player with the instrument (``S1-PD2``). Who plays in a mixture is not said.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[4] not in RHYTHMS:
        return None
    group = f"{match[2]}-{match[3]}" if match[2] else None
    performer = f"Instrumentalist #{match[2][1]}" if match[2] else None
    return Track(match[1], path, (f"rhythm--{RHYTHMS[match[4]]}",), group, performer=performer)


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan the archive of the audio and its unpacking.

    Raises:
        UsageError: another source than the usual one was asked for.
    """
    require_usual_source(task, context)
    folder = context.data_root / FOLDER
    if len(_recordings(folder)) >= RECORDINGS:
        return Plan()
    archive = Download(AUDIO.url, folder / AUDIO.path, LICENCE, AUDIO.size, AUDIO.digest)
    step = Step(f"unpack {RECORDINGS} recordings", partial(_unpack, archive.path, folder / "BRID_1.0"))
    return Plan(pending([archive]), (step,))


def _unpack(archive: Path, folder: Path, context: PrepareContext) -> None:
    unpack([archive], folder, lambda name: name.endswith(".wav"), context.progress)


def _absent(task: Task, folder: Path) -> Missing:
    return Missing(
        what=f"audio of {task.name} ({RECORDINGS} recordings)",
        where=str(folder / "BRID_1.0"),
        source=SOURCE,
        licence=LICENCE,
        command=f"{prepare_command(task, folder.parent / task.name)}, or unpack audio.zip into {folder / 'BRID_1.0'}",
    )


TASK = Task(
    name="brazilian_rhythms",
    title="Brazilian rhythms",
    tradition="brazilian",
    description="The rhythm of samba percussion, one of five, played by one to four instruments.",
    labels=LABELS,
    families=families_by_prefix(LABELS),
    licence=LICENCE,
    citation=(
        "L. Maia, P. D. de Tomaz Júnior, M. Fuentes, M. Rocamora, L. W. P. Biscainho, M. V. M. Costa, S. Cohen. A "
        "novel dataset of Brazilian rhythmic instruments and some experiments in computational rhythm analysis. "
        "Congreso Latinoamericano de la AES 2018."
    ),
    access=f"Public: audio.zip (944 MB) at {SOURCE}; `cmbench tasks prepare brazilian_rhythms` fetches it.",
    editions={
        "full": Edition("full", LABELS, load_full, drawn=True),
        "mini": mini_edition("brazilian_rhythms", LABELS),
    },
    single_label=True,
    folder=FOLDER,
    prepare=prepare,
    # 2 h 57 of 367 recordings, by mirdata's loader.
    mean_seconds=29.0,
    counts={"train": 211, "valid": 30, "test": 60},
    test_support={
        "rhythm--samba": 19,
        "rhythm--partido alto": 17,
        "rhythm--samba-enredo": 16,
        "rhythm--marcha": 6,
        "rhythm--capoeira": 2,
    },
    notes=(
        "The publisher gives no split: this is our draw, in which no player's instrument is in two splits. Who plays "
        "in the 93 mixtures is not said, so each stands for itself.",
        "66 of the 367 recordings are left out: what their codes VSA, VPA, VSE, VMA and OT mean could not be read.",
        "Public code gives each rhythm one tempo (65, 80, 100, 120, 130 beats a minute): tempo alone may tell it.",
        "`--split performer-safe` puts one of the three players in each split, so it has no interval; the "
        "mixtures train.",
    ),
    group_kind="player's instrument",
    group_source="the recordings' names (S1-PD2: player and instrument)",
)
