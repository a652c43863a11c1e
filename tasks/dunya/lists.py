"""The folder of a Dunya task: its published id lists, what is not in it yet, and the report of what is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...files import write_atomically
from ..base import Task
from ..fetching.published import LISTS_COMMIT, LISTS_LICENCE, LISTS_REPOSITORY, read_lists
from ..fetching.tables import cell_values, list_file
from ..preparing import Download
from .label_rule import LabelComparison, compare_labels
from .layout import LIST_FOLDERS, audio_files
from .recordings import Rows, read_rows

LISTS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "turkish_makam": {
        "train": (534224, "f96ec5d8a0c542038e9a2cf97ec4f5f32b74428d8f477e5635c4cffdf5143b52"),
        "valid": (76304, "444e64a42f932671ac6eac846f28d1a2d861e80d5782a264ef664e21d870f478"),
        "test": (152624, "a4e4de5ed06adc7d2bac1cf98f8be7a5e32d2a6d31e54af1b8376040be46b860"),
    },
    "carnatic": {
        "train": (263504, "e1df8c567f69ac0e7680e507f8527b02e5fb13b95daabf5926584c03b3722078"),
        "valid": (37712, "4bdb61f90b38291c44bcee81d0a524c3baa00ff42ebe88767945f63eff3b03d9"),
        "test": (75296, "7475afb6709d75bc80211c2af237c132bfb442903edb0cd65f304c1f14d98fce"),
    },
    "hindustani": {
        "train": (121664, "60f6d458807413c232467ebdecc9b601bfabf4409dced85e21d3303a31362d54"),
        "valid": (17408, "a74786b1e750f74666df4f772cdce3c389d563f4a8de79c62735afc3dfc0c4d9"),
        "test": (34688, "5bd84332a665c4abc48c4eb2456a257b1744b7082c51c8c6b970c1b0e02ba0fd"),
    },
}
"""Bytes and SHA-256 of the published id lists by task and split (pxaris/ccml at :data:`LISTS_COMMIT`)."""


def list_downloads(task: Task, folder: Path) -> tuple[Download, ...]:
    """Return the published id lists that ``folder/split`` lacks."""
    address = f"{LISTS_REPOSITORY}/raw/{LISTS_COMMIT}/data/{LIST_FOLDERS.get(task.name, task.name)}/split"
    return tuple(
        Download(f"{address}/{name}.npy", folder / "split" / f"{name}.npy", LISTS_LICENCE, size, f"sha256:{digest}")
        for name, (size, digest) in LISTS[task.name].items()
        if list_file(folder / "split", name) is None
    )


def absent(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the listed recordings without a row in ``metadata.tsv``, and those without an audio file."""
    listed = [mbid for ids in read_lists(folder).values() for mbid in ids]
    rows, audio = read_rows(folder / "metadata.tsv"), audio_files(folder)
    return tuple(i for i in listed if i not in rows), tuple(i for i in listed if i not in audio)


def compare(task: Task, lists: Mapping[str, tuple[str, ...]], rows: Rows) -> LabelComparison:
    """Set the label list that today's tags give beside the published one."""
    tags = {mbid: cell_values(row["tags"]) for mbid, row in rows.items()}
    return compare_labels(tags, lists["train"], lists["test"], task.test_support)


def write_report(
    path: Path,
    task: Task,
    source: str,
    lists: Mapping[str, tuple[str, ...]],
    rows: Rows,
    audio: Mapping[str, Path],
    not_fetched: list[dict[str, str]],
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write what is here of a collection as JSON: source, date, counts by split, what is not here, the labels."""
    splits = {
        name: {"listed": len(ids), "tags": sum(i in rows for i in ids), "audio": sum(i in audio for i in ids)}
        for name, ids in lists.items()
    }
    report = {
        "task": task.name,
        "source": source,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "splits": splits,
        "not_fetched": not_fetched,
        "labels": compare(task, lists, rows).as_json(),
        **(further or {}),
    }
    write_atomically(path, (json.dumps(report, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode())
