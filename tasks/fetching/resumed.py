"""A file that comes over several answers: what is there of it, of which version it is, and how the next goes on.

RFC 9110, sections 13.1.5 and 14.2: ``If-Range`` and ``Range``. Two versions of a file are never joined, and bytes of a
packed answer, whose length and ranges are not the file's, are never continued.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import write_atomically
from ...untrusted import read_object
from .room import SPARE_BYTES, require_room

if TYPE_CHECKING:
    from requests import Response

HEADERS = {"Accept-Encoding": "identity", "User-Agent": "cmbench"}
"""Of every request: the bytes are wanted as they are, not packed."""

_BLOCK = 2**13
"""Bytes that may be lost where a connection is cut."""


class TryAgain(Exception):  # noqa: N818 - it says what to do
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds  # the wait that the server asked for; ``None`` if it did not


@dataclass(frozen=True)
class Resumed:
    """A file on its way, in ``<name>.part``; what its server calls this version of it is in ``<name>.part.json``."""

    path: Path  # of the whole file
    url: str  # where it comes from
    # whether its hash would tell a wrong whole: then a part of unknown version is gone on with, too
    trusted: bool = False

    @property
    def part(self) -> Path:
        """The file of what came so far."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def _note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def have(self) -> int:
        """Bytes that came so far."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def headers(self) -> dict[str, str]:
        """Return what to ask with: for the rest of what is there, or for all."""
        known = self._version()
        if not self.have() or not (known or self.trusted):
            return HEADERS
        return HEADERS | {"Range": f"bytes={self.have()}-"} | ({"If-Range": known} if known else {})

    def _version(self) -> str:
        """Return the strong validator of the part; empty if it has none."""
        try:
            noted = read_object(self._note)
        except (OSError, UsageError):
            return ""
        return " ".join(str(noted.get("version", "")).split()) if noted.get("url") == self.url else ""

    def receive(
        self, answer: Response, report: Callable[[int, int], None] = lambda done, total: None, refused: bytes = b""
    ) -> None:
        """Write the body of an answer with status 200, 206 or 416 to the part.

        ``report`` hears the bytes that are there and those of the whole file, 0 if unknown; a file does not begin with
        a sign of ``refused``, as a page of text does.

        Raises:
            TryAgain: it is cut, empty, or another stretch than was asked for.
            UsageError: the disk has not enough room.
        """
        asked = re.fullmatch(r"bytes=(\d+)-", str(answer.request.headers.get("Range", "")))
        offset = int(asked[1]) if asked else 0
        first, total = _span(answer)
        if answer.status_code == 416:
            if offset and offset == total:
                return
            self._begin_anew("the server's file is not the one that was begun")
        packed = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
        if answer.status_code == 206 and (first != offset or packed):
            self._begin_anew("the server sent another stretch than was asked for")
        if answer.status_code != 206:
            offset = 0  # the whole file: the server knows no ranges, or the file has changed
        if packed:
            total = 0  # urllib3 notices if it is short
        else:  # a short body is noticed below; urllib3 would raise, and drop what it has read of the last block
            answer.raw.enforce_content_length = False
        tag = answer.headers.get("ETag", "")
        version = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
        if not offset:
            # Before its version is noted: without room for the whole, what is left would pass for the beginning of it.
            self.part.unlink(missing_ok=True)
        note = {"url": self.url, "version": "" if packed else version}
        write_atomically(self._note, json.dumps(note).encode() + b"\n")
        try:
            done = self._write(answer, offset, total, report, refused)
        except BaseException:
            if packed:
                self.part.unlink(missing_ok=True)
            raise
        if total and done > total:
            self._begin_anew(f"{done} bytes of a file of {total}")
        if not done or done < total:
            raise TryAgain(f"the answer ended after {done} of {total} bytes" if done else "the answer is empty")

    def _write(
        self, answer: Response, offset: int, total: int, report: Callable[[int, int], None], refused: bytes
    ) -> int:
        """Write a body behind what is there of the part, and return the size that it has then."""
        require_room(self.part.parent, max(0, total - offset))
        done = offset
        with self.part.open("ab" if offset else "wb") as stream:
            for block in answer.iter_content(_BLOCK):
                if not done and (first := block.lstrip()[:1]) and first in refused:
                    raise TryAgain("a page of text in place of the file")
                if not total and done % SPARE_BYTES < len(block):
                    require_room(self.part.parent, 0)
                stream.write(block)
                done += len(block)
                report(done, total)
            stream.flush()
            os.fsync(stream.fileno())
        return done

    def _begin_anew(self, why: str) -> None:
        self.part.unlink(missing_ok=True)
        raise TryAgain(f"{why}; starting over", 0.0)

    def finish(self, target: Path) -> None:
        """Give the part its place."""
        self.part.replace(target)
        self._note.unlink(missing_ok=True)


def _span(answer: Response) -> tuple[int, int]:
    """Return where an answer's body begins in the file (-1 if a part does not say), and the file's length or 0."""
    said = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if said:
        return int(said[1] or 0), 0 if said[2] == "*" else int(said[2])
    length = answer.headers.get("Content-Length", "")
    return (0, int(length) if length.isdecimal() else 0) if answer.status_code == 200 else (-1, 0)
