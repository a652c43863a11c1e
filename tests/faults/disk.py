"""Disk faults: a disk that is full after so many bytes of a file, and a cache that is a file."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from cmbench.tests.faults.kill import start
from cmbench.tests.faults.setting import Figures, corpus, evaluate

FULL = """
import os, resource, sys
# Python, and those it starts, would keep half of a module's bytecode, and every later run would fail.
sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
from pathlib import Path
from cmbench.errors import CmbenchError
from cmbench.tests.faults.setting import evaluate
import torch, scipy.stats
most = int(sys.argv[2])
if most < 0:
    Path(sys.argv[1], "cache").write_text("no folder")
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    evaluate(Path(sys.argv[1]))
except (CmbenchError, OSError) as error:
    print(error)
    sys.exit(1)
"""


def fill_disk(folder: Path, cases: int, seed: int) -> Figures:
    """Let runs fail, then let one succeed; the first case is a cache that is a file."""
    figures, draw = Figures("disk"), random.Random(seed)
    corpus(folder)
    expected = evaluate(folder)
    for number in range(cases):
        for place in (folder / "cache", folder / "out"):
            shutil.rmtree(place, ignore_errors=True)
        most = -1 if number == 0 else draw.choice((0, 10, 200, 1_000, 5_000))
        work = start(folder, FULL, str(most))
        said, wrong = work.communicate(timeout=300)
        figures.cases += 1
        if "Traceback" in wrong:
            figures.tracebacks.append(f"{most}: {wrong[-300:]}")
        figures.told += bool(work.returncode == 1 and said.strip())
        if (folder / "cache").is_file():
            (folder / "cache").unlink()
        if evaluate(folder) != expected:
            figures.wrong.append(f"after a disk of {most} bytes")
    return figures
