"""Write what a version leaves on a user's disk, so that every later version can be tried on it.

``python tests/upgrade/make.py tests/upgrade/v0.2.0`` writes a new folder beside the old ones, which never change. Only
the command line is used. What the folder holds:

- ``corpus``: a custom task of short tones; ``music``: tones to train on
- ``start``, ``recipe.yaml``, ``halfway``: a tiny network, and its pre-training, stopped after two of four updates;
  ``finished.jsonl``: the log of the same run that went on
- ``merged``: a model folder, made of the start and of what the training ends at
- ``cache``, ``results``: features and records of two models on the corpus
- ``entries``: an entry of the mini board
- ``plugin``: a distribution that offers a task and an encoder
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

TASK = """\
name: upgrade
title: Upgrade
tradition: turkish
licence: CC0-1.0
citation: none
labels: [makam--low, makam--high, usul--slow]
"""

RECIPE = """\
name: upgrade
summary: A few updates of a tiny network.
start: ./start
seed: 5
sources:
  greek: []
  turkish: []
  hindustani: []
  carnatic: []
  western: ["folder:music"]
batch: {crops: 2, together: 2, seconds: 1.0}
mixture: {pieces: [1, 2], samples: [2000, 4000]}
loss: {features: 0.01}
targets: {teacher: fit, codebook_size: 4, dim: 4}
held_out: {tracks: 1, crops: 1}
running: {log: 1, evaluate: 2, precision: float32}
stages:
  only:
    hours: {western: 0.0015}
    steps: 4
    peak: 1.0e-3
"""

PLUGIN = '''\
"""A task and an encoder of another distribution."""

from typing import TYPE_CHECKING

from cmbench.baselines.base import Encoder, EncoderCard, EncoderEntry, LoadOptions
from cmbench.errors import Missing, MissingError
from cmbench.tasks.base import Edition, LoadContext, Splits, Task, Track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("makam--low", "makam--high")


def _load_task(task: Task, context: LoadContext) -> Splits:
    folder = context.data_root / "corpus" / "audio" if context.data_root else None
    if folder is None or not folder.is_dir():
        raise MissingError([Missing(what="tones", where=str(folder), source="none", licence="CC0-1.0", command="none")])
    found: dict[str, list[Track]] = {"train": [], "valid": [], "test": []}
    for path in sorted(folder.iterdir()):
        split, number = path.stem.split("-")
        label = LABELS[int(number) % 2]
        found[split].append(Track(id=path.stem, path=path, labels=(label,), group=f"{split}-{int(number) // 2}"))
    return found


TASK = Task(
    name="upgrade_plugin", title="Plug-in", tradition="turkish", description="Low and high tones.",
    labels=LABELS, families={label: "makam" for label in LABELS},
    licence="CC0-1.0", citation="none", access="It is there.",
    editions={"full": Edition("full", LABELS, _load_task)},
)


class Loudness:
    card = EncoderCard(
        name="upgrade-loudness", family="upgrade", sample_rate=8000, layers=1, dim=2, layer_names=("level",),
        min_seconds=0.1, parameters=0, licence="MIT", trained_on=(), weights_sha256="0" * 64, code_version="1",
        preprocessing="none",
    )

    def encode(self, audio: "NDArray[np.float32]") -> "NDArray[np.float32]":
        import numpy as np

        crossings = np.diff(np.signbit(audio), axis=1).mean(axis=1)
        return np.stack([np.abs(audio).mean(1), crossings], axis=1)[:, None].astype(np.float32)


def _load(options: LoadOptions) -> Encoder:
    return Loudness()


ENTRY = EncoderEntry(
    name="upgrade-loudness", summary="Level and crossings.", licence="MIT", source="built in", load=_load
)
'''

ENTRY_POINTS = """\
[cmbench.baselines]
upgrade-loudness = upgrade_plugin:ENTRY
[cmbench.tasks]
upgrade_plugin = upgrade_plugin:TASK
"""


def write_tones(folder: Path, names: list[str], seconds: float) -> None:
    """Write noisy tones of eight bits, high and low, slow and fast by turns."""
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        t = np.arange(int(seconds * 8000)) / 8000
        wave = np.sin(2 * np.pi * ((1200 if i % 2 else 300) + 15 * i) * t) * np.cos((4 if i % 4 < 2 else 60) * t)
        noise = np.random.default_rng(i).standard_normal(len(t))
        soundfile.write(folder / f"{name}.wav", 0.4 * wave + 0.02 * noise, 8000, subtype="PCM_U8")


def write_corpus(folder: Path) -> None:
    """Write a custom task."""
    sizes = {"train": 16, "valid": 8, "test": 12}
    names = [f"{split}-{i:02d}" for split, size in sizes.items() for i in range(size)]
    write_tones(folder / "audio", names, 0.3)
    rows = ["id,path,split,group,labels"]
    for i, name in enumerate(names):
        split, number = name.split("-")
        labels = ("makam--high" if i % 2 else "makam--low") + ("|usul--slow" if i % 4 < 2 else "")
        rows.append(f"{name},audio/{name}.wav,{split},{split}-{int(number) // 2},{labels}")
    (folder / "tracks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "task.yaml").write_text(TASK, encoding="utf-8")


def write_start(folder: Path) -> None:
    """Write a tiny network with transformers alone."""
    import torch
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=4,
    )
    HubertModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 24000, "do_normalize": false}\n')
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n\n# start\n\nA tiny network.\n")


def write_plugin(folder: Path) -> None:
    """Write an installed distribution."""
    about = folder / "upgrade_plugin-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "upgrade_plugin.py").write_text(PLUGIN, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: upgrade-plugin\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")


def main() -> None:
    """Write the folder that is named."""
    out = Path(sys.argv[1]).resolve()
    if out.exists():
        sys.exit(f"{out} is there already; what a version left behind never changes.")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "upgrade"
        place.mkdir()

        def run(*words: str, cache: str = "cache") -> None:
            environment = os.environ | {"CMBENCH_CACHE": str(place / cache), "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, "-m", "cmbench", *words], cwd=place, env=environment, check=True)

        write_corpus(place / "corpus")
        write_tones(place / "music", [str(i) for i in range(6)], 1.2)
        write_start(place / "start")
        write_plugin(place / "plugin")
        (place / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        pretrain = ("pretrain", "recipe.yaml", "--device", "cpu", "--out")
        run(*pretrain, "halfway", "--max-steps", "2", cache="../other")
        shutil.copytree(place / "halfway", place / "../adapted")
        run(*pretrain, "../adapted", "--resume", cache="../other")
        shutil.copyfile(place / "../adapted/training/log.jsonl", place / "finished.jsonl")
        run("merge", "--base", "./start", "--add", "../adapted", "--scale", "0.5", "--out", "merged", cache="../other")
        run("run", "--model", "mfcc,./merged", "--tasks", "corpus/task.yaml", "--device", "cpu")
        run("run", "--model", "constant", "--tasks", "lyra", "--edition", "mini", "--out", "../mini", cache="../other")
        said = ("--contact", "nobody", "--licence", "CC0-1.0", "--trained-on", "none", "--contamination", "none")
        card = ("--model-card", "start/README.md", "--name", "upgrade", "--entries", "entries")
        run("submit", "../mini/constant", *said, *card, cache="../other")
        for leaving in [*place.rglob("*.lock"), place / "results" / "report.html"]:
            leaving.unlink()
        shutil.copytree(place, out)


if __name__ == "__main__":
    main()
