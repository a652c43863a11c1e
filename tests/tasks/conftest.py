"""Small data roots for the tests of the tasks."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cmbench.tasks.base import LoadContext
from cmbench.tasks.preparing import PrepareContext

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]


@pytest.fixture
def context(tmp_path: Path) -> LoadContext:
    """A loader's context whose data root is an empty folder."""
    root = tmp_path / "data"
    root.mkdir()
    return LoadContext(data_root=root, cache_root=tmp_path / "cache")


@pytest.fixture
def preparing(context: LoadContext) -> PrepareContext:
    """A context for preparing data into the same data root; nothing may be asked, and no wait is waited."""
    assert context.data_root is not None

    def ask(prompt: str) -> str:
        raise AssertionError(prompt)

    return PrepareContext(context.data_root, ask, wait=lambda seconds: None)


@pytest.fixture
def published() -> Path:
    """The folder of published lists and labels beside the checkout; the test is skipped where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the published lists (../shared/data) are not beside this checkout")
    return SHARED_DATA


@pytest.fixture
def published_rows(published: Path) -> Rows:
    """Reads a published tab-separated table by its path, packed or not."""

    def rows(name: str) -> list[dict[str, str]]:
        path = published / name
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as handle:
                return list(csv.DictReader(handle, delimiter="\t"))
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle, delimiter="\t"))

    return rows


@pytest.fixture
def write() -> Write:
    """Writes lines to a file, with the folders above it."""

    def to(path: Path, lines: Iterable[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return to
