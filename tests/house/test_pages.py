"""The page and the board of records that never change say what they said.

Their text is held against committed text: figures and code of the pages aside, which depend on matplotlib, and the
version. Scores are read from the records, and intervals drawn by numpy's own generators: no processor is asked.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from cmbench.tests.conftest import Cmbench
from cmbench.version import __version__

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDS = HERE.parent / "upgrade" / "v0.1.0" / "results"
ENTRIES = ("mfcc/1", "chroma/1", "MERT-nano/2")


def text_of(page: Path) -> str:
    """Return the words of a page, a line for each element that has some."""
    source = re.sub(r"<(svg|style|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = (" ".join(html.unescape(part).split()) for part in re.split(r"<[^>]+>", source))
    return "\n".join(line for line in lines if line).replace(__version__, "VERSION") + "\n"


def compare(name: str, now: str) -> None:
    """Hold a text against the committed one, or write that."""
    golden = HERE / name
    if os.environ.get("CMBENCH_WRITE_GOLDEN"):
        golden.write_text(now, encoding="utf-8")
    assert now.splitlines() == golden.read_text(encoding="utf-8").splitlines()


def test_the_page_says_what_it_said(tmp_path: Path, cmbench: Cmbench) -> None:
    cmbench("report", "html", str(RECORDS), "--out", str(tmp_path / "page.html"), "--resamples", "100")
    compare("page.txt", text_of(tmp_path / "page.html"))


def rounded(value: Any) -> Any:
    """Return a JSON value with five digits of each number."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def test_the_board_says_what_it_said(tmp_path: Path, cmbench: Cmbench) -> None:
    for name in ENTRIES:
        shutil.copytree(ROOT / "leaderboards" / "entries" / name, tmp_path / "entries" / name)
    cmbench("leaderboard", "build", str(tmp_path / "entries"), "--out", str(tmp_path / "site"))
    board = rounded(json.loads((tmp_path / "site" / "board.json").read_text(encoding="utf-8")))
    compare("board.json", json.dumps(board, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
