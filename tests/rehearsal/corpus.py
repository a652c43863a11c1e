"""What a double holds: tracks with labels in the published shares, some of them broken, at a chosen size.

Ids are the published ones where the lists lie beside the checkout (``../shared/data``), spread over the whole list, and
made up where they do not. Labels are drawn so that each occurs in the published share of the test tracks; which track
has which is invented, as the tags of most recordings are not public.
"""

from __future__ import annotations

import csv
import gzip
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmbench.tasks.base import Task
from cmbench.tasks.splits.names import SPLITS
from cmbench.tests.rehearsal.sound import FAULTS, HARMLESS
from cmbench.tests.tasks.conftest import SHARED_DATA

Sizes = Mapping[str, int]
Ids = Callable[[Task, str, int], list[str]]


@dataclass(frozen=True)
class Item:
    """One track of a double.

    Attributes:
        id: as the task calls it.
        split: train, valid or test.
        labels: in the task's order.
        number: its place in its split.
        fault: what is wrong with its file; empty if nothing.
    """

    id: str
    split: str
    labels: tuple[str, ...]
    number: int
    fault: str = ""

    @property
    def group(self) -> int:
        """Number of the release, artist or video that it shares with its neighbour."""
        return self.number // 2


@dataclass(frozen=True)
class Form:
    """How large a rehearsal is.

    Attributes:
        name: quick or whole.
        least: tracks of a split at least.
        share: of the published number of tracks.
        layers: of the models.
        hidden: of the models.
    """

    name: str
    least: Sizes
    share: float
    layers: int
    hidden: int

    def sizes(self, task: Task) -> Sizes:
        """Tracks by split."""
        return {name: max(self.least[name], round(task.counts[name] * self.share)) for name in SPLITS}


QUICK = Form("quick", {"train": 24, "valid": 8, "test": 16}, 0.0, layers=2, hidden=48)
WHOLE = Form("whole", {"train": 24, "valid": 8, "test": 16}, 1 / 400, layers=12, hidden=768)


def items(
    task: Task,
    sizes: Sizes,
    ids: Ids,
    same: Sequence[tuple[str, str]] = (),
    test_faults: Sequence[str] = (),
) -> tuple[Item, ...]:
    """Draw the tracks of a task; the first training tracks have a fault each.

    Args:
        task: gives labels and their published support.
        sizes: tracks by split.
        ids: names them.
        same: pairs of labels of which a track has both or none.
        test_faults: of the first test tracks.
    """
    draw = np.random.default_rng(len(task.name) + len(task.labels))
    found = []
    for split in SPLITS:
        size = sizes[split]
        has = np.zeros((size, len(task.labels)), dtype=bool)
        for column, label in enumerate(task.labels):
            wanted = round(task.test_support[label] / task.counts["test"] * size)
            has[draw.permutation(size)[: min(max(wanted, 3), size - 3)], column] = True
        for one, other in same:
            has[:, task.labels.index(other)] = has[:, task.labels.index(one)]
        has[~has.any(axis=1), 0] = True  # clips without any label are no part of MagnaTagATune's task
        faults = {"train": (*FAULTS, HARMLESS), "test": test_faults}.get(split, ())
        for number, name in enumerate(ids(task, split, size)):
            labels = tuple(label for label, there in zip(task.labels, has[number], strict=True) if there)
            fault = faults[number] if number < len(faults) else ""
            found.append(Item(name, split, labels, number, fault))
    return tuple(found)


def support(tracks: Sequence[Item], labels: Sequence[str]) -> dict[str, int]:
    """Positives in the test split by label."""
    return {label: sum(label in one.labels for one in tracks if one.split == "test") for label in labels}


def spread(listed: Sequence[str], size: int) -> list[str]:
    """``size`` entries from the whole length of a list."""
    return [listed[place * len(listed) // size] for place in range(size)]


def recording_ids(task: Task, split: str, size: int) -> list[str]:
    """MusicBrainz ids of a Dunya task: published ones if they are beside the checkout."""
    path = SHARED_DATA / task.name / f"{split}.txt"
    if path.is_file():
        return spread(path.read_text(encoding="utf-8").split(), size)
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, f"{task.name}/{split}/{i}")) for i in range(size)]


def published_rows(name: str) -> list[dict[str, str]]:
    """Rows of a packed table beside the checkout; none where there is no such table."""
    path: Path = SHARED_DATA / name
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))
