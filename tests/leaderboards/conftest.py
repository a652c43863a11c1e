"""Entries that look like real ones: the mini edition of Lyra, whose labels every machine can compute."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.benchmark.protocol import PROTOCOLS
from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.scores import score_predictions
from cmbench.files import sha256_of
from cmbench.leaderboards.verification.crosschecks import cell, fingerprint
from cmbench.leaderboards.verification.truth import own_data
from cmbench.tasks.registry import registry

TASK, EDITION, SPLIT = "lyra", "mini", "own"
PROTOCOL = PROTOCOLS["cmbench-1"]
STEM = f"{TASK}.{EDITION}.{SPLIT}.{PROTOCOL.name}"
COUNTED = ("metrics", "defined_labels", "total_labels", "undefined_labels", "labels", "families")


def task_arrays(seed: int) -> dict[str, Any]:
    """The task's own tracks, groups and targets, with the predictions of an invented model."""
    data = own_data(TASK, EDITION, SPLIT, None)
    assert data is not None
    targets = data.label_matrix("test")
    draw = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-(targets * 1.5 + draw.normal(size=(5, *targets.shape)))))
    return {
        "track_ids": [track.id for track in data.splits["test"]],
        "groups": [track.group for track in data.splits["test"]],
        "labels": list(data.labels),
        "targets": targets,
        "probabilities": probabilities.astype(np.float32),
    }


