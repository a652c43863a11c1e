"""Records with their predictions: read back whole, and refused when anything was changed."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.records.evidence import Evidence, iter_evidence, read_evidence
from cmbench.benchmark.records.predictions import LARGEST, predictions_bytes, read_predictions
from cmbench.benchmark.records.record import RANKED, PredictionsPart, write_record
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.scoring.metrics import defined_labels, ranking_scores
from cmbench.errors import CmbenchError, UsageError
from cmbench.files import sha256_of


@pytest.fixture
def written(tmp_path: Path, build_evidence: Callable[..., Evidence]) -> tuple[Evidence, Path]:
    draw = np.random.default_rng(0)
    made = build_evidence("mfcc", draw.random((6, 3)) < 0.5, draw.random((2, 6, 3)), ["a", "a", None, "b", None, "c"])
    return made, write(tmp_path, made)


def write(folder: Path, made: Evidence, **changes: Any) -> Path:
    arrays = {
        "track_ids": made.track_ids,
        "groups": made.groups,
        "labels": made.record.task.labels,
        "targets": made.targets,
        "probabilities": made.probabilities,
    } | changes
    return write_content(folder, made, predictions_bytes(**arrays))


def write_content(folder: Path, made: Evidence, content: bytes) -> Path:
    part = PredictionsPart(file="lyra.npz", sha256=sha256_of(content))
    path = write_record(made.record.model_copy(update={"predictions": part}), folder)
    (path.parent / "lyra.npz").write_bytes(content)
    return path


def test_evidence_reads_back(written: tuple[Evidence, Path]) -> None:
    made, path = written
    read = read_evidence(path)
    assert read.track_ids == made.track_ids
    assert read.groups == made.groups
    assert np.array_equal(read.targets, made.targets)
    assert np.array_equal(read.probabilities, made.probabilities)
    assert [e.path for e in iter_evidence(path.parent)] == [path]
    for asked, there in (("full", "cmbench-1"), True), (("mini", "cmbench-1"), False), (("full", "marble-1"), False):
        assert bool(list(iter_evidence(path.parent, edition=asked[0], protocol=asked[1]))) is there


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_record_edited_by_hand_is_refused(written: tuple[Evidence, Path], metric: str) -> None:
    _, path = written
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metrics"][metric]["value"] = 0.999
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CmbenchError, match="has changed since it was written"):
        read_evidence(path)
    del content["content_sha256"]
    path.write_text(json.dumps(content | {"schema_version": "1.1"}), encoding="utf-8")
    with pytest.raises(CmbenchError, match=rf"{metric} is 0.999 there and 0\.\d+ by the predictions"):
        read_evidence(path)


def test_some_rows(written: tuple[Evidence, Path]) -> None:
    made, _ = written
    some = made.rows(("t4", "t0"))
    assert (some.record, some.path, some.track_ids, some.groups) == (made.record, made.path, ("t4", "t0"), (None, "a"))
    assert np.array_equal(some.targets, made.targets[[4, 0]])
    assert np.array_equal(some.probabilities, made.probabilities[:, [4, 0]])
    with pytest.raises(CmbenchError, match="no prediction for track 'x'"):
        made.rows(("x",))


def test_changed_or_missing_predictions_are_refused(written: tuple[Evidence, Path]) -> None:
    _, path = written
    file = path.parent / "lyra.npz"
    content = file.read_bytes()
    file.write_bytes(content + b"x")
    with pytest.raises(CmbenchError, match="hash differs"):
        read_evidence(path)
    file.unlink()
    with pytest.raises(CmbenchError, match="cannot be read"):
        read_evidence(path)
    with pytest.raises(UsageError, match="does not exist"):
        list(iter_evidence(path.parent / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"labels": ("x", "y", "z")}, "do not fit"),
        ({"track_ids": ("t0",) * 6}, "do not fit"),
        ({"groups": ("a",)}, "do not fit"),
        ({"targets": np.ones((5, 3), np.bool_)}, "do not fit"),
        ({"probabilities": np.full((2, 6, 3), 1.5)}, r"not in \[0, 1\]"),
        ({"probabilities": np.full((2, 6, 3), np.nan)}, r"not in \[0, 1\]"),
        ({"probabilities": np.zeros((0, 6, 3))}, "do not fit"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    written: tuple[Evidence, Path], tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(CmbenchError, match=word):
        read_evidence(write(tmp_path, written[0], **changes))


def test_hostile_files_are_refused(written: tuple[Evidence, Path], tmp_path: Path) -> None:
    made = written[0]
    objects = io.BytesIO()
    evil = np.array([{}])
    np.savez(objects, track_ids=evil, groups=evil, labels=evil, targets=evil, probabilities=evil)
    for content in (objects.getvalue(), pickle.dumps({"a": 1}), b"PK", b""):
        with pytest.raises(CmbenchError, match="not a predictions file"):
            read_evidence(write_content(tmp_path, made, content))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("targets.npy", bytes(2**20))
    forged = bytearray(bomb.getvalue())
    stated = forged.rindex(b"PK\x01\x02") + 24  # the size that the directory of the archive states
    forged[stated : stated + 4] = (LARGEST + 1).to_bytes(4, "little")
    with pytest.raises(CmbenchError, match="GiB"):
        read_predictions(bytes(forged), tmp_path)


def test_what_is_known_is_read_back_and_fits_or_is_refused(
    tmp_path: Path, build_evidence: Callable[..., Evidence]
) -> None:
    draw = np.random.default_rng(0)
    known, scores = draw.random((6, 3)) < 0.7, draw.random((2, 6, 3)).astype(np.float32)
    made = build_evidence("mfcc", (draw.random((6, 3)) < 0.5) & known, scores, [None] * 6)
    with pytest.raises(CmbenchError, match="leaves labels out, which the protocol cmbench-1 does not allow"):
        read_evidence(write(tmp_path / "plain", made, known=known))
    part = made.record.protocol
    part = part.model_copy(update={"settings": {**part.settings, "unknown": "masked"}})
    found = np.mean([ranking_scores(made.targets, one, known=known) for one in scores], axis=0)
    defined = defined_labels(made.targets, known)[0]
    metrics = {
        name: made.record.metrics[name].model_copy(update={"value": float(values[defined].mean()), "interval": None})
        for name, values in zip(RANKED, found, strict=True)
    }
    record = made.record.model_copy(update={"protocol": part, "metrics": {**made.record.metrics, **metrics}})
    masked = replace(made, record=record, known=known)
    read = read_evidence(write(tmp_path / "masked", masked, known=known))
    assert read.known is not None
    assert np.array_equal(read.known, known)
    assert read.same_truth(masked)
    assert not read.same_truth(made)
    assert not made.same_truth(read)
    assert not read.same_truth(replace(masked, known=np.ones_like(known)))
    some = read.rows(("t4", "t0"))
    assert some.known is not None
    assert np.array_equal(some.known, known[[4, 0]])
    assert read.judged(1).tolist() == np.flatnonzero(known[:, 1]).tolist()
    assert made.judged(1).tolist() == list(range(6))
    assert read.whole([0, 2]).tolist() == (known[:, 0] & known[:, 2]).tolist()
    for wrong in (known[:, :2], known.astype(np.int64), ~made.targets):
        with pytest.raises(CmbenchError, match="what is known of its labels does not fit"):
            read_evidence(write_content(tmp_path / "wrong", masked, with_known(masked, wrong)))


def with_known(made: Evidence, known: NDArray[np.generic]) -> bytes:
    """A predictions file that says of ``known`` what it was given, whatever its type."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        track_ids=np.array(made.track_ids),
        groups=np.array([group or "" for group in made.groups]),
        labels=np.array(made.record.task.labels),
        targets=made.targets,
        probabilities=made.probabilities,
        known=known,
    )
    return buffer.getvalue()


