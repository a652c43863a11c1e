"""What the faults are done to: a small corpus, an encoder that needs no weights, a run that takes a second or two."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cmbench import run
from cmbench.benchmark.protocol import ProbeSettings, get_protocol
from cmbench.errors import CmbenchError
from cmbench.tests.conftest import CountingEncoder, write_tone

QUICK = replace(
    get_protocol("cmbench-1"),
    name="quick",
    probe=ProbeSettings(hidden=8, learning_rates=(1e-2,), max_epochs=5, seeds=(1,)),
    resamples=20,
)
Contents = dict[str, bytes]


@dataclass
class Figures:
    """What became of the faults of one kind; ``wrong`` and ``tracebacks`` must stay empty."""

    kind: str
    cases: int = 0
    told: int = 0
    mended: int = 0
    unused: int = 0
    wrong: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    more: str = ""

    def __str__(self) -> str:
        found = f"{self.told} told, {self.mended} mended, {self.unused} without effect"
        bad = f"{len(self.wrong)} wrong without a word, {len(self.tracebacks)} tracebacks"
        return f"{self.kind:12} {self.cases} cases: {found}, {bad}{self.more}"

    @property
    def sound(self) -> bool:
        return not self.wrong and not self.tracebacks and self.cases > 0


def corpus(folder: Path) -> Path:
    """Write a task of twelve tones and return its description."""
    rows = []
    for i in range(12):
        high, split = i % 2, ("train", "train", "train", "valid", "test", "test")[i // 2]
        write_tone(folder / "audio" / f"{i}.wav", 1500 if high else 300 + 10 * i, 0.5, seed=i)
        rows.append(f"t{i},audio/{i}.wav,{split},g{i},{('low', 'high')[high]}")
    (folder / "tracks.csv").write_text("\n".join(["id,path,split,group,labels", *rows, ""]), encoding="utf-8")
    (folder / "task.yaml").write_text("name: tones\nlabels: [low, high]\n", encoding="utf-8")
    return folder / "task.yaml"


def evaluate(folder: Path, out: str = "out") -> list[str]:
    """Run the encoder on the corpus in a folder, its cache beside it; return what of the records never differs."""
    os.environ["CMBENCH_CACHE"] = str(folder / "cache")
    task = folder / "task.yaml"
    records = run(CountingEncoder(), str(task), protocol=QUICK, out=folder / out, device="cpu", workers=1)
    return [record.stable_json() for record in records]


def contents(*places: Path) -> Contents:
    """The bytes of every file below some folders."""
    return {str(path): path.read_bytes() for place in places for path in sorted(place.rglob("*")) if path.is_file()}


def restore(kept: Contents, *places: Path) -> None:
    """Make folders what they were."""
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
    for name, content in kept.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect the warnings that are logged within the block."""
    handler, root = _Heard(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.words
    finally:
        root.removeHandler(handler)


TOLD: tuple[type[Exception], ...] = (CmbenchError, OSError)
"""What the command line prints in a line, without a traceback."""
