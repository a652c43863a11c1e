"""Does this tree give the same bytes as another revision? A script for changes that may move code and nothing else.

``python tests/house/same_bytes.py REV`` runs the same commands with REV and with this tree, one after the other, in a
folder of the same name with an empty cache, and compares all that they write and print. Nothing is installed: each tree
is put on ``PYTHONPATH`` as ``cmbench``. Only the command line and the public API are used, so that files may move.
Left out of the comparison are times, memory, machine and moment (:data:`TIMES`) and what is made of them
(:data:`NOT_COMPARED`); the exit code is 1 if anything else differs.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]

TIMES = frozenset({"environment", "cost", "encode_seconds", "stat", "seconds_per_step", "time", "content_sha256"})
"""Keys of JSON objects that may differ between two runs of one tree."""

NOT_COMPARED = ("results/*/report.html", "*.pt", "*.lock", "*/training/log.jsonl")
"""Files that show such values: the page of a run with its cost, checkpoints, locks, the log of a training.

The page is compared as made from records that are committed."""

SPEED = re.compile(rb"[\d.]+ s, \S+ times real time|Peak memory of this process: .*")
"""The same in what is printed."""

FIXED = ("mfcc/1", "chroma/1", "random-mert-nano/1", "MERT-nano/2", "CultureMERT-nano/2")
"""Entries whose records stand for the fixed ones."""


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: of the file that its output goes to.
        words: arguments of ``python``.
        code: the exit code that it must have in both trees.
    """

    name: str
    words: tuple[str, ...]
    code: int = 0


def command(name: str, words: str, code: int = 0) -> Step:
    """Return a step of the command line; its arguments hold no spaces."""
    return Step(name, ("-m", "cmbench", *words.split()), code)


HELP = """
import contextlib, io, runpy, sys
import typer

class Caught(BaseException): pass

def catch(app, *args, **options):
    caught.append(app)
    raise Caught

caught, typer.Typer.__call__ = [], catch
with contextlib.suppress(Caught):
    runpy.run_module("cmbench", run_name="__main__")
root = typer.main.get_command(caught[0])

def show(command, path):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        root.main([*path, "--help"], prog_name="cmbench", standalone_mode=False)
    print("=====", *path, text.getvalue(), sep="\\n")
    for name, child in getattr(command, "commands", {}).items():
        show(child, [*path, name])

show(root, [])
"""
"""Prints the help of every command: the program is caught where ``python -m cmbench`` starts it."""

API = """
import cmbench
print(sorted(cmbench.__all__), dir(cmbench), cmbench.__version__)
print(cmbench.load_records("fixed").to_csv(index=False))
print(cmbench.load_model("MERT-nano").card, cmbench.load_model("mfcc").card.fingerprint)
print(cmbench.get_task("lyra").labels, cmbench.get_task("corpus/task.yaml").labels)
record = cmbench.run("mfcc", "corpus/task.yaml", out="results/corpus")[0]
print(type(record) is cmbench.Record, record.metrics, record.selection)
"""

PRETRAIN = (
    "pretrain mert-nano batch.crops=2 batch.together=2 batch.seconds=0.9 mixture.samples=[2000,4000] "
    "held_out.tracks=1 held_out.crops=1 "
    "targets.codebook_size=4 stages.only.steps=4 stages.only.hours.western=0.002 "
    "targets.hours.greek=0 targets.hours.turkish=0 targets.hours.hindustani=0 targets.hours.carnatic=0 "
    "targets.hours.western=0 sources.western=[folder:corpus] sources.greek=[] sources.turkish=[] "
    "sources.hindustani=[] sources.carnatic=[] "
)

