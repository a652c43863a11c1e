"""How well a music model understands the world's music: evaluate, compare, and use the parts in your own code.

Functions

    run(model, tasks)             evaluate models on tasks; one record for each pair
    list_models(), list_tasks()   the names that run() knows
    load_model(name)              an encoder: encode(audio) gives every hidden state
    get_task(name)                a task: labels, families, tracks
    load_records(folder)          the scores in a folder as a pandas frame; cmbench.frames has the others
    compare(first, *others)       what differs between models, and how surely
    transfer(*places)             models by tasks, and what each learnt against a base
    register()                    let transformers' AutoModel read MERT folders without remote code

For other libraries, loaded when first used

    RocAuc, AveragePrecision, F1      torchmetrics.Metric, exact, for any training loop
    ProbeClassifier, linear_probe     scikit-learn estimators on frozen features
    GroupedStratifiedKFold            scikit-learn splitter: no group in two folds
    frames                            scores, labels, layers, predictions, costs as pandas frames
    Record                            what run() returns

`cmbench --help` has the command line, docs/python.md examples.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .baselines.mert.registration import register
    from .baselines.registry import load_encoder as load_model
    from .benchmark import frames as frames
    from .benchmark.frames import load_records
    from .benchmark.probing.estimator import ProbeClassifier as ProbeClassifier
    from .benchmark.probing.folds import GroupedStratifiedKFold as GroupedStratifiedKFold
    from .benchmark.probing.linear import linear_probe as linear_probe
    from .benchmark.records.record import Record as Record
    from .benchmark.run import run
    from .benchmark.scoring.torch_metrics import F1 as F1
    from .benchmark.scoring.torch_metrics import AveragePrecision as AveragePrecision
    from .benchmark.scoring.torch_metrics import RocAuc as RocAuc
    from .benchmark.viewed import compare, list_models, list_tasks, transfer
    from .tasks.choice import get_task
    from .version import __version__

__all__ = [
    "__version__",
    "compare",
    "get_task",
    "list_models",
    "list_tasks",
    "load_model",
    "load_records",
    "register",
    "run",
    "transfer",
]
"""Functions only: help() shows the classes of this list before the functions."""

_HOMES = {
    "__version__": ("version", "__version__"),
    "compare": ("benchmark.viewed", "compare"),
    "get_task": ("tasks.choice", "get_task"),
    "list_models": ("benchmark.viewed", "list_models"),
    "list_tasks": ("benchmark.viewed", "list_tasks"),
    "load_model": ("baselines.registry", "load_encoder"),
    "load_records": ("benchmark.frames", "load_records"),
    "register": ("baselines.mert.registration", "register"),
    "run": ("benchmark.run", "run"),
    "transfer": ("benchmark.viewed", "transfer"),
    "frames": ("benchmark.frames", ""),
    "Record": ("benchmark.records.record", "Record"),
    "AveragePrecision": ("benchmark.scoring.torch_metrics", "AveragePrecision"),
    "F1": ("benchmark.scoring.torch_metrics", "F1"),
    "RocAuc": ("benchmark.scoring.torch_metrics", "RocAuc"),
    "GroupedStratifiedKFold": ("benchmark.probing.folds", "GroupedStratifiedKFold"),
    "ProbeClassifier": ("benchmark.probing.estimator", "ProbeClassifier"),
    "linear_probe": ("benchmark.probing.linear", "linear_probe"),
}
"""Public name -> module below this package, and its name there; empty for the module itself."""


def __getattr__(name: str) -> object:
    """Load a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmbench' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    home = importlib.import_module(f".{module}", __name__)
    return getattr(home, attribute) if attribute else home


def __dir__() -> list[str]:
    """List the public names but those that load torchmetrics or scikit-learn: help() loads what is listed."""
    return sorted([*__all__, "Record", "frames"])
