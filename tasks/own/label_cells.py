"""The labels of a cell: one, or several joined with whatever sign."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

EMPTY_MARKS = frozenset({"-", "–", "—", "?", "n/a", "na", "nan", "none", "null"})
"""What people and programs write into a cell that says nothing, in lower case."""

_LIST = re.compile(r"^\s*[\[({](.*)[\])}]\s*$", re.DOTALL)


def read_cells(cells: Sequence[str]) -> tuple[list[tuple[str, ...]], str]:
    """Return the labels of every cell of a column, and the sign that joins them; empty where every cell is one label.

    A cell of :data:`EMPTY_MARKS` has no label. ``|``, ``;`` and line breaks always part labels. A comma or a slash does
    where the parts recur: in most cells that have the sign, some part also stands elsewhere, alone or with another.
    """
    plain = ["" if is_mark(cell) else _unlisted(cell) for cell in cells]
    for sign in ("|", ";", "\n"):
        if any(sign in cell for cell in plain):
            return [_parts(cell, sign) for cell in plain], sign
    for sign in (",", "/", "+", "&"):
        if _parts_recur(plain, sign):
            return [_parts(cell, sign) for cell in plain], sign
    return [_parts(cell, "|") for cell in plain], ""


def is_mark(cell: str) -> bool:
    """Whether a cell only says that it says nothing."""
    return cell.strip().casefold() in EMPTY_MARKS


def _unlisted(cell: str) -> str:
    listed = _LIST.match(cell)
    if listed is None:
        return cell
    quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", listed[1])
    return "|".join(a or b for a, b in quoted) if quoted else listed[1]


def _parts_recur(cells: Sequence[str], sign: str) -> bool:
    joined = [cell for cell in cells if sign in cell]
    if not joined:
        return False
    seen = Counter(part for cell in set(cells) for part in _parts(cell, sign))
    return sum(sum(seen[part] > 1 for part in _parts(cell, sign)) >= 1 for cell in joined) > len(joined) / 2


def _parts(cell: str, sign: str) -> tuple[str, ...]:
    clean = (" ".join(unicodedata.normalize("NFC", part).split()) for part in cell.split(sign))
    return tuple(dict.fromkeys(part for part in clean if part))
