"""Who is in which split: as the table says, or drawn once and written into it."""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import UsageError
from ..base import Track
from ..splits.draw import SHARES, blocks_of, draw_splits
from ..splits.names import SPLITS
from .problems import Problem, require_sound
from .table import Table, read_bytes

PURPOSE: Mapping[str, str] = {
    "train": "to learn from",
    "valid": "to choose the settings by",
    "test": "to be judged on",
}

_log = logging.getLogger(__name__)


def split_of(table: Table, tracks: Sequence[Track]) -> tuple[dict[str, str], list[str]]:
    """Return the split of every track by its id, and which splits no track had, so that they were drawn.

    Raises:
        UsageError: there are too few tracks to draw a split; the message says how many would do.
    """
    found = {row["id"]: row.get("split", "") for row in table.rows}
    missing = [split for split in SPLITS if split not in found.values()]
    if missing:
        found |= _drawn(table, tracks, found, missing)
    return found, missing


def _drawn(table: Table, tracks: Sequence[Track], found: Mapping[str, str], missing: Sequence[str]) -> dict[str, str]:
    """Draw the missing splits out of the training tracks, or out of all tracks where none has a split."""
    pool = [track for track in tracks if found[track.id] in ("", "train")]
    if not pool:
        there = ", ".join(f"{count} in `{split}`" for split, count in Counter(found.values()).items())
        told = (
            f"no track is in the split 'train', so there is nothing to learn from ({there}). Write train, valid and "
            "test into the column `split`, or empty all of it to have them drawn"
        )
        require_sound(table.path, [Problem("split", told)])
    taken = {split: SHARES[split] for split in missing if split != "train"}
    shares = {"train": 1.0 - sum(taken.values())} | taken
    blocks = blocks_of(pool)
    units = len(set(blocks.values())) + sum(track.id not in blocks for track in pool)
    if units < len(shares):
        require_sound(table.path, [Problem("few", _too_few(len(pool), units, shares))])
    drawn = draw_splits(pool, shares)
    for split in taken:
        chosen = [track.labels for track in pool if drawn[track.id] == split]
        if not any(0 < sum(label in labels for labels in chosen) < len(chosen) for label in {*sum(chosen, ())}):
            require_sound(table.path, [Problem("few", _not_judgeable(pool, units, split, len(chosen)))])
    return drawn


def _too_few(tracks: int, units: int, shares: Mapping[str, float]) -> str:
    parts = ", ".join(f"{split} ({PURPOSE[split]})" for split in shares)
    grouped = f" in {units} groups" if units < tracks else ""
    stay = " Recordings of one group (column `group`: an album, an artist) stay together." if grouped else ""
    return (
        f"there are too few recordings. They are divided into {len(shares)} parts: {parts}.{stay} You have "
        f"{tracks}{grouped}; at least {len(shares)}{' groups' if grouped else ''} are needed. Add recordings"
        f"{', or name smaller groups' if grouped else ''}, or fill in the column `split` yourself; nothing was written"
    )


def _not_judgeable(pool: Sequence[Track], units: int, split: str, chosen: int) -> str:
    labels = Counter(label for track in pool for label in set(track.labels))
    if not any(count < len(pool) for count in labels.values()):
        return (
            "no label tells one recording from another: each label stands at all of them or at none. A label needs "
            "recordings that have it and recordings that have not; nothing was written"
        )
    share, what = SHARES[split], "recordings" if units == len(pool) else "groups"
    enough = math.ceil(2 / share)
    advice = (
        f"From about {enough} {what} on it gets two or more; you have {units}. Add some"
        if units < enough
        else "Each label should be at several recordings and absent from several others. Add some"
    )
    return (
        f"there are too few recordings or groups to draw the split {split!r} ({PURPOSE[split]}): it gets {share:.0%} "
        f"of them, here {chosen}, and no label is at some of these and absent from others, so nothing can be compared "
        f"on it. {advice}, or fill in the column `split` yourself; nothing was written"
    )


def write_splits(table: Table, found: Mapping[str, str], drawn: Sequence[str]) -> None:
    """Replace a table by itself with its splits filled in, all at once, unless that was done before.

    Separator, encoding, ends of lines, further columns and Excel's first line stay as they are.

    Raises:
        UsageError: it cannot be written, or is not what it was when it was read.
    """
    there = "split" in table.columns
    at = table.columns.index("split") if there else table.columns.index("path") + 1
    cells = [[*table.cells[0][:at], "split", *table.cells[0][at + there :]]]
    for row, cell in zip(table.rows, table.cells[1:], strict=True):
        cells.append([*cell[:at], found[row["id"]], *cell[at + there :]])
    filled, now = table.written(cells), read_bytes(table.path, "the list of tracks")
    if now == filled:
        return
    if now != table.source.content:
        raise UsageError(f"{table.path} was changed while its splits were drawn; nothing was written. Start again.")
    try:
        _replace(table.path.resolve(), filled)
    except OSError as error:
        raise UsageError(
            f"{table.path} has tracks without a split, and the drawn splits cannot be written into it "
            f"({error.strerror}). Copy the folder to a place where you may write, or fill in the column `split`."
        ) from error
    counts = Counter(found.values())
    _log.warning(
        "%s had no tracks in %s: drew them by group and label and wrote them into the file (%s).",
        table.path,
        " and ".join(drawn),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
    )


def _replace(target: Path, content: bytes) -> None:
    """Write a file wholly or not at all, with the rights that it had."""
    descriptor, new = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        shutil.copymode(target, new)
        Path(new).replace(target)
    finally:
        Path(new).unlink(missing_ok=True)
