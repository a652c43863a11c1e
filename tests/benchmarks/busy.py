"""How busy decoding keeps an encoder, and what threads and processes decode: run on a machine that does nothing else.

    python -m cmbench.tests.benchmarks.busy FOLDER [--models random-mert-nano,random-mert-95m] [--files 32]

Files are 30 s of noise in stereo at 44.1 kHz, as FLAC and as mp3. An encoder is busy when it does not wait for windows:
the share is the encoder's seconds of all that bringing the features into a store takes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

SECONDS = 30


def files(folder: Path, count: int, ending: str) -> list[Path]:
    """Write files of noise that a lossy encoder can follow."""
    import numpy as np
    import scipy.signal
    import soundfile

    made = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        white = np.random.default_rng(number).normal(size=(44_100 * SECONDS, 2))
        walk = np.asarray(scipy.signal.lfilter([1.0], [1.0, -0.95], white, axis=0))
        made.append(folder / f"{number:03d}.{ending}")
        soundfile.write(made[-1], 0.3 * walk / np.abs(walk).max(), 44_100)
    return made


def decode(rate: int, path: Path) -> int:
    """Decode a file into windows; return how many."""
    from cmbench.benchmark.features.windows import read_windows
    from cmbench.benchmark.protocol import get_protocol

    windowing = get_protocol("cmbench-1").windowing
    return len(read_windows(path, 0.0, None, None, rate, windowing, 0.1).windows)


def decoding(pool: Executor, paths: Sequence[Path]) -> float:
    """Return how many times real time a pool decodes, its start left out."""
    list(pool.map(partial(decode, 24_000), paths[:4]))
    started = time.perf_counter()
    list(pool.map(partial(decode, 24_000), paths))
    return SECONDS * len(paths) / (time.perf_counter() - started)


def busy(model: str, paths: Sequence[Path], folder: Path, workers: int) -> tuple[float, float]:
    """Return the share of the time that an encoder is busy, and how many times real time the whole is."""
    from cmbench.baselines.base import LoadOptions
    from cmbench.baselines.registry import load_encoder
    from cmbench.benchmark.features.extract import BatchSize, Extraction, Shard, StoredShard, encode_shards, extract
    from cmbench.benchmark.features.store import FeatureStore
    from cmbench.benchmark.protocol import get_protocol
    from cmbench.tasks.base import Track

    encoder = load_encoder(model, LoadOptions("cpu", offline=True))
    shutil.rmtree(folder, ignore_errors=True)
    store = FeatureStore(folder, encoder.card.layers, encoder.card.dim)
    tracks = [Track(path.stem, path, ()) for path in paths]
    windowing = get_protocol("cmbench-1").windowing
    how = Extraction(store, windowing, None, workers)

    def encode(shards: Sequence[Shard]) -> Iterator[StoredShard]:
        return encode_shards(encoder, shards, how, BatchSize(30.0), nullcontext())

    started = time.perf_counter()
    entries, _ = extract(tracks, how, encode, lambda _: None)
    passed = time.perf_counter() - started
    pieces = {e.piece.path: e.piece for e in entries.values()}
    return sum(p.encode_seconds for p in pieces.values()) / passed, SECONDS * len(paths) / passed


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="random-mert-nano,random-mert-95m")
    parser.add_argument("--files", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(words)
    for ending in ("flac", "mp3"):
        paths = files(asked.folder / ending, asked.files, ending)
        for name, kind in (("threads", ThreadPoolExecutor), ("processes", ProcessPoolExecutor)):
            with kind(asked.workers) as pool:
                print(
                    f"{ending}: {asked.workers} {name} decode {decoding(pool, paths):.0f} times real time", flush=True
                )
        for model in asked.models.split(","):
            some = paths[: 8 if "95m" in model else None]
            share, speed = busy(model, some, asked.folder / "store", asked.workers)
            print(f"{ending}: {model} is busy for {share:.0%}; the whole at {speed:.1f} times real time", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
