"""Downloads that can be trusted: resumed after a cut, checked against a published hash, renamed when whole.

pooch names, checks and moves the files; this module gives it a downloader that goes on where the last one stopped
(RFC 9110, sections 13.1.5 and 14.2: ``If-Range`` and ``Range``) and waits before it tries again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CmbenchError, Missing, MissingError, UsageError
from ...untrusted import read_object
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

_BLOCK = 2**18
_SPARE_BYTES = 2**26
"""Room that a download leaves on the disk."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed (RFC 9110, section 15; RFC 6585; RFC 8470)."""


class _TryAgain(Exception):  # noqa: N818 - it says what to do
    """An attempt failed in a way that another may not.

    Attributes:
        seconds: the wait that the server asked for; ``None`` if it did not.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Receipt:
    """What is known of a fetched file; kept beside it as ``<name>.download.json``.

    Attributes:
        url: where it came from.
        digest: ``algorithm:hex``.
        size: bytes.
        checked: whether ``digest`` was published; if not, it is that of the first download.
        date: of the download or check, UTC.
    """

    url: str
    digest: str
    size: int
    checked: bool
    date: str


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
        answer = requests.head(download.url, headers=_headers({}), timeout=TIMEOUTS[0], allow_redirects=True)
    except requests.RequestException:
        return None
    stated = answer.headers.get("Content-Length", "")
    return int(stated) if answer.ok and stated.isdecimal() else None


def require_room(folder: Path, size: int) -> None:
    """Check that a folder's disk has room for ``size`` more bytes; the folder need not exist.

    Raises:
        UsageError: it has not.
    """
    standing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(standing).free
    if size + _SPARE_BYTES > free:
        raise UsageError(
            f"{folder}: {spoken_bytes(size)} are needed and {spoken_bytes(free)} are free. Make room, or choose "
            "another --data-root; what was fetched so far is kept."
        )


def spoken_bytes(size: int) -> str:
    """Write a size as a person would, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _retrieve(download: Download, context: PrepareContext) -> None:
    """Let pooch download, check and move the file."""
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
            "command again; if it fails again, put the data there by hand as docs/tasks.md describes."
        ) from error


