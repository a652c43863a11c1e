"""What 10^2 to 10^6 clips cost: opening a store, listing it, seeing that a run is done, and what else reads all clips.

    python -m cmbench.tests.benchmarks.clips FOLDER [--most 1000000] [--write]

Clips are hard links of a few files of 0.1 s in FOLDER, on a file system that knows them; their features are made up for
an encoder that is never called. Every step runs in a process of its own, and its CPU seconds and peak memory are taken.
``--write`` writes the table and the picture of docs/performance.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "performance.md"
PICTURE = PAGE.parent / "figures" / "clips.svg"
BEGIN, END = "<!-- written by `tests/benchmarks/clips.py --write` -->\n", "<!-- end of the table of clips -->\n"

LINKS = 30_000
"""Names of one file; ext4 allows 65,000."""
SHARD = 64
TEST = 500
"""Clips of the test split at most: what is scored is not what is measured here."""

STEPS = {
    "ls again": "`cache ls`, nothing changed",
    "ls": "`cache ls` after a run",
    "seen": "a cell is seen to be done, its clips listed",
    "load": "reading a list of clips as a corpus of one's own",
    "run": "`cmbench run` of that corpus, all done",
    "open": "the store's entries are checked",
    "take": "and 1,000 windows read from it",
    "verify": "`cache verify`",
}


def audio_files(folder: Path, clips: int) -> list[Path]:
    """Make a clip's files, as hard links of one for every :data:`LINKS`."""
    import numpy as np
    import soundfile

    made = []
    for number in range(clips):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        if number % LINKS == 0:
            soundfile.write(path, np.random.default_rng(number).normal(size=800).astype("float32") * 0.1, 8000)
            first = path
        else:
            os.link(first, path)
        made.append(path)
    return made


