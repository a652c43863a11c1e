from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from cmbench.benchmark.probing.bank import FUSED, Probe, Shape, Stack
from cmbench.benchmark.probing.heads import (
    Heads,
    calibrate,
    heads_bytes,
    heads_of,
    heads_path,
    read_heads,
    short_hashes,
)
from cmbench.benchmark.probing.inputs import Scaling
from cmbench.errors import CmbenchError, UsageError

RANDOM = np.random.default_rng(0)


def heads(layer: int, scaled: bool = True) -> tuple[Heads, Stack, Scaling | None]:
    shape = Shape(dim=6, hidden=4, labels=3, fused=(0, 1, 2))
    members = [Probe(layer, 1e-3, seed) for seed in (1, 2)]
    stack = Stack(members, torch.from_numpy(RANDOM.normal(size=(2, shape.size)).astype(np.float32)), shape)
    drawn = torch.from_numpy(RANDOM.uniform(0.5, 2.0, (2, 3, 6)).astype(np.float32))
    scaling = Scaling(drawn[0], drawn[1]) if scaled else None
    return heads_of(stack, 3, scaling, None), stack, scaling


@pytest.mark.parametrize("layer", [0, 2, FUSED])
@pytest.mark.parametrize("scaled", [True, False])
def test_logits_are_those_of_the_formula(layer: int, scaled: bool, tmp_path: Path) -> None:
    """An independent forward pass in float64, after a round through the file."""
    made, stack, scaling = heads(layer, scaled)
    path = tmp_path / "a.heads.safetensors"
    path.write_bytes(heads_bytes(made, {"task": "t"}, {"train": short_hashes(["ab" * 32])}))
    read, about, audio = read_heads(path)
    features = RANDOM.normal(size=(5, 3, 6)).astype(np.float16)
    x = features.astype(np.float64)
    if scaling is not None:
        x = (x - scaling.mean.numpy().astype(np.float64)) * scaling.factor.numpy().astype(np.float64)
    expected = []
    for parameters in stack.flat.double():
        parts = stack.shape.parts(parameters[None])
        mix = np.exp(parts.mix[0].numpy()) / np.exp(parts.mix[0].numpy()).sum()
        seen = np.einsum("l,wld->wd", mix, x) if layer == FUSED else x[:, layer]
        hidden = np.maximum(seen @ parts.w1[0].numpy() + parts.b1[0].numpy(), 0)
        expected.append((hidden @ parts.w2[0].numpy() + parts.b2[0].numpy()).mean(axis=0))
    np.testing.assert_allclose(read.logits(features, "cpu"), np.mean(expected, axis=0), rtol=1e-4, atol=1e-5)
    assert about == {"task": "t"}
    assert audio["train"].tolist() == [[0xAB] * 8]


def test_the_file_is_the_same_for_the_same_heads() -> None:
    made, _, _ = heads(1)
    assert heads_bytes(made, {"b": 1, "a": 2}, {}) == heads_bytes(made, {"a": 2, "b": 1}, {})


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (2.0, 0.3)])
def test_calibration_finds_slope_and_offset(slope: float, offset: float) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(1, 4000, 5)).astype(np.float32) * 2
    labels = random.uniform(size=(4000, 5)) < expit(slope * x[0] + offset)
    found = calibrate(x, labels)
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=0.05)
    assert found.offset == pytest.approx(offset, abs=0.06)
    assert (found.tracks, found.positives) == (4000, labels.sum())


def test_calibrated_probabilities_have_the_rate_of_the_labels() -> None:
    random = np.random.default_rng(2)
    labels = random.uniform(size=(500, 4)) < 0.1
    x = (labels * 1.0 + random.normal(size=labels.shape)).astype(np.float32)[None]
    found = calibrate(x, labels)
    assert found is not None
    assert expit(found.slope * x[0] + found.offset).mean() == pytest.approx(labels.mean(), rel=0.02)
    assert logit(0.5) == 0


def test_the_order_of_labels_is_never_turned_round() -> None:
    random = np.random.default_rng(3)
    labels = random.uniform(size=(200, 4)) < 0.5
    found = calibrate((-3.0 * labels).astype(np.float32)[None], labels)
    assert found is not None
    assert found.slope > 0


@pytest.mark.parametrize("positives", [9, 91])
def test_too_few_answers_give_no_calibration(positives: int) -> None:
    labels = np.arange(100).reshape(50, 2) < positives
    assert calibrate(np.zeros((1, 50, 2), np.float32), labels) is None


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    made, _, _ = heads(1)
    whole = heads_bytes(made, {"task": "t", "labels": ("a", "b")}, {"train": short_hashes(["ab" * 32])})
    path = tmp_path / "a.heads.safetensors"
    same = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            read, about, audio = read_heads(path)
        except CmbenchError:
            continue
        same += 1
        assert (heads_bytes(read, about, audio), about["task"]) == (whole, "t"), place
    assert same < len(whole) / 50, "blanks of the header, and nothing else"


def test_heads_without_hashes_are_read(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save

    made, _, _ = heads(1)
    path = tmp_path / "a.heads.safetensors"
    path.write_bytes(heads_bytes(made, {"task": "t"}, {}))
    with safe_open(path, "numpy") as file:
        facts, tensors = (
            json.loads(file.metadata()["cmbench"]),
            {n: file.get_tensor(n) for n in ("parameters", "scaling")},
        )
    del facts["tensors_sha256"], facts["content_sha256"]
    facts["format"] = "cmbench-heads-1"
    path.write_bytes(save(tensors, {"cmbench": json.dumps(facts)}))
    read, about, _ = read_heads(path)
    assert (about, read.parameters.tolist()) == ({"task": "t"}, made.parameters.tolist())
    facts["format"] = "cmbench-heads-2"
    path.write_bytes(save(tensors, {"cmbench": json.dumps(facts)}))
    with pytest.raises(CmbenchError, match="it has changed since it was written; the same `cmbench run` with --force"):
        read_heads(path)


def test_heads_that_are_absent_or_none(tmp_path: Path) -> None:
    path = heads_path(tmp_path / "t.custom.own.cmbench-1.json")
    assert path.name == "t.custom.own.cmbench-1.heads.safetensors"
    with pytest.raises(UsageError, match=r"not beside the record.*--force"):
        read_heads(path)
    made, _, _ = heads(1)
    for content in (b"", b"x" * 100, heads_bytes(made, {}, {})[:-40]):
        path.write_bytes(content)
        with pytest.raises(CmbenchError, match="this is no file of heads"):
            read_heads(path)


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of scikit-learn whose decision is its input."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.bool_]) -> Given:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x[:, 0]

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        return x[:, 0] > 0


def test_the_calibration_is_scikit_learns() -> None:
    """Platt's, with his targets; ours takes all labels together and lets no slope turn the order round."""
    draw = np.random.default_rng(5)
    labels = draw.random((80, 4)) < 0.3
    logits = (3.0 * (draw.standard_normal(labels.shape) + 1.2 * labels) - 2.0).astype(np.float32)
    ours = calibrate(logits[None], labels)
    x, y = logits.astype(np.float64).reshape(-1, 1), labels.ravel()
    fitted = CalibratedClassifierCV(FrozenEstimator(Given().fit(x, y)), method="sigmoid").fit(x, y)
    (theirs,) = fitted.calibrated_classifiers_[0].calibrators
    assert ours is not None
    assert (ours.slope, ours.offset) == pytest.approx((-theirs.a_, -theirs.b_), rel=1e-3)