STAGES: tuple[tuple[Step, ...], ...] = (
    (
        command("run-mini", "run -m mfcc,chroma,MERT-nano -t turkish_makam,lyra --edition mini --mini-scale 0.1 "
                "--out results/mini"),
        command("run-corpus", "run -m mfcc,chroma,MERT-nano -t corpus/task.yaml --out results/corpus"),
        command("html", "report html fixed --out page.html --figures figures --reported --resamples 200"),
        command("board", "leaderboard build --out site"),
        Step("help", ("-c", HELP)),
        command("help-root", "--help"),
        command("version", "--version"),
        command("schema", "schema"),
        command("tasks", "tasks"),
        *(command(f"tasks-show-{name}", f"tasks show {name}") for name in (
            "lyra", "turkish_makam", "hindustani", "carnatic", "fma_medium", "magnatagatune", "corpus/task.yaml")),
        command("models", "models"),
        *(command(f"models-show-{name}", f"models show {name}") for name in ("mfcc", "random-mert-nano", "MERT-nano")),
        command("models-prepare", "models prepare"),
        command("models-check", "models check mfcc"),
        command("report-layers", "report layers fixed --out views/layers"),
        command("report-labels", "report labels fixed --out views/labels"),
        command("report-families", "report families fixed --out views/families"),
        command("report-calibration", "report calibration fixed --resamples 200 --out views/calibration"),
        command("report-cost", "report cost fixed --out views/cost"),
        command("report-transfer", "report transfer fixed --base MERT-nano --resamples 200 --out views/transfer"),
        command("report-transfer-reported", "report transfer --reported --out views/reported"),
        command("report-forgetting", "report forgetting --before fixed/MERT-nano --after fixed/CultureMERT-nano "
                "--after fixed/random-mert-nano --resamples 200 --out views/forgetting"),
        command("report-reported", "report reported"),
        command("compare", "compare fixed/mfcc fixed/chroma fixed/MERT-nano --resamples 200 --out views/compare"),
        *(command(f"export-{form}", f"export results fixed --format {form} --out exports/{form}.txt")
          for form in ("latex", "csv", "markdown")),
        command("export-eee", "export results fixed --format eee --out exports/eee"),
        command("export-eval-results", "export results fixed --format eval-results --out exports/eval --dataset a/b"),
        command("export-hf", "export hf random-mert-nano --out exported --scores fixed/random-mert-nano"),
        command("merge", "merge --base MERT-nano --add GreekMERT-nano --add TurkishMERT-nano --out merged"),
        command("merge-ties", "merge -b MERT-nano -a GreekMERT-nano -a TurkishMERT-nano --method ties --out ties"),
        command("listen", "mini listen --tasks turkish,lyra --tracks 1 --out listen.html"),
        command("leaderboard-compare", "leaderboard compare mfcc/1 chroma/1"),
        command("pretrain-list", "pretrain"),
        command("pretrain", PRETRAIN + "--out pretrained --device cpu"),
        command("wrong-task", "run -m mfcc -t lira", 2),
        command("wrong-model", "run -m mfc -t lyra", 2),
        command("missing", "run -m mfcc,CultureMERT-95M -t all --offline --data-root given", 2),
        command("no-records", "report layers given", 2),
    ),
    (
        command("run-marble", "run -m mfcc -t lyra --edition mini --mini-scale 0.1 --protocol marble-1 "
                "--out results/marble"),
        command("run-safe", "run -m chroma -t corpus/task.yaml --split group-safe --out results/safe"),
        command("similarity", "report similarity --model mfcc,MERT-nano --edition mini "
                "--tasks turkish_makam,lyra --mini-scale 0.1 --out views/similarity"),
        command("tokens", "report similarity --tokens stand-in --codebook-size 16 --tasks turkish_makam,lyra "
                "--edition mini --mini-scale 0.1 --out views/tokens"),
        command("audit", "tasks audit corpus/task.yaml --out audit.json"),
        command("verify", "tasks verify corpus/task.yaml --json verify.json", 1),
        command("cache-verify", "cache verify"),
        command("submit", "submit fixed/mfcc --model-card card.md --contact me --licence MIT --parameters 0 "
                "--trained-on none --contamination none --name again --entries own"),
        Step("api", ("-c", API)),
    ),
    (command("leaderboard-verify", "leaderboard verify own --json verification.json"),),
)  # fmt: skip


