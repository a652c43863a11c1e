"""Small doubles of measured cells: features that are drawn, labels that are planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.probing.search import ProbeSplit
from cmbench.benchmark.protocol import PROTOCOLS, Protocol
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.studies.cells import Cell
from cmbench.tasks.base import Edition, Task, TaskData, Track

Labels = NDArray[np.bool_]

TRACKS: Mapping[str, int] = {"train": 120, "valid": 60, "test": 80}

GROUP = 4
"""Tracks of a group."""


@dataclass(frozen=True)
class ArrayFeatures:
    """Features in an array."""

    values: NDArray[np.float16]
    track_of_window: NDArray[np.int64]

    @property
    def layers(self) -> int:
        return int(self.values.shape[1])

    @property
    def dim(self) -> int:
        return int(self.values.shape[2])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        return self.values[rows]


def quick() -> Protocol:
    """The protocol, with probes that train in no time."""
    protocol = PROTOCOLS["cmbench-2"]
    rates: dict[str, Any] = {"learning_rates": (1e-2,), "seeds": (1,), "halve_at": (), "fused": False}
    return replace(protocol, probe=replace(protocol.probe, hidden=16, max_epochs=12, patience=3, **rates))


@pytest.fixture
def build_cell(build_evidence: Callable[..., Evidence]) -> Callable[..., Cell]:
    """A cell from a function that makes features ``[tracks, states, dim]`` of labels ``[tracks, labels]``."""

    def build(
        model: str,
        features: Callable[[Labels, np.random.Generator], NDArray[np.floating]],
        *,
        task: str = "lyra",
        tradition: str = "greek",
        names: Sequence[str] = ("a--0", "a--1", "b--0", "b--1"),
        prevalence: float = 0.3,
        seed: int = 0,
        known: float = 1.0,
    ) -> Cell:
        truth = np.random.default_rng(seed)
        labels = {split: truth.random((count, len(names))) < prevalence for split, count in TRACKS.items()}
        told = {split: truth.random((count, len(names))) < known for split, count in TRACKS.items()}
        noise = np.random.default_rng([seed, *model.encode()])
        splits = {}
        for split, there in labels.items():
            values = features(there, noise).astype(np.float16)
            opened = ArrayFeatures(values, np.arange(len(there)))
            splits[split] = ProbeSplit(opened, there, told[split] if known < 1 else None)
        families = [name.split("--")[0] for name in names]
        tracks = {
            split: tuple(
                Track(
                    f"{split}-{i}",
                    Path("x.wav"),
                    tuple(name for name, there in zip(names, row, strict=True) if there),
                    f"{split}-{i // GROUP}",
                )
                for i, row in enumerate(there)
            )
            for split, there in labels.items()
        }
        groups = [track.group for track in tracks["test"]]
        scores = np.where(labels["test"], 0.6, 0.4)
        evidence = build_evidence(model, labels["test"], scores, groups, task=task, families=families, edition="mini")
        part = evidence.record.task.model_copy(
            update={"labels": tuple(names), "families": dict(zip(names, families, strict=True)), "tradition": tradition}
        )
        states = tuple(f"L{i}" for i in range(splits["test"].features.layers))
        card = evidence.record.model.model_copy(update={"layers": len(states), "layer_names": states})
        chosen = evidence.record.selection.model_copy(update={"layer": states[-1], "learning_rate": 1e-2})
        record = evidence.record.model_copy(update={"task": part, "model": card, "selection": chosen})
        evidence = replace(
            evidence,
            record=record,
            resampled=np.repeat(evidence.probabilities, 5, axis=0),
            known=told["test"] if known < 1 else None,
        )
        edition = Edition("mini", tuple(names), lambda *_: tracks)
        about = Task(task, task, tradition, "", tuple(names), dict(zip(names, families, strict=True)), "", "", "", {})
        data = TaskData(replace(about, editions={"mini": edition}), "mini", tuple(names), tracks, "own")
        return Cell(evidence, data, splits, tracks["train"], evidence.track_ids, quick())

    return build
