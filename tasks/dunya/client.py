"""A client of Dunya's interface: lists and details of recordings, and their mp3.

What it speaks, and where that was read (MTG/dunya at 8c2c902; compmusic 0.4, Dunya's own Python client):

- ``Authorization: Token <token>`` with every request (``API_README.md``);
- ``GET /api/<collection>/recording?detail=1``: pages of ``{"count", "next", "previous", "results"}``, ``next`` an
  absolute address or null, 100 results each (``carnatic/API_README.md``, ``RecordingList`` in each ``api.py``);
- ``GET /api/<collection>/recording/<mbid>``: details of one recording, 404 if there is none that the token may see;
- ``GET /document/by-id/<mbid>/mp3``: the file; 404 if there is none, 401 if the token has no access to that
  collection's audio (``docserver/views.py: download_external``).

Not known: whether the files' server honours ``Range`` (asked for where a file is cut; without it the file is fetched
whole again), and when it answers 429 or 503 with ``Retry-After`` (honoured wherever they come).

The token is held by the session alone: it is in no address, message, progress line or file, whatever the server sends
back. Where an answer repeats it, as text of a page or in a header, :data:`HIDDEN` stands in its place before anything
else looks at it; a next page whose address has the token in it is not asked for.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from ...errors import CmbenchError, UsageError
from ..fetching.download import require_room, retry_after

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

DUNYA = "https://dunya.compmusic.upf.edu"
PROFILE = f"{DUNYA}/user/profile/"
"""Where a registered user finds the token (MTG/dunya: ``API_README.md``)."""

TOKEN_VARIABLE = "CMBENCH_DUNYA_TOKEN"  # noqa: S105  (the variable's name, not a token)
URL_VARIABLE = "CMBENCH_DUNYA_URL"
"""Environment variables: the token, and another address than :data:`DUNYA` for a mirror."""

HIDDEN = "[token]"
"""What stands where a server repeats the token."""

_CHUNK = 1 << 13
_LARGEST_ANSWER = 1 << 26
"""Bytes of a page of details at most; 100 recordings take about 0.2 MB."""

_ROOM_EVERY = 1 << 26
"""Bytes of a file of unknown length after which the room on the disk is looked at again."""

_MOST_PAGES = 2000
"""Of a list; the largest collection has some 70."""

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_BUSY = (429, 500, 502, 503, 504)
_T = TypeVar("_T")


class TokenRefusedError(UsageError):
    """Dunya does not accept the token, or not for this."""


class DunyaUnavailableError(CmbenchError):
    """Dunya did not give something after every attempt."""


class _BrokenError(Exception):
    """An answer is cut or is not what was asked for; the next attempt may be better."""


class _NotFoundError(Exception):
    """The answer is 404."""


@dataclass(frozen=True)
class Patience:
    """How a client bears with a server; all times in seconds.

    Attributes:
        attempts: how often one thing is asked for.
        first_wait: before the second attempt; doubled before each further one.
        longest_wait: no longer wait than this, except that ``Retry-After`` is honoured up to ``longest_request``.
        longest_request: if ``Retry-After`` is longer than this, stop and say so.
        between: at least this much between two requests.
        connect: time to reach the server.
        read: time without a single byte, after which a connection counts as cut.
    """

    attempts: int = 6
    first_wait: float = 2.0
    longest_wait: float = 60.0
    longest_request: float = 900.0
    between: float = 0.25
    connect: float = 15.0
    read: float = 90.0


class DunyaClient:
    """Asks Dunya, patiently.

    Args:
        token: the user's personal token.
        url: address of the server.
        patience: attempts, waits and time-outs.
        wait: sleeps for some seconds.
        clock: seconds that only grow.

    Raises:
        UsageError: the token or the address cannot be one.
    """

    def __init__(
        self,
        token: str,
        url: str = DUNYA,
        patience: Patience | None = None,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import requests

        self.url = checked_url(url)
        self._patience = patience or Patience()
        self._wait, self._clock = wait, clock
        self._last: float | None = None
        self._session = requests.Session()
        token = checked_token(token)
        self._session.auth = _authorisation(token)
        self._hide = _hiding(token)
        self._session.headers["User-Agent"] = "cmbench"

    def __enter__(self) -> DunyaClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._session.close()

    def recordings(
        self,
        collection: str,
        start_at: str | None = None,
        reached: Callable[[str | None], None] = lambda query: None,
    ) -> Iterator[tuple[Mapping[str, Any], ...]]:
        """Yield a collection's recordings with their details, page by page.

        Args:
            collection: the collection's part of an address.
            start_at: query of the first page to ask for: that of a page after which the list was broken off.
            reached: told the query of the page after each one that was yielded and dealt with; ``None`` after the last.

        Raises:
            TokenRefusedError: the token is not accepted.
            DunyaUnavailableError: a page cannot be had, or the list never ends.
        """
        start = f"/api/{collection}/recording"
        query, seen, known = start_at or "detail=1", set[str](), set[str]()
        while query not in seen and len(seen) < _MOST_PAGES:
            seen.add(query)
            try:
                results, following = self._ask(f"{start}?{query}", lambda answer: _page(answer, self._hide))
            except _NotFoundError:
                raise DunyaUnavailableError(
                    f"{self.url}{start} is not there (404): is this the address of Dunya?"
                ) from None
            new = {str(entry.get("mbid")) for entry in results} - known
            known |= new
            yield results
            reached(following)
            if following is None:
                return
            if not new:
                break
            query = following
        raise DunyaUnavailableError(f"{self.url}{start}: the list does not end; given up before {query!r}.")

    def recording(self, collection: str, mbid: str) -> Mapping[str, Any] | None:
        """Return the details of one recording; ``None`` if Dunya has no such recording for this token.

        Raises:
            TokenRefusedError: the token is not accepted.
            DunyaUnavailableError: the details cannot be had.
        """
        try:
            where = f"/api/{collection}/recording/{quote(mbid, safe='')}"
            return self._ask(where, lambda answer: _object(answer, self._hide))
        except _NotFoundError:
            return None

    def fetch_mp3(self, mbid: str, path: Path) -> bool:
        """Fetch a recording's mp3 to ``path``; return whether Dunya has one.

        The file grows as ``<path>.part``, which a later attempt or start continues, and gets its name when it is
        whole. What identifies the server's version of it (its ``ETag`` or date) is kept beside it, so that two versions
        are never joined.

        Raises:
            TokenRefusedError: the token has no access to this file.
            DunyaUnavailableError: the file cannot be had.
            CmbenchError: it cannot be written.
        """
        part = path.with_name(f"{path.name}.part")
        version = path.with_name(f"{path.name}.version")

        def headers() -> dict[str, str]:
            wanted = {"Accept-Encoding": "identity"}
            if part.is_file() and (offset := part.stat().st_size):
                wanted["Range"] = f"bytes={offset}-"
                if version.is_file() and (tag := " ".join(version.read_text("ascii", "ignore").split())):
                    wanted["If-Range"] = tag
            return wanted

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            where = f"/document/by-id/{quote(mbid, safe='')}/mp3"
            self._ask(where, lambda answer: _save(answer, part, version), headers)
            part.replace(path)
            version.unlink(missing_ok=True)
        except _NotFoundError:
            return False
        except OSError as error:
            raise CmbenchError(f"{path} cannot be written: {error.strerror or error}.") from error
        return True

    def _ask(
        self, path: str, read: Callable[[Response], _T], headers: Callable[[], dict[str, str]] | None = None
    ) -> _T:
        """Ask until ``read`` has its answer, with growing waits.

        Raises:
            _NotFoundError: the answer is 404.
            TokenRefusedError: the answer is 401 or 403.
            DunyaUnavailableError: every attempt failed.
        """
        import requests

        address = self.url + path
        said = ""
        for attempt in range(1, self._patience.attempts + 1):
            self._keep_pace()
            asked: float | None = None
            try:
                with self._session.get(
                    address,
                    headers=headers() if headers else None,
                    stream=True,
                    timeout=(self._patience.connect, self._patience.read),
                ) as answer:
                    _hide_headers(answer, self._hide)
                    if answer.status_code not in _BUSY:
                        return read(_accepted(answer, path))
                    said = f"HTTP {answer.status_code}"
                    asked = retry_after(answer.headers.get("Retry-After"))
            except requests.Timeout:
                said = f"no answer for {self._patience.read:g} s"
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                said = "the connection failed or was cut"
            except requests.exceptions.ContentDecodingError:
                said = "an answer that cannot be unpacked"
            except (requests.RequestException, ValueError) as error:  # ValueError: a redirect to what is no address
                raise DunyaUnavailableError(f"{address} cannot be asked ({type(error).__name__}).") from None
            except _BrokenError as error:
                said = str(error)
            if attempt < self._patience.attempts:
                self._wait(self._delay(attempt, asked, address))
        raise DunyaUnavailableError(f"{address}: {said} ({self._patience.attempts} attempts).")

    def _keep_pace(self) -> None:
        """Wait until the next request may be sent."""
        if self._last is not None and (early := self._last + self._patience.between - self._clock()) > 0:
            self._wait(early)
        self._last = self._clock()

    def _delay(self, attempt: int, asked: float | None, address: str) -> float:
        """Seconds before the attempt after the ``attempt``-th; ``asked`` is what ``Retry-After`` wants."""
        growing = min(self._patience.first_wait * 2 ** (attempt - 1), self._patience.longest_wait)
        if asked is not None and asked > self._patience.longest_request:
            raise DunyaUnavailableError(f"{address}: Dunya asks to come back in {asked:.0f} s. Start again after that.")
        return max(float(growing), asked or 0.0)


def checked_token(token: str) -> str:
    """Return the token without white space around it.

    Raises:
        UsageError: it is empty or has characters that no token has; the message does not show it.
    """
    stripped = token.strip()
    if not _PRINTABLE.fullmatch(stripped):
        what = "has characters that no token has (blanks, line breaks or accents)" if stripped else "is empty"
        raise UsageError(f"The Dunya token {what}. Copy it from {PROFILE} and set {TOKEN_VARIABLE}, or type it.")
    return stripped


def checked_url(url: str) -> str:
    """Return a server's address without a closing slash.

    Raises:
        UsageError: it is not an address, or would carry the token unencrypted to another machine.
    """
    wrong = f"{URL_VARIABLE} must be an address like {DUNYA}, without a user or a query."
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise UsageError(wrong) from None
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if "@" in parts.netloc or parts.query or not parts.hostname or parts.scheme not in ("https", "http"):
        raise UsageError(wrong)
    if parts.scheme == "http" and not local:
        raise UsageError(f"{URL_VARIABLE}: the token is sent over https only; {parts.hostname} is named with http.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _authorisation(token: str) -> Callable[[PreparedRequest], PreparedRequest]:
    """Return what adds the token to a request; given as ``auth``, a redirect to another host does not get it."""

    def authorise(request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Token {token}"
        return request

    return authorise


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
