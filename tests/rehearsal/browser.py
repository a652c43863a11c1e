"""What a reader sees of a page: Chromium loads it, runs its scripts, and gives its tables as text."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

CHROMIUM = os.environ.get("CMBENCH_CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
NO_BROWSER = "no Chromium on this machine (`apt install chromium`, or set CMBENCH_CHROMIUM)"
_UNSEEN = {"script", "style", "title", "option"}
_VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page's text, table by table.

    Attributes:
        tables: by id, else by caption: rows of cells.
        prose: what is in no table.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.prose: list[str] = []
        self._open: list[str] = []
        self._table: list[list[str]] | None = None
        self._name, self._caption = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "table":
            self._table, self._name, self._caption = [], dict(attrs).get("id") or "", ""
        elif self._table is not None and tag == "tr":
            self._table.append([])
        elif self._table is not None and tag in ("td", "th"):
            self._table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "table" and self._table is not None:
            self.tables[self._name or self._caption.strip()] = self._table
            self._table = None

    def handle_data(self, data: str) -> None:
        if not _UNSEEN.isdisjoint(self._open) or not data.strip():
            return
        if self._table is None or "caption" in self._open:
            self.prose.append(data.strip())
            self._caption += data
        else:
            self._table[-1][-1] = f"{self._table[-1][-1]} {data.strip()}".strip()


def look(address: str, profile: Path) -> Page:
    """Load a page in a real browser.

    Args:
        address: of the page.
        profile: an empty folder for the browser's own files.
    """
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
            "--disable-dev-shm-usage", "--enable-logging=stderr", f"--user-data-dir={profile}",
            "--virtual-time-budget=10000", "--dump-dom", address,
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints, complaints
    return Page(done.stdout)
