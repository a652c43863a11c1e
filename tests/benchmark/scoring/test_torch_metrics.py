"""Scores for training loops: those of a record to the bit, whole over ranks, with what is undefined by name."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics import MetricCollection

import cmbench
from cmbench.benchmark.protocol import get_protocol
from cmbench.benchmark.records.scores import score_predictions
from cmbench.benchmark.scoring.torch_metrics import F1, AveragePrecision, MultilabelScore, NamedScores, RocAuc
from cmbench.errors import CmbenchError, UsageError

LABELS = ("makam--Rast", "makam--Hicaz", "usul--Aksak", "usul--Sofyan", "usul--Düyek")
FAMILIES = {label: label.partition("--")[0] for label in LABELS}
KINDS: dict[str, Callable[[], MultilabelScore]] = {
    "roc_auc": lambda: RocAuc(LABELS, FAMILIES),
    "average_precision": lambda: AveragePrecision(LABELS, FAMILIES),
    "f1_macro": lambda: F1(LABELS, FAMILIES),
    "f1_micro": lambda: F1(LABELS, average="micro"),
}

Split = tuple[NDArray[np.bool_], NDArray[np.float32]]


def made(tracks: int, seed: int, labels: int = 5) -> Split:
    """A split with ties; the last label has no positive."""
    draw = np.random.default_rng(seed)
    targets = draw.random((tracks, labels)) < 0.3
    targets[:, -1] = False
    scores = np.clip(draw.random((tracks, labels)) + 0.3 * targets, 0, 1).round(2 if seed % 2 else 6)
    return targets, scores.astype(np.float32)


def fed(metric: MultilabelScore, split: Split, known: NDArray[np.bool_] | None = None, step: int = 7) -> NamedScores:
    targets, scores = (torch.from_numpy(part) for part in split)
    mask = None if known is None else torch.from_numpy(known)
    for low in range(0, len(scores), step):
        rows = slice(low, low + step)
        metric.update(scores[rows], targets[rows].float(), None if mask is None else mask[rows])
    metric.compute()
    assert metric.named is not None
    return metric.named


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", KINDS)
def test_the_numbers_are_a_records_to_the_bit(name: str, seed: int) -> None:
    split = made(40 + 61 * seed, seed)
    protocol = replace(get_protocol("cmbench-1"), resamples=20)
    groups, support = [None] * len(split[0]), [1] * len(LABELS)
    expected = score_predictions(split[0], split[1][None], groups, LABELS, FAMILIES, support, protocol)
    found = fed(metric := KINDS[name](), split)
    assert found.value == expected.metrics[name].value == float(metric.compute())
    assert found.undefined == {LABELS[-1]: "no positive among the tracks"}
    if name != "f1_micro":
        part = name.removesuffix("_macro")
        assert list(found.labels.values()) == [getattr(one, part) for one in expected.labels]
    if name in ("roc_auc", "average_precision"):
        assert found.families == {one.family: getattr(one, name) for one in expected.families}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_known_counts_neither_way(name: str) -> None:
    targets, scores = made(200, 1)
    known = np.random.default_rng(9).random(targets.shape) < 0.6
    found = fed(KINDS[name](), (targets, scores), known)
    for k, label in enumerate(LABELS[:-1]):
        alone = {"f1_micro": lambda: F1(1)}.get(name, lambda: type(KINDS[name]())(1))()
        rows = known[:, k]
        assert found.labels[label] == fed(alone, (targets[rows, k : k + 1], scores[rows, k : k + 1])).value
    changed = np.where(known, targets, ~targets), np.where(known, scores, np.float32(0.77))
    assert fed(KINDS[name](), changed, known) == found
    known[:, 0] = False
    found = fed(KINDS[name](), (targets, scores), known)
    assert (found.labels[LABELS[0]], found.undefined[LABELS[0]]) == (None, "no track of which it is known")


def test_unknown_targets_and_scores_may_be_anything() -> None:
    metric = RocAuc(1)
    scores, targets = torch.tensor([[0.1], [0.9], [float("nan")]]), torch.tensor([[0], [1], [-1]])
    metric.update(scores, targets, torch.tensor([[True], [True], [False]]))
    assert float(metric.compute()) == 1.0
    metric.update(scores[2:], targets[:1])
    with pytest.raises(CmbenchError, match="1 scores of label 'label 0' are NaN"):
        metric.compute()


def test_nothing_defined_is_no_number() -> None:
    metric = RocAuc(["a"], {"a": "f"})
    metric.update(torch.rand(3, 1), torch.ones(3, 1))
    assert bool(metric.compute().isnan())
    assert metric.named == NamedScores(None, {"a": None}, {"f": None}, {"a": "no negative among the tracks"})


def test_it_begins_anew_and_travels() -> None:
    metric = KINDS["average_precision"]()
    first = fed(metric, made(50, 3))
    metric.reset()
    assert fed(metric, made(50, 4)) != first
    metric.reset()
    assert fed(metric, made(50, 3)) == first
    assert fed(pickle.loads(pickle.dumps(KINDS["average_precision"]())), made(50, 3)) == first


def test_half_precision_ties_like_float32() -> None:
    targets, scores = made(300, 2)
    half = torch.from_numpy(scores).bfloat16()
    metric = RocAuc(5)
    metric.update(half, torch.from_numpy(targets))
    assert float(metric.compute()) == fed(RocAuc(5), (targets, half.float().numpy())).value


def test_float64_is_kept_where_that_is_asked_for() -> None:
    scores, targets = torch.tensor([[0.5], [0.5 + 1e-12]], dtype=torch.float64), torch.tensor([[0], [1]])
    metric = RocAuc(1, keep=torch.float64)
    metric.update(scores, targets)
    assert float(metric.compute()) == 1.0


def test_they_go_into_a_collection() -> None:
    targets, scores = made(60, 5)
    found = MetricCollection({name: make() for name, make in KINDS.items()})
    found.update(torch.from_numpy(scores), torch.from_numpy(targets))
    values = found.compute()
    assert {name: float(value) for name, value in values.items()} == {
        name: fed(make(), (targets, scores)).value for name, make in KINDS.items()
    }


@pytest.mark.parametrize(
    ("scores", "targets", "told"),
    [
        (torch.rand(3, 4), torch.ones(3, 4), r"scores of shape \[3, 4\] should be \[tracks, 5 labels\]"),
        (torch.rand(3, 5), torch.ones(2, 5), r"targets of shape \[2, 5\] .* as 3 scores are"),
        (torch.ones(3, 5, dtype=torch.int64), torch.ones(3, 5), "should be floating point"),
        (torch.rand(3, 5), torch.full((3, 5), 0.5), "targets should be 0 or 1"),
        (torch.rand(3, 5).double(), torch.ones(3, 5), "give the metric keep=torch.float64"),
        (torch.tensor(0.5), torch.ones(3, 5), r"scores of shape \[\]"),
    ],
)
def test_what_does_not_fit_is_told(scores: torch.Tensor, targets: torch.Tensor, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        RocAuc(LABELS).update(scores, targets)


def test_wrong_settings_are_told() -> None:
    with pytest.raises(UsageError, match="'macro' or 'micro', not 'weighted'"):
        F1(3, average="weighted")
    with pytest.raises(UsageError, match="families: 'b' is no label; there are a"):
        RocAuc(["a"], {"b": "f"})


def one_rank(rank: int, meeting: str, out: str) -> None:
    """A rank of two: it takes every second track, of an uneven number; of the second metric the other takes nothing."""
    torch.distributed.init_process_group("gloo", f"file://{meeting}", world_size=2, rank=rank)
    targets, scores = made(81, 6)
    metric, lonely = KINDS["roc_auc"](), KINDS["average_precision"]()
    named = fed(metric, (targets[rank::2], scores[rank::2]))
    if rank == 0:
        lonely.update(torch.from_numpy(scores), torch.from_numpy(targets))
        lonely.compute()
    else:
        with pytest.warns(UserWarning, match="called before the ``update`` method"):
            lonely.compute()
    Path(out, str(rank)).write_bytes(pickle.dumps((named, lonely.named)))
    torch.distributed.destroy_process_group()


def test_two_processes_see_all_tracks(tmp_path: Path) -> None:
    # New processes, not forks: what has computed in threads hangs when it is forked.
    words = "import sys; from cmbench.tests.benchmark.scoring.test_torch_metrics import one_rank as go; "
    words += "go(int(sys.argv[1]), *sys.argv[2:])"
    places = (str(tmp_path / "meeting"), str(tmp_path))
    ranks = [subprocess.Popen([sys.executable, "-c", words, str(rank), *places]) for rank in range(2)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    split = made(81, 6)
    expected = fed(KINDS["roc_auc"](), split), fed(KINDS["average_precision"](), split)
    for rank in "01":
        assert pickle.loads((tmp_path / rank).read_bytes()) == expected


def test_the_public_names() -> None:
    assert (cmbench.RocAuc, cmbench.AveragePrecision, cmbench.F1) == (RocAuc, AveragePrecision, F1)


def test_what_would_be_read_wrong_is_told() -> None:
    scores, targets = torch.rand(4, 2), torch.tensor([[0, 1]] * 2 + [[1, 0]] * 2)
    with pytest.raises(UsageError, match="known should be true or false"):
        RocAuc(["a", "b"]).update(scores, targets, torch.full((4, 2), 0.5))
    with pytest.raises(UsageError, match="scores should be finite"):
        RocAuc(["a", "b"]).update(scores / 0, targets)
    for labels in (["a", "a"], []):
        with pytest.raises(UsageError, match="each once"):
            RocAuc(labels)
