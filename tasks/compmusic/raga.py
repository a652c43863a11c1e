"""Both halves of CompMusic's raga recognition data set, in the layout of its publisher, which mirdata keeps.

Layout, read in sankalpg/MelodicAnalysisDatasets at 3b083ba (``RagaDataset/*/_info_``, ``directory_structure.txt``)
and mir-dataset-loaders/mirdata at b95bf38 (``mirdata/datasets/compmusic_raga.py``)::

    compmusic_raga/RagaDataset/<Carnatic|Hindustani>/
        _info_/path_mbid_ragaid.json      MusicBrainz id -> path without ending, raga's id
        audio/<raga's id>/<artist>/<concert>/<song>/<song>.mp3             Carnatic
        audio/<raga's id>/<artist>/<concert>/<title>_<MusicBrainz id>.mp3  Hindustani

mirdata's loader is not used: its index 1.0 (md5 f4b2c4d1…) lists 477 of the 480 Carnatic recordings, as its ids
``artist.song`` are not unique, and no Hindustani one. In the archive ``:``, ``&`` and ``'`` of Hindustani names became
``_`` (read in two public readers of it, not seen by us), so what has a MusicBrainz id at its end is found by that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import Missing, MissingError, UsageError
from ...untrusted import LARGEST_TABLE, read_object
from ..base import Edition, LoadContext, Splits, Task, Track
from ..fetching.carry_out import pending, require_usual_source
from ..fetching.published import families_by_prefix, prepare_command, require_published_support, task_folder
from ..mini import mini_edition
from ..preparing import Download, Plan, PrepareContext
from ..splits.draw import draw_splits
from ..splits.group_safe import draw_sha256
from ..splits.names import SPLITS

FOLDER = "compmusic_raga"
"""In the data root: as mirdata calls the data set, so that its data home serves as well."""

LISTS = "https://raw.githubusercontent.com/sankalpg/MelodicAnalysisDatasets/3b083ba30840f2233029924dacde0ac35a73a58d"
LICENCE = "Metadata and features: CC BY 4.0 (Zenodo 7278506, by mirdata's loader). Audio: for research, on request."
LISTS_LICENCE = "CC BY 4.0 as data (Zenodo 7278506); the repository that serves it is AGPL-3.0"
ACCESS = (
    "Lists and features are public; the audio is to be asked for at zenodo.org/record/7278511, with the purpose. "
    "Unpack "
    f"it as DATA_ROOT/{FOLDER}/RagaDataset; a data home of mirdata's compmusic_raga serves as well."
)
CITATION = (
    "S. Gulati, J. Serrà, K. K. Ganguli, S. Şentürk, X. Serra. Time-delayed melody surfaces for rāga recognition. "
    "ISMIR 2016, 751-757."
)
_MBID = re.compile(r"_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$")


@dataclass(frozen=True)
class Half:
    """One of the two data sets."""

    tradition: str  # the folder's name
    ragas: Mapping[str, str]  # raga's id -> name, of the publisher's ``ragaId_to_ragaName_mapping.json``
    lists: tuple[int, str]  # bytes and SHA-256 of its ``path_mbid_ragaid.json``
    draw: str  # of the published recordings (:func:`..splits.group_safe.draw_sha256`)
    has_works: bool  # whether a recording's folder names a composition

    def task(self, seconds: float, counts: Mapping[str, int], support: Sequence[int], notes: tuple[str, ...]) -> Task:
        """Return the task of this half: its mean length, and sizes, test positives and traps of our draw."""
        labels = tuple(f"raga--{name}" for name in sorted(self.ragas.values()))
        name = f"{self.tradition.lower()}_raga"
        return Task(
            name=name,
            title=f"{self.tradition} raga",
            tradition=self.tradition.lower(),
            description=f"The raga of {self.tradition} recordings, one of {len(labels)}.",
            labels=labels,
            families=families_by_prefix(labels),
            licence=LICENCE,
            citation=CITATION,
            access=ACCESS,
            editions={"full": Edition("full", labels, self.load, drawn=True), "mini": mini_edition(name, labels)},
            single_label=True,
            folder=FOLDER,
            prepare=self.prepare,
            mean_seconds=seconds,
            counts=counts,
            test_support=dict(zip(labels, support, strict=True)),
            notes=(
                "One raga a recording. The publisher gives no split: this is our draw, in which no concert is in two "
                "splits.",
                *notes,
            ),
            group_kind="concert",
            group_source="the folders of the published list (artist, concert)",
        )

    def load(self, task: Task, context: LoadContext) -> Splits:
        """Read the recordings and draw their splits: no concert is in two.

        Raises:
            MissingError: the list, or all audio, is not there.
            UsageError: the list is not the published one.
        """
        root = task_folder(task, context, ACCESS)
        table = self._table(root)
        missing = [] if table.is_file() else [_absent(task, table, "list of recordings", fetchable=True)]
        files = self._files(root)
        if context.needs_audio and not files:
            missing.append(_absent(task, root / "RagaDataset" / self.tradition / "audio", "audio", fetchable=False))
        if missing:
            raise MissingError(missing)
        tracks = [
            self._track(root, mbid, row, files) for mbid, row in sorted(read_object(table, LARGEST_TABLE).items())
        ]
        split_of = draw_splits(tracks)
        splits = {split: tuple(t for t in tracks if split_of[t.id] == split) for split in SPLITS}
        if len(tracks) == sum(task.counts.values()) and draw_sha256(splits) != self.draw:
            raise UsageError(f"{table} is not the published list: its recordings give another split. Fetch it again.")
        return require_published_support(task, splits)

    def _table(self, root: Path) -> Path:
        return root / "RagaDataset" / self.tradition / "_info_" / "path_mbid_ragaid.json"

    def _files(self, root: Path) -> dict[str, Path]:
        """Return the audio files by MusicBrainz id, where their names end with one, else by path without ending."""
        found = {}
        for path in sorted((root / "RagaDataset" / self.tradition / "audio").glob("**/*.mp3")):
            name = _MBID.search(path.stem)
            found[name[1] if name else path.with_suffix("").relative_to(root).as_posix()] = path
        return found

    def _track(self, root: Path, mbid: str, row: object, files: Mapping[str, Path]) -> Track:
        """Make a track of a row; where there is no file, it is where the list says."""
        path = row.get("path") if isinstance(row, dict) else None
        raga = self.ragas.get(str(row.get("ragaid"))) if isinstance(row, dict) else None
        parts = path.split("/") if isinstance(path, str) else []
        if raga is None or len(parts) != (8 if self.has_works else 7) or parts[0] != "RagaDataset" or ".." in parts:
            raise UsageError(f"{self._table(root)}: the entry {mbid!r} is not one of the published list.")
        artist, concert = parts[4:6]
        file = files.get(mbid) or files.get("/".join(parts)) or root / f"{path}.mp3"
        work = parts[6].replace("_", " ") if self.has_works else None
        return Track(
            mbid, file, (f"raga--{raga}",), f"{artist}/{concert}", work=work, performer=artist.replace("_", " ")
        )

    def prepare(self, task: Task, context: PrepareContext) -> Plan:
        """Plan the list of recordings; the audio only the user can ask for.

        Raises:
            UsageError: another source than the usual one was asked for.
        """
        require_usual_source(task, context)
        root = context.data_root / FOLDER
        size, digest = self.lists
        url = f"{LISTS}/RagaDataset/{self.tradition}/_info_/path_mbid_ragaid.json"
        download = Download(url, self._table(root), LISTS_LICENCE, size, f"sha256:{digest}")
        count, there = sum(task.counts.values()), len(self._files(root))
        audio = root / "RagaDataset" / self.tradition / "audio"
        missing = (_absent(task, audio, f"audio ({there} of {count} recordings are there)", fetchable=False),)
        return Plan(pending([download]), missing=() if there >= count else missing)


def _absent(task: Task, path: Path, what: str, *, fetchable: bool) -> Missing:
    command = prepare_command(task, path.parents[4] / task.name) if fetchable else ACCESS
    return Missing(f"{what} of {task.name}", str(path), ACCESS, task.licence, command)