def write_corpus(folder: Path) -> Path:
    """Write a small corpus, with an excerpt and a broken file among its tracks; return its ``task.yaml``."""
    (folder / "audio").mkdir(parents=True)
    rows = ["id,path,split,group,labels,start,end"]
    for split, size in (("train", 24), ("valid", 8), ("test", 16)):
        for i in range(size):
            # Whole numbers alone: the same bytes on every processor.
            t, slow = np.arange(16_000 + 1600 * (i % 3)), i % 4 < 2
            tone = 1 - 2 * (t * 2 * ((880 if i % 2 else 220) + 8 * i) // 16_000 % 2)
            loud = 2000 + 6000 * (t // (8000 if slow else 700) % 2)
            noise = np.random.default_rng([size, i]).integers(-1500, 1500, len(t))
            name = f"{split}-{i:02d}"
            path = folder / "audio" / f"{name}.wav"
            soundfile.write(path, (tone * loud + noise).astype(np.int16), 16_000, subtype="PCM_16")
            labels = ["makam--high" if i % 2 else "makam--low"] + ["usul--slow"] * slow
            stretch = ",0.1,0.9" if i == 3 else ",,"
            rows.append(f"{name},audio/{name}.wav,{split},{split}-{i // 2},{'|'.join(labels)}{stretch}")
    (folder / "audio" / "train-05.wav").write_bytes(b"")
    (folder / "tracks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    task = folder / "task.yaml"
    task.write_text(
        "name: house\ntitle: House\ntradition: turkish\nlicence: CC0-1.0\ncitation: none\n"
        "labels: [makam--low, makam--high, usul--slow]\n",
        encoding="utf-8",
    )
    return task


def give(folder: Path) -> None:
    """Write what the commands start from: a corpus, records that never change, a model's card."""
    write_corpus(folder / "corpus")
    (folder / "given").mkdir()
    (folder / "card.md").write_text("# again\n\nA card.\n", encoding="utf-8")
    for name in FIXED:
        entry, target = ROOT / "leaderboards" / "entries" / name, folder / "fixed" / name.split("/")[0]
        target.mkdir(parents=True)
        for file in (*(entry / "records").iterdir(), *(entry / "predictions").iterdir()):
            shutil.copy2(file, target)


def check_out(revision: str, folder: Path) -> None:
    """Write the files of a revision into a folder."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


ALONE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in str(getattr(finder, "__module__", ""))]
"""
"""``sitecustomize`` of both: a module that a tree lacks is not taken from an installed one."""


def run_all(tree: Path, work: Path, stages: Iterable[tuple[Step, ...]]) -> list[str]:
    """Run every step with a tree in ``work/place``; return what went otherwise than it should."""
    named, place = work / "path", work / "place"
    named.mkdir(exist_ok=True)
    (named / "sitecustomize.py").write_text(ALONE, encoding="utf-8")
    (named / "cmbench").unlink(missing_ok=True)
    (named / "cmbench").symlink_to(tree, target_is_directory=True)
    shutil.copytree(work / "given", place)
    (place / "printed").mkdir()
    (place / "own").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CMBENCH_")}
    environment = kept | {
        "PYTHONPATH": str(named),
        "CMBENCH_CACHE": str(place / "cache"),
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",  # bytes are promised for one number of threads
        "MPLCONFIGDIR": str(work / "matplotlib"),
    }

    def python(words: Iterable[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, *words], cwd=place, env=environment, capture_output=True, check=False)

    where = python(["-c", "import cmbench; print(cmbench.__file__)"]).stdout.decode().strip()
    if Path(where).resolve() != (tree / "__init__.py").resolve():
        raise SystemExit(f"cmbench is imported from {where}, not from {tree}")

    def do(step: Step) -> str | None:
        started = time.monotonic()
        out = python(step.words)
        print(f"{time.monotonic() - started:6.1f} s  {step.name}", file=sys.stderr)
        file = place / "printed" / step.name.replace("/", "-")
        file.with_name(file.name + ".txt").write_bytes(out.stdout)
        if step.code:
            file.with_name(file.name + ".err.txt").write_bytes(out.stderr)
        if out.returncode == step.code:
            return None
        return f"{step.name}: exit code {out.returncode}, not {step.code}:\n{out.stderr.decode()[-2000:]}"

    found = []
    for stage in stages:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found += [problem for problem in pool.map(do, stage) if problem]
    return found


def without_times(value: object) -> object:
    """Return a JSON value without what may differ."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def content(file: Path) -> bytes:
    """Return what is compared of a file."""
    read = file.read_bytes()
    if file.suffix == ".txt":
        return SPEED.sub(b"", read)
    if file.suffix != ".json":
        return read
    try:
        return json.dumps(without_times(json.loads(read)), ensure_ascii=False, indent=1).encode()
    except ValueError:
        return read


def files(folder: Path) -> Iterator[str]:
    """Yield the relative path of every file that is compared."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not any(fnmatch(name, pattern) for pattern in NOT_COMPARED):
            yield name


def differences(then: Path, now: Path) -> Iterator[str]:
    """Yield what differs between two folders, with the first lines of text that do."""
    before, after = set(files(then)), set(files(now))
    yield from (f"{name}: only before" for name in sorted(before - after))
    yield from (f"{name}: only now" for name in sorted(after - before))
    for name in sorted(before & after):
        first, second = content(then / name), content(now / name)
        if first != second:
            yield f"{name}: {_first_change(first, second)}"


def _first_change(first: bytes, second: bytes) -> str:
    try:
        lines = [re.split(r"(?<=[>}\n])", one.decode()) for one in (first, second)]
    except UnicodeDecodeError:
        return f"{len(first)} and {len(second)} bytes"
    # Only the neighbourhood: a page is long, and a diff of all of it slow.
    start = next((i for i, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]), min(map(len, lines)))
    before, after = ([line.strip()[:200] for line in one[start : start + 8]] for one in lines)
    return "\n    ".join(["", *list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:12]])


def main() -> None:
    """Compare a revision with this tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", help="what to compare this tree with, for example origin/main")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another folder in place of this tree")
    parser.add_argument("--keep", type=Path, help="folder for all that was written; what REV gave there is used again")
    parser.add_argument("--only", default="*", help="names of steps, as a pattern; the others are left out")
    asked = parser.parse_args()
    started = time.monotonic()
    stages = [tuple(step for step in stage if fnmatch(step.name, asked.only)) for stage in STAGES]
    words = ["git", "rev-parse", asked.revision + "^{commit}"]
    commit = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    facts = commit + asked.only + sha256(Path(__file__).read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as scratch:
        work: Path = asked.keep.resolve() if asked.keep else Path(scratch)
        done, problems = work / "then.txt", []
        trees = {"then": work / "tree", "now": asked.tree.resolve()}
        if done.is_file() and done.read_text(encoding="utf-8") == facts:
            del trees["then"]
        else:
            for name in ("then", "tree", "given"):
                shutil.rmtree(work / name, ignore_errors=True)
            done.unlink(missing_ok=True)
            check_out(asked.revision, work / "tree")
            give(work / "given")
        for name in ("now", "place"):
            shutil.rmtree(work / name, ignore_errors=True)
        for name, tree in trees.items():
            problems += [f"{name}: {problem}" for problem in run_all(tree, work, stages)]
            (work / "place").rename(work / name)
            if not problems:
                done.write_text(facts, encoding="utf-8")
        changed = list(differences(work / "then", work / "now"))
        compared = len(set(files(work / "now")))
    print(*problems, *changed, sep="\n", end="\n" if problems or changed else "")
    seconds = time.monotonic() - started
    print(f"{sum(map(len, stages))} commands, {compared} files: {len(changed)} differ, {len(problems)} went wrong "
          f"({seconds:.0f} s)")  # fmt: skip
    sys.exit(bool(problems or changed))


if __name__ == "__main__":
    main()
