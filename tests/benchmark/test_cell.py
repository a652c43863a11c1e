"""A cell: four copies of one command share its work, and what one of them left is taken over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cmbench
from cmbench.tests.conftest import CountingEncoder
from cmbench.tests.faults.setting import QUICK, corpus

COPIES = 4

COPY = """
import os, sys, time
from pathlib import Path
import cmbench
from cmbench.benchmark import judge
from cmbench.benchmark.features import extract
from cmbench.benchmark.probing import search
from cmbench.tests.conftest import CountingEncoder
from cmbench.tests.faults.setting import QUICK

extract.SHARD_TRACKS = 1
notes = Path(sys.argv[1], "notes")
probe = search.run_probes

class Noting(CountingEncoder):
    def encode(self, audio):
        if self.encoded:  # the first is how it is known
            note(f"encoded-{os.getpid()}", len(audio))
            deadline = time.monotonic() + 100
            while len(list(notes.glob("encoded-*"))) < int(sys.argv[2]) and time.monotonic() < deadline:
                time.sleep(0.01)
        return super().encode(audio)

def note(name, count):
    with (notes / name).open("a") as file:
        file.write(f"{count}\\n")

def noting(*args, **kwargs):
    note("probed", 1)
    return probe(*args, **kwargs)

search.run_probes = noting
folder = Path(sys.argv[1])
records = cmbench.run(Noting(), str(folder / "task.yaml"), protocol=QUICK, out=folder / "out", device="cpu", workers=1)
print(records[0].stable_json())
"""


def counted(folder: Path, names: str) -> list[int]:
    return [sum(map(int, note.read_text().split())) for note in folder.glob(names)]


def test_four_copies_of_a_command_share_the_work(tmp_path: Path, own_cache: Path, monkeypatch: Any) -> None:
    corpus(tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()
    command = [sys.executable, "-c", COPY, str(tmp_path), str(COPIES)]
    copies = [subprocess.Popen(command, text=True, stdout=subprocess.PIPE) for _ in range(COPIES)]
    told = {copy.communicate(timeout=200)[0] for copy in copies}
    assert [copy.returncode for copy in copies] == [0] * COPIES
    assert len(told) == 1, "they end with the same record"
    encoded = counted(notes, "encoded-*")
    assert (len(encoded), sum(encoded)) == (COPIES, 12), "each has a part, and nothing is encoded twice"
    assert counted(notes, "probed") == [1], "one of them trains the probes"
    assert not list((tmp_path / "out").rglob("*.lock")), "a record needs no lock once it is there"
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "another cache"))
    task = str(tmp_path / "task.yaml")
    (alone,) = cmbench.run(CountingEncoder(), task, protocol=QUICK, out=tmp_path / "alone", device="cpu", workers=1)
    assert told == {alone.stable_json() + "\n"}
