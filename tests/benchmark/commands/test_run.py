"""``cmbench run`` as a user types it: nothing is done in vain, what was done is found again, what was cut goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from cmbench.benchmark.records.folder import iter_records
from cmbench.tests.conftest import Cmbench

MINI = ("run", "--tasks", "hindustani", "--edition", "mini", "--mini-scale", "0.05", "--workers", "1", "--model")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn from here on."""
    drawn: list[Figure] = []
    save = Figure.savefig

    def count(figure: Figure, *args: Any, **settings: Any) -> None:
        drawn.append(figure)
        save(figure, *args, **settings)

    monkeypatch.setattr(Figure, "savefig", count)
    return drawn


def test_missing_data_are_listed_with_their_remedy_and_nothing_is_done(cmbench: Cmbench, tmp_path: Path) -> None:
    said = cmbench("run", "--model", "chroma", "--tasks", "all", code=2)
    for word in ("turkish_makam", "lyra", "magnatagatune", "licence", "source", "--edition mini"):
        assert word in " ".join(said.err.split())
    assert not (tmp_path / "results").exists()


def test_a_small_run_from_nothing_to_page_and_again_from_the_cache(
    cmbench: Cmbench, tmp_path: Path, own_cache: Path, drawings: list[Figure]
) -> None:
    first = cmbench(*MINI, "constant,MERT-nano")
    assert "mini" in first.out
    assert "hindustani" in first.out
    page = tmp_path / "results" / "report.html"
    assert "mini" in page.read_text(encoding="utf-8")
    records = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")}
    assert len(records) == 2
    drawn, written = len(drawings), page.stat().st_mtime_ns
    assert drawn > 3
    second = cmbench(*MINI, "constant,MERT-nano")
    assert second.out == first.out
    assert "2 cells finished before" in second.err
    assert (len(drawings), page.stat().st_mtime_ns) == (drawn, written), "nothing is drawn again"
    sound = page.read_bytes()
    page.write_bytes(sound.replace(b"tradition", b"tradltion"))
    assert cmbench(*MINI, "constant,MERT-nano").out == first.out
    assert page.read_bytes() == sound, "a page that was changed is not read but drawn again"
    command = [sys.executable, "-X", "importtime", "-m", "cmbench", *MINI, "constant,MERT-nano"]
    alone = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert alone.stdout == first.out
    imported = {line.rpartition("|")[2].strip() for line in alone.stderr.splitlines()}
    assert {"numpy", "pydantic"} <= imported
    assert not imported & {"torch", "transformers", "sklearn", "scipy", "matplotlib", "pandas", "soundfile"}
    assert "no interval" not in first.out
    assert "no interval" in cmbench(*MINI, "constant,MERT-nano", "--details").out.partition("AP, percent")[2], (
        "or every interval"
    )
    cmbench(*MINI, "constant,MERT-nano", "--title", "Heard <again>")
    assert len(drawings) > drawn, "another title is another page"
    assert "<h1>Heard &lt;again&gt;</h1>" in page.read_text(encoding="utf-8")
    assert {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")} == records
    assert "MERT-nano" in cmbench("cache", "ls").out
    assert "0 problems" in cmbench("cache", "verify").out
    cmbench("report", "results", "--out", "page.html", "--figures", "figures")
    assert sorted({p.suffix for p in (tmp_path / "figures").iterdir()}) == [".png", ".svg"]
    shard = next(own_cache.rglob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    cmbench("cache", "verify", code=1)
    assert "removed" in cmbench("cache", "gc").out
    cmbench("cache", "verify")


def test_a_run_that_is_stopped_goes_on_and_ends_the_same(
    cmbench: Cmbench, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C; runs that are killed are in ``tests/faults``."""
    words = (*MINI, "constant,chroma", "--seeds", "1", "--out")
    command = [sys.executable, "-m", "cmbench", *words, "cut"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while process.poll() is None and not list(own_cache.rglob("*.index.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode != 0:
        # Python lets the signal itself end `python -m` where the interrupt fell into code that runs a string, as
        # dataclasses do while modules are imported (Modules/main.c: Py_RunMain). A shell shows 130 for both.
        assert process.returncode in (130, -signal.SIGINT), errors
        assert "the same command goes on" in errors
        assert "Traceback" not in errors
    cmbench(*words, "cut")
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "undisturbed"))
    cmbench(*words, "whole")
    # Sorted: models that were begun in the same second stand in the order of their names.
    cut, whole = (sorted(r.stable_json() for r in iter_records(tmp_path / out)) for out in ("cut", "whole"))
    assert cut == whole


def test_bfloat16_without_units_is_refused(cmbench: Cmbench) -> None:
    words = ("--tasks", "lyra", "--edition", "mini", "--device", "cpu", "--precision", "bfloat16")
    assert "no bfloat16 units" in cmbench("run", "--model", "random-mert-nano", *words, code=2).err
