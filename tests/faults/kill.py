"""The kill loop: a run is killed at a moment drawn by seed, again and again, and must end as if it never was."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cmbench.tests.faults.setting import Figures, corpus, evaluate

RUN = """
import sys
from pathlib import Path
from cmbench.tests.faults.setting import evaluate
evaluate(Path(sys.argv[1]))
"""


def start(folder: Path, script: str = RUN, *words: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script, str(folder), *words], text=True, env=os.environ, **pipes)  # type: ignore[call-overload,no-any-return]


def kill_runs(folder: Path, cases: int, seed: int) -> Figures:
    """Kill runs once the corpus is being worked on; after every third, a run must end with the right records."""
    figures, draw = Figures("kills"), random.Random(seed)
    corpus(folder)
    expected = evaluate(folder)
    for number in range(cases):
        if number % 3 == 0:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            shutil.rmtree(folder / "out", ignore_errors=True)
        work = start(folder)
        deadline = time.monotonic() + 120
        while work.poll() is None and not (folder / "cache").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 1.5))
        work.kill()
        work.communicate()
        figures.cases += 1
        if number % 3 == 2 or number == cases - 1:
            if evaluate(folder) == expected:
                figures.mended += 1
            else:
                figures.wrong.append(f"kill {number}")
    return figures
