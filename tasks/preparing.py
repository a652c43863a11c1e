"""What ``cmbench tasks prepare`` does: a task says first what it will fetch, then the plan is carried out.

A task's ``prepare`` looks at the data root and returns a :class:`Plan` without touching the network or writing
anything, so that the command can print sizes and licences and ask before the first byte is fetched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import Missing
from ..terminal import silent
from .base import Progress

Ask = Callable[[str], str]
"""``ask(prompt)`` returns what the user types, unseen; for a secret, which is never written to a file."""


@dataclass(frozen=True)
class PrepareContext:
    """What a preparation may use."""

    data_root: Path  # folder that holds one folder per task; need not exist
    ask: Ask  # asks for a secret (a token); raises :class:`cmbench.errors.UsageError` where nobody can answer
    tell: Callable[[str], None] = lambda text: None  # prints one line for the user
    # ``progress(what, done, total)``, called with how far a download (bytes) or a step (files) is; a total of 0 means
    # that it is not known
    progress: Progress = silent
    offline: bool = False  # never touch the network
    # another source than the usual one, where a task knows several (``saraga``); ``None`` for the usual
    source: str | None = None
    wait: Callable[[float], None] = time.sleep  # sleeps for some seconds, between attempts


@dataclass(frozen=True)
class Download:
    """One public file."""

    url: str  # where it is
    path: Path  # where it will lie
    licence: str  # under what terms
    size: int | None = None  # bytes; ``None`` if the publisher states none
    # ``algorithm:hex`` as pooch has it (``sha256:…``, ``sha1:…``, ``md5:…``); ``None`` if none is published
    digest: str | None = None


@dataclass(frozen=True)
class Step:
    """Something done after the downloads: unpacking, converting, or fetching what needs a token."""

    what: str  # said before it is asked for, for example ``"unpack 25863 clips"``
    # does it; goes on where an earlier run of it stopped, and does nothing if all is done
    run: Callable[[PrepareContext], None]
    size: int | None = None  # bytes that it adds to the disk; ``None`` if that is not known
    licence: str = ""  # of what it fetches; empty if it fetches nothing
    fetches: bool = False  # whether it needs the network
    source: str = ""  # where it fetches from; empty if it fetches nothing
    files: int = 0  # how many it fetches
    # bytes of them, worked out where nobody states a size; ``None`` where that cannot be done
    estimate: int | None = None
    # the secret that it will ask for: what it is, where to get it, how to give it beforehand; empty if none
    asks: str = ""


@dataclass(frozen=True)
class Plan:
    """What a preparation will do, and what it cannot do."""

    downloads: tuple[Download, ...] = ()  # public files that are not there yet, in order
    steps: tuple[Step, ...] = ()  # what is done after all downloads, in order
    missing: tuple[Missing, ...] = ()  # what only the user has; everything else is done all the same
    notes: tuple[str, ...] = ()  # sentences to read before agreeing
    # bytes of all downloads together, worked out where no source states them; 0 where that cannot be done
    estimate: int = 0

    @property
    def known_bytes(self) -> int:
        """Bytes that the disk must have room for, as far as they are stated or estimated."""
        stated = sum(one.size or 0 for one in self.downloads)
        if any(one.size is None for one in self.downloads):
            stated = max(stated, self.estimate)
        return stated + sum(step.size or 0 for step in self.steps)

    @property
    def nothing_to_do(self) -> bool:
        """Whether all that can be done here is done."""
        return not self.downloads and not self.steps
