"""Faults in large numbers: ``make faults``; a line of figures for each kind, and what went wrong below."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cmbench.pretraining.start import require_whole
from cmbench.tests.faults.disk import fill_disk
from cmbench.tests.faults.flip import flip_run, flip_training
from cmbench.tests.faults.fuzz import fuzz
from cmbench.tests.faults.kill import kill_runs
from cmbench.tests.faults.setting import Figures, contents, corpus, evaluate
from cmbench.tests.faults.sockets import count_sockets
from cmbench.tests.faults.test_faults import training_of


def fuzzed(folder: Path, cases: int, seed: int) -> Figures:
    corpus(folder)
    evaluate(folder)
    record = next(content for name, content in contents(folder / "out").items() if name.endswith(".json"))
    return fuzz(folder, record, cases, seed)


def trained(folder: Path, cases: int, seed: int) -> Figures:
    training = training_of(folder)
    return flip_training(training, lambda: require_whole(training), cases, seed)


def main() -> None:
    """Do every kind as often as asked for."""
    kinds: dict[str, tuple[int, Callable[[Path, int, int], Figures]]] = {
        "sockets": (1, lambda folder, cases, seed: count_sockets(folder)),
        "fuzz": (1_000_000, fuzzed),
        "training": (2_000, trained),
        "flips": (2_000, flip_run),
        "kills": (200, kill_runs),
        "disk": (30, fill_disk),
    }
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0)
    for name, (cases, _) in kinds.items():
        parser.add_argument(f"--{name}", type=int, default=cases)
    asked = vars(parser.parse_args())
    found = []
    for name, (_, work) in kinds.items():
        if asked[name]:
            with tempfile.TemporaryDirectory() as folder:
                found.append(work(Path(folder), asked[name], asked["seed"]))
            print(found[-1], *found[-1].wrong[:20], *found[-1].tracebacks[:20], sep="\n  ", flush=True)
    sys.exit(not all(figures.sound for figures in found))


if __name__ == "__main__":
    main()
