"""What Dunya answers: refusals, pages, files in parts; and the token kept out of all that is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ...errors import CmbenchError, UsageError
from ..fetching.download import require_room

if TYPE_CHECKING:
    from requests import Response

DUNYA = "https://dunya.compmusic.upf.edu"

PROFILE = f"{DUNYA}/user/profile/"
"""Where a registered user finds the token (MTG/dunya: ``API_README.md``)."""

TOKEN_VARIABLE = "CMBENCH_DUNYA_TOKEN"  # noqa: S105  (the variable's name, not a token)

HIDDEN = "[token]"
"""What stands where a server repeats the token."""

_CHUNK = 1 << 13

_LARGEST_ANSWER = 1 << 26
"""Bytes of a page of details at most; 100 recordings take about 0.2 MB."""

_ROOM_EVERY = 1 << 26
"""Bytes of a file of unknown length after which the room on the disk is looked at again."""


class TokenRefusedError(UsageError):
    """Dunya does not accept the token, or not for this."""


class DunyaUnavailableError(CmbenchError):
    """Dunya did not give something after every attempt."""


class _BrokenError(Exception):
    """An answer is cut or is not what was asked for; the next attempt may be better."""


class _NotFoundError(Exception):
    """The answer is 404."""


def _accepted(answer: Response, path: str) -> Response:
    """Return an answer that has what was asked for.

    Raises:
        _NotFoundError: 404.
        TokenRefusedError: 401 or 403.
        DunyaUnavailableError: another status that asking again would not change.
    """
    status = answer.status_code
    if status == 404:
        raise _NotFoundError
    if status in (401, 403):
        audio = path.startswith("/document/")
        raise TokenRefusedError(
            f"Dunya refused the token for {path.partition('?')[0]} (HTTP {status}). "
            + ("Ask Dunya for access to this collection's audio, or check" if audio else "Check")
            + f" the token on your profile page ({PROFILE}) and set it as {TOKEN_VARIABLE}."
        )
    if status not in (200, 206, 416):
        raise DunyaUnavailableError(
            f"Dunya answered {path.partition('?')[0]} with HTTP {status}; asking again would not help."
        )
    return answer


def _hiding(token: str) -> Callable[[str], str]:
    """Return what puts :data:`HIDDEN` in place of the token in a text, as it is and as it stands in an address."""
    forms = sorted({token, quote(token, safe=""), quote(token)}, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in forms:
            text = text.replace(form, HIDDEN)
        return text

    return hide


def _hide_headers(answer: Response, hide: Callable[[str], str]) -> None:
    for name, value in list(answer.headers.items()):
        answer.headers[name] = hide(value)


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it, names included, gone through ``hide``."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, list):
        return [_hidden(one, hide) for one in value]
    if isinstance(value, dict):
        return {hide(name): _hidden(one, hide) for name, one in value.items()}
    return value


def _object(answer: Response, hide: Callable[[str], str]) -> dict[str, Any]:
    """Return the JSON object that an answer holds, without the token.

    Raises:
        _BrokenError: it holds none.
    """
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise _BrokenError(f"an answer of more than {_LARGEST_ANSWER} bytes")
    try:
        value = _hidden(json.loads(body), hide)
    except (ValueError, RecursionError):
        raise _BrokenError("an answer that is not JSON") from None
    if not isinstance(value, dict):
        raise _BrokenError("an answer that is no JSON object")
    return value


def _page(answer: Response, hide: Callable[[str], str]) -> tuple[tuple[dict[str, Any], ...], str | None]:
    """Return the entries of a page of a list, and the query of the next page's address; ``None`` after the last.

    Only the query is taken: the token must not follow an address that an answer names.

    Raises:
        _BrokenError: the answer is no page.
    """
    value = _object(answer, hide)
    results, following = value.get("results"), value.get("next")
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise _BrokenError("an answer without a list of results")
    if following is not None and not isinstance(following, str):
        raise _BrokenError("an answer whose next page has no address")
    if following is not None and HIDDEN in following:
        raise _BrokenError("an answer whose next page has the token in its address")
    try:
        return tuple(results), urlsplit(following).query if following else None
    except ValueError:
        raise _BrokenError("an answer whose next page has no address") from None


def _save(answer: Response, part: Path, version: Path) -> None:
    """Write the body of a file, or the rest of one, to ``part``.

    Raises:
        _BrokenError: it is cut, is another part than was asked for, or is a page of text.
    """
    have = part.stat().st_size if part.is_file() else 0
    start, total = _span(answer)
    if answer.status_code == 416:
        if have and have == total:
            return
        part.unlink(missing_ok=True)
        raise _BrokenError("a cut file that the server cannot continue")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind == "application/json":
        raise _BrokenError(f"{kind} in place of an mp3")
    packed = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
    if answer.status_code == 206 and (start != have or packed):
        part.unlink(missing_ok=True)
        raise _BrokenError("another part of the file than was asked for")
    if (tag := _version(answer)) and not packed:
        version.write_text(tag, "ascii", "ignore")
    else:
        version.unlink(missing_ok=True)
    if packed:  # its length and its ranges are those of the packed bytes; urllib3 notices if it is short
        part.unlink(missing_ok=True)
        total = None
    else:  # a short body is noticed below; urllib3 would raise, and drop what it has read of the last chunk
        answer.raw.enforce_content_length = False
    try:
        size = _write(answer, part, total)
    except BaseException:
        if packed:
            part.unlink(missing_ok=True)
        raise
    if total is not None and size > total:
        part.unlink()
        raise _BrokenError(f"{size} bytes of a file of {total}")
    if not size or (total is not None and size < total):
        raise _BrokenError(f"only {size} of {'some' if total is None else total} bytes")


def _write(answer: Response, part: Path, total: int | None) -> int:
    """Write a body to the file, or behind what is there of it, and return the size that the file has then.

    Raises:
        _BrokenError: it is a page of text.
        UsageError: the disk has not enough room.
    """
    have = part.stat().st_size if answer.status_code == 206 and part.is_file() else 0
    require_room(part.parent, max(0, (total or 0) - have))
    with part.open("ab" if answer.status_code == 206 else "wb") as handle:
        for chunk in answer.iter_content(_CHUNK):
            if not handle.tell() and chunk.lstrip()[:1] in (b"<", b"{"):
                raise _BrokenError("a page of text in place of an mp3")
            if total is None and handle.tell() % _ROOM_EVERY < len(chunk):
                require_room(part.parent, 0)
            handle.write(chunk)
        return handle.tell()


def _span(answer: Response) -> tuple[int, int | None]:
    """Return where an answer's body begins in the file, and how long the file is; ``None`` if that is not said."""
    said = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if said:
        return int(said[1] or 0), None if said[2] == "*" else int(said[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if answer.status_code == 200 and length.isdecimal() else None


def _version(answer: Response) -> str | None:
    """Return what ``If-Range`` may name: a strong ``ETag``, else the file's date (RFC 9110, section 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")
