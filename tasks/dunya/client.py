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

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from ...errors import CmbenchError, UsageError
from ..fetching.download import retry_after
from ..fetching.resumed import HEADERS, Resumed, TryAgain
from ..fetching.unreachable import UnreachableError, never_connected
from .answers import (
    DUNYA,
    PROFILE,
    TOKEN_VARIABLE,
    DunyaUnavailableError,
    _accepted,
    _hide_headers,
    _hiding,
    _NotFoundError,
    _object,
    _page,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response


URL_VARIABLE = "CMBENCH_DUNYA_URL"
"""Environment variables: the token, and another address than :data:`DUNYA` for a mirror."""


_MOST_PAGES = 2000
"""Of a list; the largest collection has some 70."""

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_BUSY = (429, 500, 502, 503, 504)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How a client bears with a server; all times in seconds."""

    attempts: int = 6  # how often one thing is asked for
    first_wait: float = 2.0  # before the second attempt; doubled before each further one
    # no longer wait than this, except that ``Retry-After`` is honoured up to ``longest_request``
    longest_wait: float = 60.0
    longest_request: float = 900.0  # if ``Retry-After`` is longer than this, stop and say so
    between: float = 0.25  # at least this much between two requests
    connect: float = 15.0  # time to reach the server
    read: float = 90.0  # time without a single byte, after which a connection counts as cut


class DunyaClient:
    """Asks Dunya, patiently.

    Raises:
        UsageError: the token or the address cannot be one.
    """

    def __init__(
        self,
        token: str,  # the user's own
        url: str = DUNYA,
        patience: Patience | None = None,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,  # seconds that only grow
    ) -> None:
        import requests

        self.url = checked_url(url)
        self._patience = patience or Patience()
        self._wait, self._clock = wait, clock
        self._last: float | None = None
        self._reached = False
        self._session = requests.Session()
        token = checked_token(token)
        self._session.auth = _authorisation(token)
        self._hide = _hiding(token)
        self._session.headers["User-Agent"] = HEADERS["User-Agent"]

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

        ``start_at`` is the query of the page after which the list was broken off; ``reached`` hears that of the page
        after each one that was yielded and dealt with, ``None`` after the last.

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

        The file grows beside its place, where a later attempt or start continues it (:mod:`..fetching.resumed`).

        Raises:
            TokenRefusedError: the token has no access to this file.
            DunyaUnavailableError: the file cannot be had.
            CmbenchError: it cannot be written.
        """
        where = f"/document/by-id/{quote(mbid, safe='')}/mp3"
        file = Resumed(path, self.url + where)

        def read(answer: Response) -> None:
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if answer.status_code != 416 and (kind.startswith("text/") or kind == "application/json"):
                raise TryAgain(f"{kind} in place of an mp3")
            file.receive(answer, refused=b"<{")

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._ask(where, read, file.headers)
            file.finish(path)
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
            UnreachableError: the server was never reached; once it was, it is waited for.
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
                    self._reached = True
                    _hide_headers(answer, self._hide)
                    if answer.status_code not in _BUSY:
                        return read(_accepted(answer, path))
                    said = f"HTTP {answer.status_code}"
                    asked = retry_after(answer.headers.get("Retry-After"))
            except requests.Timeout:
                said = f"no answer for {self._patience.read:g} s"
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                if not self._reached and (why := never_connected(error)):
                    raise UnreachableError(self.url, why) from None
                said = "the connection failed or was cut"
            except requests.exceptions.ContentDecodingError:
                said = "an answer that cannot be unpacked"
            except (requests.RequestException, ValueError) as error:  # ValueError: a redirect to what is no address
                raise DunyaUnavailableError(f"{address} cannot be asked ({type(error).__name__}).") from None
            except TryAgain as error:
                said = str(error)
            if attempt < self._patience.attempts:
                self._wait(self._delay(attempt, asked, address))
        raise DunyaUnavailableError(f"{address}: {said} ({self._patience.attempts} attempts).")

    def _keep_pace(self) -> None:
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
