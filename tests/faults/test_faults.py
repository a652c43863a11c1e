"""Faults in small numbers, by seed: nothing is lost, nothing wrong is used without a word, nothing ends in a traceback.

``make faults`` does the same in large numbers.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cmbench.benchmark.records.record import SCHEMA_VERSION
from cmbench.pretraining.start import TRAINING, require_whole
from cmbench.tests.faults.disk import fill_disk
from cmbench.tests.faults.flip import flip_run, flip_training
from cmbench.tests.faults.fuzz import fuzz
from cmbench.tests.faults.kill import kill_runs
from cmbench.tests.faults.setting import Figures, contents, corpus, evaluate
from cmbench.tests.faults.sockets import count_sockets

UPGRADE = Path(__file__).parents[1] / "upgrade" / "v0.1.0"
HASHED = pytest.mark.skipif(SCHEMA_VERSION == "1.1", reason="records before schema 1.2 carry no hash of themselves")


def require_sound(figures: Figures) -> None:
    print(figures)
    assert figures.sound, [*figures.wrong, *figures.tracebacks]


@HASHED
def test_no_flipped_bit_is_used_without_a_word(tmp_path: Path) -> None:
    require_sound(flip_run(tmp_path, 12, seed=1))


def test_no_flipped_bit_of_a_training_run_is_used(tmp_path: Path, training: Path) -> None:
    figures = flip_training(training, lambda: require_whole(training), 120, seed=2)
    require_sound(figures)
    assert figures.told == figures.cases


def test_killed_runs_end_as_if_nothing_was(tmp_path: Path) -> None:
    require_sound(kill_runs(tmp_path, 2, seed=3))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    figures = fill_disk(tmp_path, 2, seed=4)
    require_sound(figures)
    assert figures.told == figures.cases


def test_no_socket_is_opened(tmp_path: Path) -> None:
    require_sound(count_sockets(tmp_path))


def test_whatever_is_handed_in_is_read_or_refused(tmp_path: Path) -> None:
    corpus(tmp_path)
    evaluate(tmp_path)
    (record,) = (content for name, content in contents(tmp_path / "out").items() if name.endswith(".json"))
    require_sound(fuzz(tmp_path, record, 1_600, seed=5))


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """What a run left, as this version leaves it."""
    return training_of(tmp_path)


def training_of(folder: Path) -> Path:
    from cmbench.tests.faults.training import as_written_now

    shutil.copytree(UPGRADE / "halfway" / TRAINING, folder / TRAINING)
    return as_written_now(folder / TRAINING)
