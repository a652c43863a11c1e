"""Names and paths as people write them: of other systems, in either Unicode form, as addresses, with commas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FOREIGN_ROOT = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def find_path(written: str, folder: Path | None = None, *, any_case: bool = False) -> Path:
    """Return the path that someone means, as it is spelled on this machine.

    What exists exactly as written is taken first. Else, in this order: ``file://`` addresses are decoded, ``~`` is the
    home, backslashes separate folders, and a name counts as found where it differs from a file's only in its Unicode
    form (Macs store ``ü`` as two characters, most programs write one) or, with ``any_case``, in upper and lower case.
    Where there is none, it is the path that was most likely meant. Relative paths start from ``folder``.
    """
    base = folder if folder is not None else Path()
    guesses = list(dict.fromkeys(_readings(written)))
    for form in (_one_form, folded)[: 1 + any_case]:
        for guess in guesses:
            found = _on_disk(base / guess, form)
            if found is not None:
                return found
    return base / guesses[-1]


def is_there(written: str, folder: Path | None = None) -> bool:
    """Whether :func:`find_path` finds something; of a name that no file can have, it does not."""
    return bool(written) and _exists(find_path(written, folder))


def is_web_address(written: str) -> bool:
    """Whether a path is an address (``https://…``) of something that is not on this machine."""
    return bool(_ADDRESS.match(written)) and not written.lower().startswith("file:")


def is_of_another_system(written: str) -> bool:
    """Whether a path begins with a drive or a share of Windows, which only that machine has."""
    return bool(_FOREIGN_ROOT.match(written)) and not Path(written).is_absolute()


def is_hidden(path: Path | PurePosixPath) -> bool:
    """Whether a file's name begins with a dot: notes of systems and programs (``._a.wav`` of a Mac), never data."""
    return path.name.startswith(".")


def looks_like_a_path(written: str) -> bool:
    """Whether a name can only be that of a file or folder: it has a separator in it, or begins with ``~`` or a dot."""
    return "/" in written or "\\" in written or written.startswith(("~", ".")) or written.lower().startswith("file:")


def composed(text: str) -> str:
    """Write accented letters in one way: file systems and editors differ, and the eye sees no difference."""
    return unicodedata.normalize("NFC", text.strip())


def split_list(written: str) -> list[str]:
    """Return the parts of a list with commas; what exists as a path, commas and all, is one part.

    ``lyra,comma, in folder/task.yaml`` are two parts where there is such a file. The longest path wins.
    """
    tokens, parts, at = written.split(","), [], 0
    while at < len(tokens):
        ends = range(len(tokens), at + 1, -1)
        end = next((e for e in ends if is_there(",".join(tokens[at:e]).strip())), at + 1)
        parts.append(",".join(tokens[at:end]).strip())
        at = end
    return [part for part in parts if part]


def _readings(written: str) -> Iterator[str]:
    yield written
    plain = written
    if written[:5].lower() == "file:":
        # Addresses of relative paths, which should not be, have their first folder where a host would stand.
        raw = re.sub(r"//(?:localhost(?=/))?", "", written[5:].replace("\\", "/"), count=1, flags=re.IGNORECASE)
        yield raw
        plain = unquote(raw)
        yield plain
    if plain.startswith("~"):
        try:
            plain = str(Path(plain.replace("\\", "/")).expanduser())
        except RuntimeError:  # the home of nobody
            pass
        else:
            yield plain
    if "\\" in plain:
        yield plain.replace("\\", "/")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # longer than a file system allows, a zero byte
        return False


def _one_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return a name as it is alike in upper and lower case, in any Unicode form, the Turkish ``ı`` and ``İ`` too."""
    return _one_form(_one_form(name).casefold()).replace("ı", "i").replace("i\u0307", "i")


def _on_disk(path: Path, form: Callable[[str], str]) -> Path | None:
    """Return a path as it is spelled on disk, in whatever form; ``None`` if there is none, or several.

    ``form`` makes names alike that count as the same.
    """
    if _exists(path):
        return path
    if form is _one_form and str(path).isascii():
        return None
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        exact = found / part
        if part == ".." or _exists(exact):
            found = exact
            continue
        same = _names(found, _changed(found), form).get(form(part), ())
        if len(same) != 1:
            return None
        found /= same[0]
    return found


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=256)
def _names(folder: Path, changed: int, form: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Return the names in a folder by their form; ``changed`` keeps what was read before a change apart."""
    names: dict[str, tuple[str, ...]] = {}
    try:
        listed = [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        return names
    for name in listed:
        names[form(name)] = (*names.get(form(name), ()), name)
    return names
