"""What the built-in tasks share when they read a real data set from the data root."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ...errors import Missing, MissingError, UsageError
from ..base import LoadContext, Splits, Task
from ..splits.names import SPLITS
from .tables import list_file, read_list

LISTS_LICENCE = "Apache-2.0"
LISTS_COMMIT = "1f20c2f3df38ad0ef6ae774ca6a280ed9d23e04e"
LISTS_REPOSITORY = "https://github.com/pxaris/ccml"
"""Repository of the ISMIR 2023 study whose labels and splits the six tasks use."""

PAPER = (
    "C. Papaioannou, E. Benetos, A. Potamianos. From West to East: Who can understand the music of the others better? "
    "ISMIR 2023."
)
"""To be cited with every task: labels and splits are this paper's."""

LAYOUT = "layout: docs/data.md"


def task_folder(task: Task, context: LoadContext, source: str) -> Path:
    """Return the folder of a task's data, which need not exist.

    Raises:
        MissingError: no data root is configured.
    """
    if context.data_root is not None:
        return context.data_root / (task.folder or task.name)
    raise MissingError(
        [
            Missing(
                what=f"data of {task.name} ({sum(task.counts.values())} tracks)",
                where="no data root: give --data-root DIR or set CMBENCH_DATA",
                source=source,
                licence=task.licence,
                command=(
                    f"{prepare_command(task, Path('DIR') / task.name)}, or put the data into "
                    f"DIR/{task.folder or task.name} "
                    f"({LAYOUT}); then run again with --data-root DIR"
                ),
            )
        ]
    )


def prepare_command(task: Task, folder: Path) -> str:
    """Return what the user types to get a task's data into ``folder``."""
    return f"cmbench tasks prepare {task.name} --data-root {shlex.quote(str(folder.parent))}"


def absent_lists(
    task: Task, folder: Path, source: str, licence: str = LISTS_LICENCE, *, fetchable: bool = False
) -> list[Missing]:
    """Return what is missing of the id lists ``split/{train,valid,test}`` in ``folder``: nothing or one entry."""
    names = [name for name in SPLITS if list_file(folder / "split", name) is None]
    if not names:
        return []
    return [
        Missing(
            what=f"split lists of {task.name} ({', '.join(names)})",
            where=str(folder / "split"),
            source=source,
            licence=licence,
            command=(
                f"{prepare_command(task, folder)}, or " * fetchable
                + f"put {', '.join(f'{name}.npy' for name in names)} into {folder / 'split'} ({LAYOUT})"
            ),
        )
    ]


def read_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the id lists ``split/{train,valid,test}`` of ``folder`` by split.

    Raises:
        MissingError: a list is absent; see :func:`absent_lists` for the better message.
        UsageError: a list cannot be read.
    """
    lists: dict[str, tuple[str, ...]] = {}
    for name in SPLITS:
        path = list_file(folder / "split", name)
        if path is None:
            raise MissingError([Missing(f"split list {name}", str(folder / "split"), LISTS_REPOSITORY, "", LAYOUT)])
        lists[name] = read_list(path)
    return lists


def unlabelled(task: Task, lists: Mapping[str, Iterable[str]], labelled: Collection[str], table: Path) -> list[Missing]:
    """Return what is missing of the labels: nothing, or one entry that counts and samples the listed ids without any.

    A listed track without a row cannot be scored: to treat it as a track without tags would be a wrong label.
    ``labelled`` are ids that have a row, of tags or of none.
    """
    ids = [track_id for name in SPLITS for track_id in lists[name]]
    without = [track_id for track_id in ids if track_id not in labelled]
    if not without:
        return []
    shown = ", ".join(without[:3]) + (", …" if len(without) > 3 else "")
    return [
        Missing(
            what=f"labels of {task.name} ({len(without)} of {len(ids)} listed tracks have no row: {shown})",
            where=str(table),
            source=task.access,
            licence=task.licence,
            command=f"add their rows to {table}, or take their ids out of the lists in split/ (the split then differs)",
        )
    ]


def families_by_prefix(labels: Iterable[str], names: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the family of every label spelled ``family--value``; ``names`` renames prefixes."""
    prefixes = {label: label.partition("--")[0] for label in labels}
    return {label: (names or {}).get(prefix, prefix) for label, prefix in prefixes.items()}


def labels_among(task: Task, tags: Collection[str]) -> tuple[str, ...]:
    """Return the task's labels that are among ``tags``, in the published order; other tags are not part of the task."""
    return tuple(label for label in task.labels if label in tags)


def unannotated(task: Task, tags: Collection[str], families: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the task's labels of families in which a recording has no tag at all: nobody knows whether they hold.

    ``tags`` are all of the recording's, also those that are no labels.
    """
    annotated = {tag.split("--", 1)[0] for tag in tags}
    asked = set(task.families.values() if families is None else families)
    return tuple(label for label in task.labels if task.families[label] in asked - annotated)


def require_published_support(task: Task, splits: Splits) -> Splits:
    """Return ``splits`` unless they contradict the published counts.

    If the test split has the published number of tracks, every label must occur in it as often as published:
    a swapped column or a misspelt tag shows here, not in a score.

    Raises:
        UsageError: a label's count differs; the message names the first labels with both counts.
    """
    test = splits["test"]
    if len(test) != task.counts["test"]:
        return splits
    found = dict.fromkeys(task.labels, 0)
    for track in test:
        for label in track.labels:
            found[label] += 1
    wrong = [label for label in task.labels if found[label] != task.test_support[label]]
    if wrong:
        shown = "; ".join(f"{label}: {found[label]}, published {task.test_support[label]}" for label in wrong[:5])
        raise UsageError(
            f"{task.name}: the test split has the published {len(test)} tracks, but {len(wrong)} labels occur a "
            f"different number of times ({shown}). The label file is not the published one; see docs/data.md for "
            "where to get it."
        )
    return splits