def test_trainings_are_read_back_and_are_as_many_as_the_protocol_has(
    tmp_path: Path, build_evidence: Callable[..., Evidence]
) -> None:
    draw = np.random.default_rng(0)
    made = build_evidence("mfcc", draw.random((6, 3)) < 0.5, draw.random((2, 6, 3)), ["a", "a", None, "b", None, "c"])
    again = draw.random((4, 6, 3)).astype(np.float32)
    with pytest.raises(CmbenchError, match="4 trainings"):
        read_evidence(write(tmp_path / "unasked", made, resampled=again))
    settings = {**made.record.protocol.settings, "train_resamples": 4}
    part = made.record.protocol.model_copy(update={"settings": settings})
    made = replace(made, record=made.record.model_copy(update={"protocol": part}))
    read = read_evidence(write(tmp_path / "asked", made, resampled=again))
    assert read.resampled is not None
    assert np.array_equal(read.resampled, again.astype(np.float16))
    assert read.sample == Sample(5, 4, choice=True)
    some = read.rows(read.track_ids[1:3]).resampled
    assert some is not None
    assert np.array_equal(some, again[:, 1:3].astype(np.float16))
    for wrong in (None, again[:3], again[:, :5], again * 2):
        with pytest.raises(CmbenchError):
            read_evidence(write(tmp_path / "wrong", made, resampled=wrong))