def _leave_receipt(download: Download, context: PrepareContext) -> None:
    """Write the receipt of a file that is there."""
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
    _write(receipt_path(path), json.dumps(vars(receipt), indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a small file under another name and rename it."""
    whole = path.with_name(f"{path.name}.new")
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that keeps what came in ``<name>.part`` and goes on from there."""

    download: Download
    context: PrepareContext

    @property
    def part(self) -> Path:
        """The file of what came so far."""
        return self.download.path.with_name(f"{self.download.path.name}.part")

    @property
    def version(self) -> Path:
        """The file that tells which version of the remote file the part is of."""
        return self.part.with_name(f"{self.part.name}.json")

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Download until all bytes are there, then give them to pooch.

        Raises:
            UnreachableError: the server was never reached; once it was, it is waited for.
        """
        from requests import RequestException

        failures, reached = 0, False
        while True:
            before = self.have()
            try:
                self.attempt(url)
                break
            except _TryAgain as error:
                cause = error.__cause__
                if not reached and isinstance(cause, RequestException) and (why := never_connected(cause)):
                    raise UnreachableError(url, why) from error
                reached = True
                failures = 1 if self.have() - before >= _PROGRESS_BYTES else failures + 1
                if failures >= ATTEMPTS:
                    raise CmbenchError(
                        f"{url}: given up after {failures} failures in a row ({error}). {spoken_bytes(self.have())} "
                        "are kept; the same command goes on from there."
                    ) from error
                seconds = error.seconds if error.seconds is not None else min(2.0**failures, LONGEST_WAIT)
                self.context.tell(f"{self.download.path.name}: {error}; trying again in {seconds:.0f} s.")
                self.context.wait(seconds)
        self.part.replace(output_file)
        self.version.unlink(missing_ok=True)

    def have(self) -> int:
        """Bytes that came so far."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def attempt(self, url: str) -> None:
        """Ask for what is not there yet and write it to the part."""
        import requests

        offset, known = self.have(), self.known_version(url)
        if not known and self.download.digest is None:
            offset = 0  # the part and the rest might be of two files, and nothing would show it
        asked = {"Range": f"bytes={offset}-"} | ({"If-Range": known} if known else {}) if offset else {}
        try:
            with requests.get(url, headers=_headers(asked), stream=True, timeout=TIMEOUTS) as answer:
                self.receive(url, answer, offset)
        except requests.RequestException as error:
            raise _TryAgain(f"the connection failed ({reason(error)})") from error
        except ValueError as error:
            raise _TryAgain("the server sends on to what is no address") from error

    def receive(self, url: str, answer: requests.Response, offset: int) -> None:
        """Take one answer of the server.

        Raises:
            CmbenchError: the server refuses for good.
            _TryAgain: it may not refuse the next time, or the answer ended early.
        """
        if answer.status_code == 416:
            self.part.unlink(missing_ok=True)
            raise _TryAgain("the server's file is not the one that was begun; starting over", 0.0)
        if not answer.ok:
            story = f"the server answered {answer.status_code} {answer.reason}".rstrip()
            if answer.status_code in _TRANSIENT:
                asked = retry_after(answer.headers.get("Retry-After"))
                raise _TryAgain(story, None if asked is None else min(asked, _LONGEST_ASKED))
            raise CmbenchError(f"{url}: {story}. The file may have moved; see docs/tasks.md for where it should be.")
        if answer.status_code != 206 or _first_byte(answer.headers) != offset:
            if answer.status_code == 206:
                self.part.unlink(missing_ok=True)
                raise _TryAgain("the server sent another stretch than was asked for; starting over", 0.0)
            offset = 0  # the whole file: the server knows no ranges, or the file has changed
        if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise CmbenchError(f"{url}: the server sent a web page (a login, a notice) in place of the file.")
        total = _whole_size(answer)
        require_room(self.part.parent, max(0, total - offset))
        self.note_version(url, answer.headers)
        done = offset
        with self.part.open("ab" if offset else "wb") as stream:
            for block in answer.iter_content(_BLOCK):
                if not total and done % _SPARE_BYTES < len(block):
                    require_room(self.part.parent, 0)
                stream.write(block)
                done += len(block)
                self.context.progress(self.download.path.name, done, total)
            stream.flush()
            os.fsync(stream.fileno())
        if done < total:
            raise _TryAgain(f"the answer ended after {done} of {total} bytes")
        if not done:
            raise _TryAgain("the answer is empty")

    def known_version(self, url: str) -> str:
        """Return the strong validator of the part, or an empty string if it has none."""
        try:
            noted = read_object(self.version)
        except (OSError, UsageError):
            return ""
        return str(noted.get("version", "")) if noted.get("url") == url else ""

    def note_version(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the validator of what is being received: a strong entity tag, else the date of the last change."""
        tag = headers.get("ETag", "")
        version = tag if tag.startswith('"') else headers.get("Last-Modified", "")
        _write(self.version, json.dumps({"url": url, "version": version}) + "\n")


def _headers(more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request; the bytes are wanted as they are, not packed."""
    return {"Accept-Encoding": "identity", "User-Agent": "cmbench", **more}


def _first_byte(headers: Mapping[str, str]) -> int | None:
    """Return where the stretch of a partial answer begins, or ``None`` if it does not say."""
    first = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else None


def _whole_size(answer: requests.Response) -> int:
    """Return the bytes that the whole file has, of which an answer may hold a stretch; 0 if it does not say.

    The length of packed bytes says nothing of the file's.
    """
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        return 0
    if answer.status_code == 206:
        stated = answer.headers.get("Content-Range", "").partition("/")[2].strip()
    else:
        stated = answer.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else 0


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
    """Return an error's text on one line."""
    return " ".join(str(error).split()).rstrip(".")
