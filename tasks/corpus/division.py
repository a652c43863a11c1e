"""Who is in which split: as the table says, or drawn once and written into it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from ...errors import UsageError
from ...files import write_atomically
from ..base import Track
from ..splits.draw import draw_missing, few_to_judge
from ..splits.names import SPLITS, split_named
from .problems import Problem, require_sound
from .table import Table, read_bytes

_log = logging.getLogger(__name__)


def split_of(table: Table, tracks: Sequence[Track]) -> tuple[dict[str, str], list[str]]:
    """Return the split of every track by its id, and which splits no track had, so that they were drawn.

    Raises:
        UsageError: there are too few tracks to draw a split; the message says how many would do.
    """
    found = {row["id"]: split_named(row.get("split", "")) for row in table.rows}
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
    try:
        return draw_missing(pool, missing)
    except UsageError as error:
        smaller = ", or name smaller groups" if any(track.group for track in pool) else ""
        remedy = f"Add recordings{smaller}, or fill in the column `split` yourself; nothing was written"
        require_sound(table.path, [Problem("few", f"{error}. {remedy}")])
        raise


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
        split = found[row["id"]]
        kept = cell[at] if there and split_named(cell[at]) == split else split
        cells.append([*cell[:at], kept, *cell[at + there :]])
    filled, now = table.written(cells), read_bytes(table.path, "the list of tracks")
    if now == filled:
        return
    if now != table.source.content:
        raise UsageError(f"{table.path} was changed while its splits were drawn; nothing was written. Start again.")
    try:
        target = table.path.resolve()
        mode = target.stat().st_mode
        write_atomically(target, filled)
        target.chmod(mode)
    except OSError as error:
        raise UsageError(
            f"{table.path} has tracks without a split, and the drawn splits cannot be written into it "
            f"({error.strerror}). Copy the folder to a place where you may write, or fill in the column `split`."
        ) from error
    counts = Counter(found.values())
    _log.warning(
        "%s had no tracks in %s: drew them by group and label and wrote them into the file (%s).%s",
        table.path,
        " and ".join(drawn),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
        few_to_judge(counts["test"]),
    )
