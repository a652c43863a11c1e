"""Downloads that can be trusted: resumed after a cut, checked against a published hash, renamed when whole.

pooch names, checks and moves the files; this module gives it a downloader that goes on where the last one stopped
(:mod:`.resumed`) and waits before it tries again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...errors import CmbenchError, Missing, MissingError, UsageError
from ...files import write_atomically
from ...untrusted import read_object
from .resumed import HEADERS, Resumed, TryAgain
from .room import spoken_bytes
from .unreachable import UnreachableError, never_connected, reason

if TYPE_CHECKING:
    import requests

    from ..preparing import Download, PrepareContext

ATTEMPTS = 5
"""Failures in a row after which a download is given up; what came so far is kept."""

LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, unless the server itself names a longer time."""

TIMEOUTS = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""

_LONGEST_ASKED = 600.0
"""Seconds that a server may ask to wait; asked for more, this much is waited."""

_LONGEST_REQUEST = 31_536_000.0
"""Seconds of a year: no request to wait is read as more."""

_PROGRESS_BYTES = 2**20
"""An attempt that brought this much is not counted as a failure."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed (RFC 9110, section 15; RFC 6585; RFC 8470)."""


@dataclass(frozen=True)
class Receipt:
    """What is known of a fetched file; kept beside it as ``<name>.download.json``."""

    url: str  # where it came from
    digest: str  # ``algorithm:hex``
    size: int  # bytes
    checked: bool  # whether ``digest`` was published; if not, it is that of the first download
    date: str  # of the download or check, UTC


def receipt_path(path: Path) -> Path:
    """Return where the receipt of a file lies."""
    return path.with_name(f"{path.name}.download.json")


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt of a file, or ``None`` if there is none that can be read."""
    try:
        return Receipt(**read_object(receipt_path(path)))
    except (OSError, UsageError, TypeError):
        return None


def is_fetched(download: Download) -> bool:
    """Whether the file is there, of the size in its receipt, and was checked against the digest that is asked for now.

    The bytes are not hashed again; :func:`fetch` does that for a file without a receipt.
    """
    receipt = read_receipt(download.path)
    return (
        receipt is not None
        and download.path.is_file()
        and download.path.stat().st_size == receipt.size
        and download.digest in (None, receipt.digest)
    )


def fetch(download: Download, context: PrepareContext) -> None:
    """Get a file unless it is there, check it, and leave a receipt beside it.

    A file that is there and is not the published one is replaced, but only by one that is. Where no hash is published,
    the file is as it came, and the receipt says so.

    Raises:
        CmbenchError: it cannot be had: a lasting answer like 404, too many failures in a row, a wrong hash.
        MissingError: the context is offline.
        UsageError: there is not enough room on the disk.
    """
    import pooch

    path = download.path
    if is_fetched(download):
        return
    there = path.is_file()
    if there and download.digest is not None:
        context.tell(f"{path.name} is there; comparing it with the published hash.")
        there = pooch.hashes.hash_matches(str(path), download.digest)
        if not there:
            context.tell(f"{path} is not the published file; it is fetched again and replaced by the right one.")
    if not there:
        if context.offline:
            raise MissingError(
                [Missing(path.name, str(path), download.url, download.licence, "run again without --offline")]
            )
        _retrieve(download, context)
    _leave_receipt(download, context)


def announced_size(download: Download, context: PrepareContext) -> int | None:
    """Return the bytes that the server announces, or ``None`` if it does not say or cannot be reached now."""
    import requests

    if context.offline:
        return None
    try:
        answer = requests.head(download.url, headers=HEADERS, timeout=TIMEOUTS[0], allow_redirects=True)
    except requests.RequestException:
        return None
    stated = answer.headers.get("Content-Length", "")
    return int(stated) if answer.ok and stated.isdecimal() else None


def _retrieve(download: Download, context: PrepareContext) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            download.url,
            download.digest,
            fname=download.path.name,
            path=download.path.parent,
            downloader=_Resuming(download, context),
        )
    except ValueError as error:
        raise CmbenchError(
            f"{download.url}: what came is not the published file ({_one_line(error)}). It was thrown away. Run the "
            "command again; if it fails again, put the data there by hand as docs/data.md describes."
        ) from error


def _leave_receipt(download: Download, context: PrepareContext) -> None:
    import pooch

    path = download.path
    digest = download.digest or f"sha256:{pooch.file_hash(str(path), alg='sha256')}"
    if download.digest is None:
        context.tell(f"{path.name}: no hash is published, so it was not checked against one; {digest} is noted.")
    receipt = Receipt(
        url=download.url,
        digest=digest,
        size=path.stat().st_size,
        checked=download.digest is not None,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomically(receipt_path(path), (json.dumps(vars(receipt), indent=1) + "\n").encode())


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that keeps what came, and goes on from there."""

    download: Download
    context: PrepareContext

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Download until all bytes are there, then give them to pooch.

        Raises:
            UnreachableError: the server was never reached; once it was, it is waited for.
        """
        from requests import RequestException

        file = Resumed(self.download.path, url, trusted=self.download.digest is not None)
        failures, reached = 0, False
        while True:
            before = file.have()
            try:
                self.attempt(file)
                break
            except TryAgain as error:
                cause = error.__cause__
                if not reached and isinstance(cause, RequestException) and (why := never_connected(cause)):
                    raise UnreachableError(url, why) from error
                reached = True
                failures = 1 if file.have() - before >= _PROGRESS_BYTES else failures + 1
                if failures >= ATTEMPTS:
                    raise CmbenchError(
                        f"{url}: given up after {failures} failures in a row ({error}). {spoken_bytes(file.have())} "
                        "are kept; the same command goes on from there."
                    ) from error
                seconds = error.seconds if error.seconds is not None else min(2.0**failures, LONGEST_WAIT)
                self.context.tell(f"{self.download.path.name}: {error}; trying again in {seconds:.0f} s.")
                self.context.wait(seconds)
        file.finish(Path(output_file))

    def attempt(self, file: Resumed) -> None:
        """Ask for what is not there yet and take the answer.

        Raises:
            CmbenchError: the server refuses for good.
            TryAgain: it may not refuse the next time, or the answer ended early.
        """
        import requests

        try:
            with requests.get(file.url, headers=file.headers(), stream=True, timeout=TIMEOUTS) as answer:
                if not answer.ok and answer.status_code != 416:
                    _refused(file.url, answer)
                if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
                    raise CmbenchError(f"{file.url}: the server sent a web page (a login, a notice), not the file.")
                file.receive(answer, partial(self.context.progress, self.download.path.name))
        except requests.RequestException as error:
            raise TryAgain(f"the connection failed ({reason(error)})") from error
        except ValueError as error:
            raise TryAgain("the server sends on to what is no address") from error


def _refused(url: str, answer: requests.Response) -> NoReturn:
    story = f"the server answered {answer.status_code} {answer.reason}".rstrip()
    if answer.status_code in _TRANSIENT:
        asked = retry_after(answer.headers.get("Retry-After"))
        raise TryAgain(story, None if asked is None else min(asked, _LONGEST_ASKED))
    raise CmbenchError(f"{url}: {story}. The file may have moved; see docs/data.md for where it should be.")


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110, section 10.2.3); ``None`` if it does not."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_REQUEST)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), _LONGEST_REQUEST)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