def scored(record: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """The record with scores computed from the arrays, as an honest run would, or a careful forger."""
    found = score_predictions(
        arrays["targets"],
        arrays["probabilities"],
        arrays["groups"],
        record["task"]["labels"],
        record["task"]["families"],
        record["train_support"],
        PROTOCOL,
    )
    parts = {name: getattr(found, name) for name in COUNTED}
    parts["metrics"] = {name: metric.model_dump(mode="json") for name, metric in found.metrics.items()}
    for name in ("labels", "families"):
        parts[name] = [one.model_dump(mode="json") for one in getattr(found, name)]
    return record | parts


@cache
def _scores(seed: int) -> str:
    """What an invented model's predictions score, whatever it is called."""
    data = own_data(TASK, EDITION, SPLIT, None)
    assert data is not None
    families = {label: data.task.families[label] for label in data.labels}
    support = data.label_matrix("train").sum(axis=0).tolist()
    task = {"labels": list(data.labels), "families": families}
    found = scored({"task": task, "train_support": support}, task_arrays(seed))
    return json.dumps({name: found[name] for name in COUNTED})


@cache
def _honest(name: str, seed: int) -> str:
    data = own_data(TASK, EDITION, SPLIT, None)
    assert data is not None
    tracks = {split: len(rows) for split, rows in data.splits.items()}
    record = {
        "schema_version": "1.1",
        "cell_sha256": sha256_of(name.encode()),
        "model": {
            "name": name,
            "family": "spectral",
            "fingerprint": sha256_of(name.encode())[:16],
            "sample_rate": 24000,
            "layers": 1,
            "layer_names": ["hidden_0"],
            "dim": 40,
            "parameters": 0,
            "licence": "Apache-2.0",
            "trained_on": [],
            "weights_sha256": sha256_of(name.encode()),
            "code_version": "1",
            "preprocessing": "none",
            "dtype": "float32",
            "source": "built in",
            "description": "An invented model.",
        },
        "task": {
            "name": TASK,
            "title": data.task.title,
            "tradition": data.task.tradition,
            "edition": EDITION,
            "split": SPLIT,
            "labels": list(data.labels),
            "families": {label: data.task.families[label] for label in data.labels},
            "split_sha256": data.split_sha256,
            "label_sha256": data.label_sha256,
            "audio_sha256": sha256_of(b"audio"),
            "tracks": tracks,
            "groups": dict.fromkeys(tracks, None),
            "licence": data.task.licence,
            "citation": data.task.citation,
            "notes": [],
        },
        "protocol": {
            "name": PROTOCOL.name,
            "sha256": PROTOCOL.sha256,
            "settings": json.loads(json.dumps(PROTOCOL.settings)),
        },
        "selection": {
            "layer": "hidden_0",
            "learning_rate": 0.001,
            "valid_score": 0.7,
            "fused_weights": None,
            "epochs_per_seed": [12] * 5,
        },
        "layers": [
            {"layer": "hidden_0", "learning_rate": 0.001, "roc_auc": 0.8, "average_precision": 0.6, "score": 0.7}
            | {"epochs": 12, "families": None}
        ],
        "coverage": {"asked": tracks, "used": tracks, "failed": [], "warnings": []},
        "predictions": {"file": f"{STEM}.npz", "sha256": ""},
        "environment": {
            "created": f"2025-01-02T03:04:{seed % 60:02d}+00:00",
            "cmbench": "0.1.0",
            "python": "3.11.9",
            "platform": "Linux-x86_64",
            "packages": {"numpy": "2.2.0"},
            "device": "cpu",
            "device_name": "a processor",
            "threads": 2,
        },
        "cost": {"audio_seconds": 600.0, "encode_seconds": 6.0, "probe_seconds": 3.0, "peak_memory_mib": 500.0},
        **json.loads(_scores(seed)),
    }
    read = Record.model_validate_json(json.dumps(record))
    record["model"]["fingerprint"] = fingerprint(read)
    return json.dumps(record)


def cell_of(record: dict[str, Any]) -> str:
    """The hash of the cell, as a run would compute it, or a forger who knows how; as it is for what is no record."""
    try:
        read = Record.model_validate_json(json.dumps(record))
        return cell(read, registry()[TASK], PROTOCOL)
    except (ValueError, KeyError):
        return str(record["cell_sha256"])


@dataclass
class Forge:
    """An entry in the making: change its parts, then :meth:`save`."""

    path: Path
    submission: dict[str, Any]
    record: dict[str, Any]
    arrays: dict[str, Any]
    card: bytes = b"---\nlicense: Apache-2.0\n---\n# A model\n"
    predictions: bytes | None = None

    def score_again(self) -> None:
        """Give the record the scores that its arrays have."""
        support = [label["train_support"] for label in self.record["labels"]]
        self.record = scored(self.record | {"train_support": support}, self.arrays)
        del self.record["train_support"]

    def files(self) -> dict[str, bytes]:
        predictions = self.predictions if self.predictions is not None else predictions_bytes(**self.arrays)
        self.record["predictions"]["sha256"] = sha256_of(predictions)
        self.record["cell_sha256"] = cell_of(self.record)
        return {
            "submission.json": json.dumps(self.submission).encode(),
            "card.md": self.card,
            f"records/{STEM}.json": json.dumps(self.record).encode(),
            f"predictions/{STEM}.npz": predictions,
        }

    def save(self) -> Path:
        """Write the entry with a manifest whose hashes are right."""
        for name, content in self.files().items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return self.seal()

    def seal(self) -> Path:
        """Write the manifest of whatever the folder holds."""
        names = [p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()]
        later = ("reproduction/", "withdrawal.json", "manifest.json")
        facts = {
            name: {"bytes": len(content), "sha256": sha256_of(content)}
            for name in sorted(names)
            if not name.startswith(later)
            for content in [(self.path / name).read_bytes()]
        }
        (self.path / "manifest.json").write_text(json.dumps({"schema_version": "1.0", "files": facts}))
        return self.path

    def run(self, folder: Path, seed: int | None = None) -> Path:
        """Write record and predictions as a run would, and return their folder."""
        if seed is not None:
            self.arrays["probabilities"] = task_arrays(seed)["probabilities"]
            self.score_again()
        files = self.files()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{STEM}.json").write_bytes(files[f"records/{STEM}.json"])
        (folder / f"{STEM}.npz").write_bytes(files[f"predictions/{STEM}.npz"])
        return folder


MakeEntry = Callable[..., Forge]


@pytest.fixture
def entries(tmp_path: Path) -> Path:
    """A folder of entries, empty."""
    folder = tmp_path / "entries"
    folder.mkdir()
    return folder


@pytest.fixture
def make_entry(entries: Path) -> MakeEntry:
    """Begin an entry: ``make_entry(name, version, seed)``."""

    def make(name: str = "honest", version: str = "1", seed: int = 0, corpora: Sequence[str] = ()) -> Forge:
        record = json.loads(_honest(name, seed))
        submission = {
            "schema_version": "1.0",
            "name": name,
            "version": version,
            "board": {
                "edition": EDITION,
                "split": SPLIT,
                "protocol": PROTOCOL.name,
                "protocol_sha256": PROTOCOL.sha256,
            },
            "model_fingerprint": record["model"]["fingerprint"],
            "submitted": "2025-01-02",
            "contact": "someone@example.org",
            "licence": "Apache-2.0",
            "parameters": 0,
            "training_corpora": list(corpora),
            "contamination": "None: it was not trained.",
            "tasks": [TASK],
        }
        return Forge(entries / name / version, submission, record, task_arrays(seed))

    return make
