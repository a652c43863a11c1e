"""What is wrong with a file of the user's: all of it at once, each with its line and its remedy."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...errors import UsageError, quoted

MOST_SHOWN = 20
"""Problems of one kind that are listed; of the others it is only said how many they are."""

_LINES_SHOWN = 5
"""Lines that are named of a problem that recurs word for word."""

_MOST_CHARACTERS = 2000
"""Length of a problem's text; of a longer one, which quotes the file at length, the middle is left out."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file."""

    kind: str  # what several problems of one sort share, for example ``label``
    text: str  # what is wrong and what helps; no full stop at its end
    line: int | None = None  # where, counted from 1; ``None`` for the file as a whole


def require_sound(path: Path, problems: Sequence[Problem]) -> None:
    """Raise one error that lists the problems of a file; see :func:`require_all_sound`.

    Raises:
        UsageError: there are problems.
    """
    require_all_sound([(path, problems)])


def require_all_sound(found: Iterable[tuple[Path, Sequence[Problem]]]) -> None:
    """Raise one error that lists the problems of files, up to :data:`MOST_SHOWN` of each kind, as they come.

    What recurs word for word, as one misspelt label does, is told once with its lines.

    Raises:
        UsageError: there are problems.
    """
    files = [(path, problems) for path, problems in found if problems]
    count = sum(len(problems) for _, problems in files)
    if not count:
        return
    if count == 1:
        raise UsageError(_told(files[0][0], files[0][1][0]))
    told = [f"{count} things are wrong in {' and '.join(str(path) for path, _ in files)}; nothing was computed."]
    for path, problems in files:
        kinds: dict[str, dict[str, list[Problem]]] = defaultdict(lambda: defaultdict(list))
        for problem in problems:
            kinds[problem.kind][problem.text].append(problem)
        for texts in kinds.values():
            some = list(texts.values())
            told += [_told(path, same[0]) + _recurrence(same) for same in some[:MOST_SHOWN]]
            if rest := sum(map(len, some[MOST_SHOWN:])):
                told.append(f"  … and {rest} more like the last one.")
    raise UsageError("\n".join(told))


def refuse(path: Path, line: int | None, problem: str) -> NoReturn:
    """Raise the error of a single problem after which nothing further can be looked at."""
    raise UsageError(_told(path, Problem("", problem, line)))


def _told(path: Path, problem: Problem) -> str:
    text = problem.text
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS // 2]} … {text[-_MOST_CHARACTERS // 4 :]}"
    end = "" if text.endswith(("?", ".")) else "."
    return f"{path}{'' if problem.line is None else f':{problem.line}'}: {text}{end}"


def _recurrence(same: Sequence[Problem]) -> str:
    lines = [str(one.line) for one in same if one.line is not None]
    if len(lines) < 2:
        return ""
    more = " …" if len(lines) > _LINES_SHOWN else ""
    return f" So in {len(lines)} lines: {', '.join(lines[:_LINES_SHOWN])}{more}"


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'this'?`` for a word that is close to a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {quoted(close[0])}?" if close else ""
