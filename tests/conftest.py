"""Things that several tests need: a small corpus on disk, an encoder that needs no weights, a cache of their own."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from cmbench.baselines.base import EncoderCard
from cmbench.benchmark.features.extract import (
    BatchSize,
    Extracted,
    Extraction,
    Shard,
    StoredShard,
    encode_shards,
    extract,
)
from cmbench.benchmark.features.store import ShardTrack
from cmbench.tasks.base import Edition, LoadContext, Splits, Task, Track

# As in a run: torch's threads must not spin while they wait. Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Dozens of tests start Python anew: where what was compiled may not be kept, each of them would compile torch again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What was imported is no garbage: to search it again and again took an eighth of the time of tests of views.
gc.set_threshold(20_000)

# A busy machine is slow, and no failure of what is tested.
settings.register_profile("cmbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cmbench")

# What is printed must not depend on who runs the tests: parallel workers state a width.
os.environ.pop("COLUMNS", None)

# Files that take more than half a minute on two cores, longest first.
LONG = (
    "rehearsal/test_story",
    "commands/test_run",
    "house/test_contributing",
    "views/test_scope",
    "pretraining/test_pretrain",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let every process of several compute in one thread: together they have the cores busy, and threads only wait."""
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first, so that none of them is alone at the end."""

    def place(item: pytest.Item) -> int:
        path = item.path.with_suffix("").as_posix()
        return next((n for n, name in enumerate(LONG) if path.endswith(name)), len(LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Search what is here by now for garbage no more."""
    gc.collect()
    gc.freeze()


LABELS = ("instrument--low", "instrument--high", "usul--slow")


@dataclass
class CountingEncoder:
    """Two hidden states of three numbers, the first telling and the second useless; counts what it encodes."""

    name: str = "counting"
    weights: str = "0" * 64
    constant: bool = False
    broken: float | None = None
    encoded: int = 0
    stop_after: int | None = None
    batches: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def card(self) -> EncoderCard:
        return EncoderCard(
            name=self.name,
            family="test",
            sample_rate=8000,
            layers=2,
            dim=3,
            layer_names=("a", "b"),
            min_seconds=0.05,
            parameters=0,
            licence="none",
            trained_on=(),
            weights_sha256=self.weights,
            code_version="1",
            preprocessing="none",
            constant=self.constant,
        )

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.stop_after is not None and self.encoded + len(audio) > self.stop_after:
            raise KeyboardInterrupt
        self.encoded += len(audio)
        self.batches.append(audio.shape)
        crossings = (np.diff(np.signbit(audio), axis=1)).mean(axis=1)
        energy = np.abs(audio).mean(axis=1)
        informative = np.stack([crossings, energy, crossings * energy], axis=1)
        useless = np.round(audio[:, :3] * 32768) % 16  # the noise in the last bits
        features = np.stack([informative, useless], axis=1).astype(np.float32)
        if self.broken is not None:
            features[-1] = self.broken
        return np.zeros_like(features) if self.constant else features


def write_tone(path: Path, frequency: float, seconds: float, seed: int, rate: int = 8000) -> None:
    """Write a noisy sine."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * frequency * t) + 0.02 * rng.standard_normal(len(t))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave.astype(np.float32), rate, subtype="PCM_16")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's cache, data and models."""
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CMBENCH_DATA", raising=False)
    monkeypatch.delenv("CMBENCH_MODELS", raising=False)
    return tmp_path / "cache"


MakeTask = Callable[..., Task]


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Return a function that writes a tiny corpus of tones and returns its task."""

    def make(
        name: str = "tones",
        sizes: Sequence[int] = (16, 8, 12),
        seconds: float = 1.0,
        extra: Sequence[Track] = (),
        cap: float | None = None,
    ) -> Task:
        folder = tmp_path / name
        splits: dict[str, list[Track]] = {}
        for split, size in zip(("train", "valid", "test"), sizes, strict=True):
            splits[split] = []
            for i in range(size):
                high, slow = i % 2 == 0, i % 4 < 2
                labels = (LABELS[1] if high else LABELS[0],) + ((LABELS[2],) if slow else ())
                path = folder / f"{split}-{i:02d}.wav"
                if not path.exists():
                    write_tone(path, (1500 if high else 300) + 10 * i, seconds + 0.1 * (i % 3), seed=i)
                splits[split].append(Track(f"{split}-{i:02d}", path, labels, group=f"{split}-{i // 3}"))
        splits["train"].extend(extra)

        def load(task: Task, context: LoadContext) -> Splits:
            return splits

        return Task(
            name=name,
            title="Tones",
            tradition="western",
            description="High and low tones.",
            labels=LABELS,
            families={label: label.split("--")[0] for label in LABELS},
            licence="CC0-1.0",
            citation="none",
            access="made by the test",
            editions={"custom": Edition("custom", LABELS, load)},
            max_track_seconds=cap,
        )

    return make


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams, their white space made single."""
        return " ".join(f"{self.out} {self.err}".split())


Cmbench = Callable[..., Said]


@pytest.fixture
def cmbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cmbench:
    """Runs a command in this process, as the program's own entry does, on a screen that wraps nothing."""
    from cmbench import cli

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")

    def run(*words: object, code: int = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["cmbench", *map(str, words)])
        capsys.readouterr()
        try:
            cli.main()
            ended = 0
        except SystemExit as stop:
            ended = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        said = Said(ended, *capsys.readouterr())
        assert said.code == code, (words, said.code, said.out[-3000:], said.err[-3000:])
        return said

    return run


Serve = Callable[[Path], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a folder over HTTP for the length of the test and returns its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    listening: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        listening.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in listening:
        server.shutdown()
        server.server_close()


@pytest.fixture
def encoder() -> CountingEncoder:
    """An encoder that counts what it encodes."""
    return CountingEncoder()


@pytest.fixture
def make_encoder() -> type[CountingEncoder]:
    """The class of the counting encoder, for tests that need several or odd ones."""
    return CountingEncoder


def store_features(
    encoder: Any,
    tracks: Sequence[Track],
    how: Extraction,
    batch_seconds: float = 30.0,
    told: list[Extracted] | None = None,
) -> dict[str, ShardTrack]:
    """Bring the features of some tracks into a store, here and now."""
    batch = BatchSize(batch_seconds)

    def encode(shards: Sequence[Shard]) -> Iterator[StoredShard]:
        return encode_shards(encoder, shards, how, batch, nullcontext())

    return extract(tracks, how, encode, ([] if told is None else told).append)[0]
