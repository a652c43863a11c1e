"""Errors written for the person who reads them: what, where, what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class CmbenchError(Exception):
    """An error that the command line prints without a traceback.

    The message names what is wrong, where, and the remedy.
    """

    exit_code = 1


class UsageError(CmbenchError):
    """The request itself cannot be carried out (a wrong name, a wrong option, a wrong file)."""

    exit_code = 2


@dataclass(frozen=True)
class Missing:
    """One thing that is not on this machine."""

    what: str  # the thing, for example ``"audio of turkish_makam (5297 recordings)"``
    where: str  # the place that was looked at
    source: str  # where it comes from
    licence: str  # under what terms
    command: str  # what the user types or does to get it


class MissingError(UsageError):
    """Data or weights are missing; carries one :class:`Missing` for each.

    ``mini_would_do`` tells whether the ``mini`` edition could stand in for some of the data.
    """

    def __init__(self, missing: Iterable[Missing], *, mini_would_do: bool = False) -> None:
        self.missing = tuple(missing)
        self.mini_would_do = mini_would_do
        super().__init__("; ".join(f"{m.what} is missing ({m.where})" for m in self.missing))


_REMEDIES = {
    (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
    ): "The disk or the quota is full: free some space, or choose another folder",
    (errno.EACCES, errno.EPERM, errno.EROFS): "You may not: change its permissions, or choose another folder",
    (errno.ENOENT, errno.ENOTDIR, errno.ESTALE): "It was removed, or its drive was: bring it back",
    (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOTCONN): "Its drive does not answer: look after it",
}


def remedy(error: OSError) -> str:
    """Return what a user does about an error of the operating system."""
    found = [text for numbers, text in _REMEDIES.items() if error.errno in numbers]
    advice = found[0] if found else "Look after that file or folder, or choose another"
    return f"{advice} (--out, CMBENCH_CACHE), and run the command again; what is finished is kept."


def quoted(text: str) -> str:
    """Return a text of the user's in quotation marks, as it is written: a backslash of a path stays one.

    Characters that cannot be printed are escaped.
    """
    mark = '"' if "'" in text and '"' not in text else "'"
    return mark + "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text) + mark


def counted(count: int, thing: str) -> str:
    """Return ``1 group`` or ``2 groups``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def unknown_name(kind: str, name: str, known: Iterable[str], see: str) -> UsageError:
    """Build the error for a name that no registry has, with the closest known names.

    ``see`` is the command that lists what is ``known``.
    """
    names = sorted(known)
    folded = {n.lower(): n for n in names}
    close = [folded[c] for c in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return UsageError(f"There is no {kind} named {quoted(name)}.{hint} `{see}` lists them all.")


class UnusableAudio(CmbenchError):  # noqa: N818 - it names what the audio is, like the reason it carries
    """A file, or the asked stretch of it, holds nothing to encode."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)  # both, or the error cannot travel between processes
        self.path = path
        self.reason = reason  # in a few words that do not name the file

    def __str__(self) -> str:
        """Name the file and the reason."""
        return f"{self.path}: {self.reason}"