def corpus(folder: Path, clips: int) -> Path:
    """Write the list and the description of a task of so many clips; return the description."""
    paths = audio_files(folder / "audio", clips)
    held = max(4, min(TEST, clips // 5))
    with (folder / "tracks.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "path", "labels", "split"])
        for number, path in enumerate(paths):
            split = "test" if number < held else "valid" if number < 2 * held else "train"
            table.writerow([f"{number:07d}", path.relative_to(folder), "ab"[number % 2], split])
    (folder / "task.yaml").write_text("name: clips\ntitle: Clips\ntracks: tracks.csv\nlabels: [a, b]\n")
    return folder / "task.yaml"


def store(clips: int, description: Path) -> None:
    """Write made-up features of every clip for the encoder ``constant``, and the record of a run that used them.

    The record's probe sees the first 1,000 clips of a split: training is not what is measured here.
    """
    import numpy as np

    import cmbench
    from cmbench.baselines.base import LoadOptions
    from cmbench.benchmark import cell, judge
    from cmbench.benchmark.features.store import FeatureStore, ShardTrack, shard_name
    from cmbench.benchmark.features.stored import StoredTrack
    from cmbench.benchmark.models import Encoders
    from cmbench.benchmark.probing.search import ProbeSplit
    from cmbench.benchmark.protocol import DEFAULT_PROTOCOL, get_protocol
    from cmbench.files import file_sha256, file_version
    from cmbench.tasks.base import LoadContext, TaskData, Track

    data = cmbench.get_task(str(description)).load("custom", LoadContext(None, Path()))
    encoders = Encoders(LoadOptions("cpu", offline=True))
    card = encoders.card(encoders.add("constant"))
    windowing = get_protocol(DEFAULT_PROTOCOL).windowing.of(card.max_seconds)
    folder: FeatureStore = cell.open_store(card, data, windowing)
    folder.describe(card, data.task, data.edition, windowing)
    tracks = sorted((t for split in data.splits.values() for t in split), key=lambda t: t.id)
    features = np.ones((SHARD, card.layers, card.dim), np.float16)
    hashes: dict[int, str] = {}
    for first in range(0, clips, SHARD):
        part, stored = tracks[first : first + SHARD], []
        for row, track in enumerate(part):
            version = file_version(track.path)
            assert version is not None
            digest = hashes.get(version[2]) or hashes.setdefault(version[2], file_sha256(track.path))
            where = str(track.path.resolve())
            stored.append(StoredTrack(track.id, where, track.start, track.end, version, digest, (row, row + 1), 0.1))
        folder.write(shard_name(part), features[: len(part)], stored, 1.0)
    plain = judge.probe_split

    def some(
        data: TaskData, split: str, store: FeatureStore, entries: Mapping[str, ShardTrack]
    ) -> tuple[list[Track], ProbeSplit]:
        few = {name: tracks[:1000] for name, tracks in data.splits.items()}
        return plain(replace(data, splits=few), split, store, entries)

    judge.probe_split = some
    cmbench.run("constant", str(description), out=description.parent / "out", seeds=1, workers=1)


def step(name: str, description: Path) -> dict[str, float]:
    """Take one step, and return its CPU and wall seconds and the peak memory of the process, MiB."""
    import numpy as np

    import cmbench
    from cmbench.baselines.base import LoadOptions
    from cmbench.benchmark.cell import begin_cell
    from cmbench.benchmark.executors.base import WorkerSettings
    from cmbench.benchmark.executors.local import Local
    from cmbench.benchmark.features import upkeep
    from cmbench.benchmark.features.store import FeatureStore
    from cmbench.benchmark.models import Encoders
    from cmbench.benchmark.observer import Observer
    from cmbench.benchmark.protocol import DEFAULT_PROTOCOL, get_protocol
    from cmbench.benchmark.records.record import Record
    from cmbench.paths import cache_root
    from cmbench.tasks.base import LoadContext, TaskData

    def load() -> TaskData:
        return cmbench.get_task(str(description)).load("custom", LoadContext(None, Path()))

    out, data = description.parent / "out", load() if name in ("open", "take", "seen") else None
    tracks = [t for split in data.splits.values() for t in split] if data else []
    encoders = Encoders(LoadOptions("cpu", offline=True))

    def seen() -> None:
        assert data is not None
        told: list[bool] = []

        class Watch(Observer):
            def finished(self, record: Record, was_there: bool) -> None:
                told.append(was_there)

        protocol, name = get_protocol(DEFAULT_PROTOCOL, 1), encoders.add("constant")
        with Local(encoders, WorkerSettings(threads=1)) as executor:
            begin_cell(encoders, name, data, protocol, Watch(), executor, out=out, force=False)()
        assert told == [True]

    (folder,) = upkeep.store_folders(cache_root())
    facts = json.loads((folder / "about.json").read_bytes())["encoder"]
    shards = FeatureStore(folder, facts["layers"], facts["dim"])
    entries = shards.valid_entries(tracks, sound=False) if name == "take" else {}
    if name == "ls":
        (folder / "new.lock").touch()
        (folder / "new.lock").unlink()

    def take() -> None:
        view = shards.view(list(entries.values()))
        view.take(np.random.default_rng(0).integers(0, len(entries), 1000))

    steps: dict[str, Callable[[], object]] = {
        "ls": lambda: upkeep.list_stores(cache_root()),
        "ls again": lambda: upkeep.list_stores(cache_root()),
        "seen": seen,
        "run": lambda: cmbench.run("constant", str(description), out=out, seeds=1, workers=1),
        "load": load,
        "open": lambda: shards.valid_entries(tracks, sound=False),
        "take": take,
        "verify": lambda: upkeep.verify_store(folder),
    }
    cpu, wall = time.process_time(), time.perf_counter()
    steps[name]()
    spent, passed = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": spent, "wall": passed, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_a_process(words: Sequence[str], cache: Path) -> str:
    """Run this file's own step in a process of its own, with the cache at a place."""
    command = [sys.executable, "-W", "error", "-m", "cmbench.tests.benchmarks.clips", *words]
    environment = {**os.environ, "CMBENCH_CACHE": str(cache)}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(folder: Path, sizes: Sequence[int]) -> dict[int, dict[str, dict[str, float]]]:
    """Measure every step at every size; what was made for a size before is used again."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for clips in sizes:
        here = folder / str(clips)
        if not (here / "out").is_dir():
            shutil.rmtree(here, ignore_errors=True)
            in_a_process(["store", str(clips), str(corpus(here, clips))], here / "cache")
            in_a_process(["step", "open", str(here / "task.yaml")], here / "cache")
            in_a_process(["step", "ls", str(here / "task.yaml")], here / "cache")
        time.sleep(3)  # a folder that has just changed is not believed
        in_a_process(["step", "ls again", str(here / "task.yaml")], here / "cache")
        found[clips] = {
            name: json.loads(in_a_process(["step", name, str(here / "task.yaml")], here / "cache")) for name in STEPS
        }
        print(clips, json.dumps(found[clips]), flush=True)
    return found


def exponent(found: Mapping[int, Mapping[str, Mapping[str, float]]], name: str) -> float:
    """Return by which power of the number of clips the CPU seconds of a step grow at the end."""
    (few, less), (many, more) = list(found.items())[-2:]
    return math.log(max(more[name]["cpu"], 1e-4) / max(less[name]["cpu"], 1e-4)) / math.log(many / few)


def table(found: Mapping[int, Mapping[str, Mapping[str, float]]]) -> str:
    """Return the table of the docs."""
    sizes = list(found)
    lines = [
        f"| CPU seconds | {' | '.join(f'{n:,}' for n in sizes)} | exponent | peak memory, MiB |",
        f"|---|{'---:|' * (len(sizes) + 2)}",
    ]
    for name, title in STEPS.items():
        seconds = " | ".join(f"{found[n][name]['cpu']:.2g}" for n in sizes)
        lines.append(f"| {title} | {seconds} | {exponent(found, name):.2f} | {found[sizes[-1]][name]['mib']:.0f} |")
    return "\n".join(lines) + "\n"


def draw(found: Mapping[int, Mapping[str, Mapping[str, float]]]) -> None:
    """Draw the CPU seconds of every step against the number of clips."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "clips", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        for (name, title), marker in zip(STEPS.items(), "osD^vP*X", strict=False):
            axes.loglog(list(found), [max(f[name]["cpu"], 1e-4) for f in found.values()], marker=marker, label=title)
        axes.axhline(10.0, color="0.6", linestyle=":", linewidth=1)
        axes.set_xlabel("clips")
        axes.set_ylabel("CPU seconds of one process")
        axes.legend(fontsize="small", frameon=False)
        figure.savefig(PICTURE, format="svg", metadata={"Date": None, "Title": "What a number of clips costs"})


def main(words: Sequence[str]) -> None:
    """Measure, and with ``--write`` write the docs."""
    if words and words[0] == "store":
        store(int(words[1]), Path(words[2]))
    elif words and words[0] == "step":
        print(json.dumps(step(words[1], Path(words[2]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("folder", type=Path)
        parser.add_argument("--most", type=int, default=10**6)
        parser.add_argument("--write", action="store_true")
        asked = parser.parse_args(words)
        found = measure(asked.folder, [n for n in (10**2, 10**3, 10**4, 10**5, 10**6) if n <= asked.most])
        print(table(found))
        if asked.write:
            before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
            PAGE.write_text(before + BEGIN + table(found) + END + rest.split(END)[1], encoding="utf-8")
            draw(found)


if __name__ == "__main__":
    main(sys.argv[1:])
