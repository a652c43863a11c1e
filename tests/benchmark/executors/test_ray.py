"""A Ray cluster: the record of one process, whoever dies or comes meanwhile, and nothing left after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cmbench
from cmbench.benchmark import run as run_module
from cmbench.benchmark.features import extract as extract_module
from cmbench.benchmark.features.extract import Extracted
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.record import Record
from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.base import Task
from cmbench.tests.benchmark.test_run import QUICK
from cmbench.tests.conftest import MakeTask
from cmbench.tests.faults.setting import corpus

ray = pytest.importorskip("ray", reason="the executor ray needs cmbench[cluster]")

pytestmark = pytest.mark.timeout(900)

SECONDS = 400.0
"""What is never waited for where all is well."""

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Bits are those of a number of threads."""

SHARD = 6
"""Tracks of one, each of one window."""

BeforeBatch = Callable[[Path], None]


def counting_mert(folder: Path, before: BeforeBatch) -> Any:
    """Return a small MERT that notes what it encodes, a line a batch, in a file of its process and node.

    Its class is of no module, so that it travels whole.
    """
    from cmbench.baselines.base import LoadOptions
    from cmbench.baselines.registry import load_encoder

    class CountingMert:
        def __init__(self) -> None:
            self.inner = load_encoder("random-mert-nano", LoadOptions("cpu", offline=True))
            self.card = replace(self.inner.card, name="counting-mert")
            self.driver = os.getpid()

        def encode(self, audio: Any) -> Any:
            if os.getpid() != self.driver:
                import ray

                note = folder / f"{os.getpid()}-{ray.get_runtime_context().get_node_id()}"
                with note.open("a") as file:
                    file.write(f"{len(audio)}\n")
                before(note)
            return self.inner.encode(audio)

    return CountingMert()


def noted(folder: Path) -> dict[str, int]:
    """Windows encoded by every process and node."""
    return {note.name: sum(map(int, note.read_text().split())) for note in folder.iterdir()}


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    for name, value in THREADS.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield cluster
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


Go = Callable[..., Record]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Run an encoder on a task: small shards and one window a batch, so that a shard takes several."""
    import torch

    monkeypatch.setattr(extract_module, "SHARD_TRACKS", SHARD)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    def run(encoder: Any, task: Task, name: str, **options: Any) -> Record:
        monkeypatch.setattr(run_module, "select_tasks", lambda _: (task,))
        monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / f"cache {name}"))
        given: dict[str, Any] = {"protocol": QUICK, "out": tmp_path / name, "batch_seconds": 1.0, "device": "cpu"}
        (record,) = cmbench.run(encoder, "tones", **(given | options))
        return record

    return run


def nothing(note: Path) -> None:
    """Let a batch go on."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}


def windows_of(record: Record) -> int:
    return round(sum(record.task.tracks.values()))


@pytest.mark.slow  # a minute and a half on two cores: `make test-slow`
def test_a_killed_worker_costs_its_shard_and_the_record_is_that_of_one_process(
    cluster: Any, go: Go, make_task: MakeTask, tmp_path: Path
) -> None:
    notes, marks = tmp_path / "notes", tmp_path / "marks"
    notes.mkdir()
    marks.mkdir()

    def wait_to_be_killed(note: Path) -> None:
        first = not (marks / "first").exists() or (marks / "first").read_text() == note.name
        if first:
            (marks / "first").write_text(note.name)
            if len(note.read_text().split()) == 3:
                (marks / "ready").touch()
                time.sleep(SECONDS)

    def kill() -> None:
        until((marks / "ready").exists)
        os.kill(int((marks / "first").read_text().split("-")[0]), signal.SIGKILL)

    task = make_task()
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    there = go(counting_mert(notes, wait_to_be_killed), task, "ray", executor="ray", ray_address=cluster.address)
    killer.join()
    here = go(counting_mert(notes, nothing), task, "local", workers=1)
    assert there.stable_json() == here.stable_json()
    same = {"created"}
    assert there.environment.model_dump(exclude=same) == here.environment.model_dump(exclude=same)
    assert files(tmp_path / "cache ray") == files(tmp_path / "cache local")
    assert files(tmp_path / "ray") == files(tmp_path / "local"), "the heads are the same"
    by_worker = noted(notes)
    dead = by_worker.pop((marks / "first").read_text())
    assert dead == 3, "it was killed in mid-shard"
    assert sum(by_worker.values()) == windows_of(here), "what it had begun is encoded again, and nothing else"


