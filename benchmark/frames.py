"""Results as pandas frames: long, typed, one fact a row; what does not exist is missing, never 0.

Each function takes records, or files and folders of records, and returns columns in a fixed order. Texts are of the
dtype ``string``, counts ``int64``, scores ``float64`` in [0, 1]. Every frame begins with who was measured on what:

``model``, ``task``, ``tradition``, ``edition``, ``split``, ``protocol``

.. code-block:: python

    from cmbench import frames

    frames.labels("results").query("metric == 'roc_auc'").pivot_table("value", "label", "model")
    frames.write(frames.predictions("results/mfcc"), "mfcc.parquet")
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import UsageError
from ..files import whole_file
from .records.folder import iter_records
from .records.record import LayerScore, Record

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = str | os.PathLike[str] | Record | Iterable[Record]
"""A file or folder of records, a record, or several, as :func:`cmbench.run` returns them."""

TEXT, COUNT, SCORE, TRUTH = "string", "int64", "float64", "bool"

WHO: Mapping[str, str] = dict.fromkeys(("model", "task", "tradition", "edition", "split", "protocol"), TEXT)

SCORED: Mapping[str, str] = {"metric": TEXT, "value": SCORE, "low": SCORE, "high": SCORE}
"""A score with the ends of its interval."""


def scores(*sources: Source) -> pd.DataFrame:
    """Return one row for each record and metric: the mean over labels and seeds.

    Columns: who; ``metric`` (``roc_auc``, ``average_precision``, ``f1_micro``, ``f1_macro``; ``accuracy`` and
    ``argmax_f1_macro`` where each track has one label), ``value``, ``low`` and ``high`` (interval), ``layer`` (the
    chosen hidden state, or ``fused``), ``test_tracks``, ``defined_labels``,
    ``total_labels``.
    """
    columns = {**WHO, **SCORED, "layer": TEXT, "test_tracks": COUNT, "defined_labels": COUNT, "total_labels": COUNT}
    rows = (
        {
            **_who(r),
            "metric": name,
            "value": metric.value,
            "low": metric.interval.low if metric.interval else None,
            "high": metric.interval.high if metric.interval else None,
            "layer": r.selection.layer,
            "test_tracks": r.coverage.used["test"],
            "defined_labels": r.defined_labels,
            "total_labels": r.total_labels,
        }
        for r in _records(sources)
        for name, metric in r.metrics.items()
    )
    return _frame(rows, columns)


def labels(*sources: Source) -> pd.DataFrame:
    """Return one row for each record, label and metric (``roc_auc``, ``average_precision``, ``f1``).

    Columns: who; ``label``, ``family``, ``metric``, ``value``, ``low``, ``high``, ``support`` (positives among the test
    tracks), ``train_support``, ``prevalence`` (share of positives), ``reason`` (why there is no score).
    """
    about = {"support": COUNT, "train_support": COUNT, "prevalence": SCORE, "reason": TEXT}

    def rows() -> Iterator[dict[str, Any]]:
        for r in _records(sources):
            for one in r.labels:
                facts = {name: getattr(one, name) for name in ("label", "family", *about)}
                for metric in ("roc_auc", "average_precision", "f1"):
                    span = getattr(one, f"{metric}_interval", None)
                    ends = {"low": span.low, "high": span.high} if span else {}
                    yield {**_who(r), **facts, "metric": metric, "value": getattr(one, metric), **ends}

    return _frame(rows(), {**WHO, "label": TEXT, "family": TEXT, **SCORED, **about})


def layers(*sources: Source) -> pd.DataFrame:
    """Return one row for each record, candidate input, family and metric, all on the validation split with one seed.

    Columns: who; ``layer`` (a hidden state, or ``fused``), ``position`` (from 0), ``chosen`` (whether the record's
    scores are of it), ``family`` (missing: all labels), ``metric`` (``roc_auc``, ``average_precision``), ``value``,
    ``learning_rate``, ``epochs``.
    """
    columns = {"layer": TEXT, "position": COUNT, "chosen": TRUTH, "family": TEXT, "metric": TEXT, "value": SCORE}

    def rows() -> Iterator[dict[str, Any]]:
        for r in _records(sources):
            for position, one in enumerate(r.layers):
                facts = {"layer": one.layer, "position": position, "chosen": one.layer == r.selection.layer}
                facts |= {"learning_rate": one.learning_rate, "epochs": one.epochs}
                for family, found in _by_family(one):
                    for metric in ("roc_auc", "average_precision"):
                        yield {**_who(r), **facts, "family": family, "metric": metric, "value": found[metric]}

    return _frame(rows(), {**WHO, **columns, "learning_rate": SCORE, "epochs": COUNT})


def _by_family(one: LayerScore) -> Iterator[tuple[str | None, dict[str, Any]]]:
    yield None, one.model_dump(include={"roc_auc", "average_precision"})
    for family in one.families or ():
        yield family.family, family.model_dump()


def predictions(*sources: str | os.PathLike[str], each_seed: bool = False) -> pd.DataFrame:
    """Return one row for each record, test track and label; texts are of the dtype ``category``, which takes less room.

    A label of which nobody knows whether a track has it has no row for that track.

    Columns: who; ``track``, ``group`` (missing where unknown), ``label``, ``family``, ``target``, ``probability`` (mean
    over seeds; float32, as it was scored), and ``seed`` (from 0) before it if each is asked for.

    Args:
        sources: files and folders of records, with the predictions beside them.
        each_seed: a row for each seed rather than the mean.

    Raises:
        CmbenchError: predictions are missing, changed or damaged.
    """
    import numpy as np
    import pandas as pd

    from .records.evidence import iter_evidence

    parts = []
    for one in iter_evidence(*map(Path, sources)):
        found = one.probabilities if each_seed else one.probabilities.mean(axis=0, dtype=np.float64, keepdims=True)
        seeds, tracks, width = found.shape
        names = one.record.task.labels
        facts: dict[str, Any] = {**_who(one.record)}
        facts["track"] = np.tile(np.repeat(np.array(one.track_ids, dtype=object), width), seeds)
        facts["group"] = np.tile(np.repeat(np.array(one.groups, dtype=object), width), seeds)
        facts["label"] = np.tile(np.array(names, dtype=object), seeds * tracks)
        facts["family"] = np.tile(np.array([one.record.task.families[n] for n in names], dtype=object), seeds * tracks)
        facts["target"] = np.tile(one.targets.ravel(), seeds)
        facts |= {"seed": np.repeat(np.arange(seeds), tracks * width)} if each_seed else {}
        part = pd.DataFrame({**facts, "probability": found.astype(np.float32).ravel()})
        parts.append(part if one.known is None else part[np.tile(one.known.ravel(), seeds)])
    kinds = dict.fromkeys((*WHO, "track", "group", "label", "family"), "category") | {"target": TRUTH}
    kinds |= ({"seed": COUNT} if each_seed else {}) | {"probability": "float32"}
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(kinds))).astype(kinds)


def costs(*sources: Source) -> pd.DataFrame:
    """Return one row for each record: what it cost, and on what machine.

    Columns: who; ``parameters``, ``dim``, ``audio_seconds``, ``encode_seconds``, ``probe_seconds``,
    ``peak_memory_mib``, ``device``, ``device_name``, ``threads``, ``created`` (UTC).
    """
    times = dict.fromkeys(("audio_seconds", "encode_seconds", "probe_seconds", "peak_memory_mib"), SCORE)
    machine = {"device": TEXT, "device_name": TEXT, "threads": COUNT}
    rows = (
        {
            **_who(r),
            "parameters": r.model.parameters,
            "dim": r.model.dim,
            **{name: getattr(r.cost, name) for name in times},
            **{name: getattr(r.environment, name) for name in (*machine, "created")},
        }
        for r in _records(sources)
    )
    columns = {**WHO, "parameters": COUNT, "dim": COUNT, **times, **machine}
    return _frame(rows, {**columns, "created": "datetime64[ns, UTC]"})


def load_records(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Read every record below a folder; the same as :func:`scores` of it."""
    return scores(folder)


def write(frame: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a frame as CSV or Parquet, as the name says, wholly or not at all; and return the path.

    Raises:
        UsageError: another ending, or pyarrow is not installed.
    """
    file = Path(path)
    if file.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{file}: a frame is written as .csv or .parquet.")
    with whole_file(file) as part:
        if file.suffix == ".csv":
            frame.to_csv(part, index=False, lineterminator="\n")
            return file
        try:
            frame.to_parquet(part, index=False, engine="pyarrow")
        except ImportError as error:
            raise UsageError(
                f'{file}: Parquet needs pyarrow: `pip install "cmbench[parquet]"`; .csv needs nothing.'
            ) from error
    return file


def _records(sources: Iterable[Source]) -> Iterator[Record]:
    for source in sources:
        if isinstance(source, Record):
            yield source
        elif isinstance(source, str | os.PathLike):
            yield from iter_records(Path(source))
        else:
            yield from _records(source)


def _who(record: Record) -> dict[str, Any]:
    task = record.task
    found = (record.model.name, task.name, task.tradition, task.edition, task.split, record.protocol.name)
    return dict(zip(WHO, found, strict=True))


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))