@pytest.mark.slow
def test_a_node_that_comes_meanwhile_is_used(cluster: Any, go: Go, make_task: MakeTask, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()

    def wait_for_another(note: Path) -> None:
        if len(note.read_text().split()) > SHARD:
            until(lambda: len(list(note.parent.iterdir())) > 1)

    class Adding(Observer):
        def extracting(self, model: str, task: str, state: Extracted) -> None:
            if state.tracks == SHARD:
                cluster.add_node(num_cpus=1)

    joined = {"executor": "ray", "ray_address": cluster.address}
    record = go(counting_mert(notes, wait_for_another), make_task(), "ray", observer=Adding(), **joined)
    by_worker = noted(notes)
    assert len({name.split("-")[1] for name in by_worker}) == 2
    assert sum(by_worker.values()) == windows_of(record)


@pytest.mark.slow  # half a minute on two cores: `make test-slow`
def test_errors_for_people_come_through_and_too_large_a_worker_is_refused(
    cluster: Any, go: Go, make_task: MakeTask, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()

    def break_down(note: Path) -> None:
        raise CmbenchError("Model x returned nonsense.")

    joined = {"executor": "ray", "ray_address": cluster.address}
    with pytest.raises(CmbenchError, match=r"^Model x returned nonsense\.$"):
        go(counting_mert(notes, break_down), make_task(), "ray", **joined)
    assert not ray.is_initialized(), "what joined the cluster leaves it"
    with pytest.raises(UsageError, match="the largest has 1 and 0"):
        go(counting_mert(notes, nothing), make_task(), "ray", cpus_per_worker=2, **joined)


INTERRUPTED = """
import sys, time
from pathlib import Path
import cmbench
from cmbench.benchmark.features import extract
from cmbench.tests.benchmark.executors.test_ray import counting_mert
from cmbench.tests.faults.setting import QUICK
extract.SHARD_TRACKS = 2
folder = Path(sys.argv[1])
seconds = float(sys.argv[2])
encoder = counting_mert(folder / "notes", lambda note: time.sleep(seconds))
(record,) = cmbench.run(encoder, str(folder / "task.yaml"), protocol=QUICK, out=folder / "out", device="cpu",
                        executor=sys.argv[3], cpus_per_worker=1)
print(record.coverage.used)
"""


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_what_is_stored(tmp_path: Path, own_cache: Path) -> None:
    corpus(tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", INTERRUPTED, str(tmp_path), *words]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)

    work = start("1", "ray")
    until(lambda: len(list(own_cache.rglob("*.index.json"))) > 1 or work.poll() is not None)
    assert work.poll() is None, work.communicate()[1]
    os.killpg(work.pid, signal.SIGINT)
    _, said = work.communicate(timeout=SECONDS)
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    until(lambda: not any(Path("/proc", name.split("-")[0]).exists() for name in noted(notes)))
    whole = len(list(own_cache.rglob("*.index.json")))
    assert whole > 1
    again = start("0", "local")
    _, said = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, said
    assert len(list(own_cache.rglob("*.index.json"))) == 6 > whole


def test_there_is_no_such_cluster(go: Go, make_task: MakeTask, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No Ray cluster answers at 127\.0\.0\.1:1:"):
        go(counting_mert(tmp_path, nothing), make_task(), "ray", executor="ray", ray_address="127.0.0.1:1")
