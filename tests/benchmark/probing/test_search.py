from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from cmbench.benchmark.probing import bank as bank_module
from cmbench.benchmark.probing import inputs as inputs_module
from cmbench.benchmark.probing import search
from cmbench.benchmark.probing.bank import FUSED, Probe, SeedStream, Shape, Stack, Trainer
from cmbench.benchmark.probing.inputs import Windows, fit_scaling
from cmbench.benchmark.probing.search import ProbeResult, ProbeSplit, probabilities_of, run_probes
from cmbench.benchmark.probing.training import (
    EarlyStopping,
    Scores,
    TrackScorer,
    Trained,
    TrainingWindows,
    ValidationScorer,
    train_program,
)
from cmbench.benchmark.protocol import PROTOCOLS, ProbeSettings
from cmbench.errors import CmbenchError, UsageError

LAYERS, DIM, LABELS = 3, 12, 4
NAMES = tuple(f"state {i}" for i in range(LAYERS))
QUICK = ProbeSettings(
    hidden=16, learning_rates=(3e-3, 3e-2), batch=32, max_epochs=12, patience=3, plateau_patience=1, seeds=(1, 2)
)


@dataclass(frozen=True)
class ArrayFeatures:
    """Features in an array, with a count of how often they are read."""

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


def make_split(seed: int, tracks: int, values: NDArray[np.float16] | None = None) -> ProbeSplit:
    """Tracks of one to four windows; hidden state 1 says most about the labels, state 0 nothing."""
    random = np.random.default_rng(seed)
    labels = random.random((tracks, LABELS)) < 0.35
    owner = np.repeat(np.arange(tracks), random.integers(1, 5, tracks)).astype(np.int64)
    random.shuffle(owner)
    noise = random.normal(size=(len(owner), LAYERS, DIM))
    strength = np.array([0.0, 1.5, 0.7])[:, None]
    told = np.pad(labels[owner].astype(float), ((0, 0), (0, DIM - LABELS)))[:, None, :] * strength
    scale = np.linspace(0.5, 20.0, DIM)
    features = ((noise + told) * scale + 3.0).astype(np.float16) if values is None else values[: len(owner)]
    return ProbeSplit(ArrayFeatures(features, owner), labels)


@pytest.fixture(scope="module")
def splits() -> tuple[ProbeSplit, ProbeSplit, ProbeSplit]:
    return make_split(1, 60), make_split(2, 40), make_split(3, 40)


def silent(done: int, total: int) -> None:
    """No progress bar."""


def run(
    splits: Sequence[ProbeSplit],
    settings: ProbeSettings = QUICK,
    progress: Callable[[int, int], None] = silent,
    names: Sequence[str] = NAMES,
) -> ProbeResult:
    train, valid, test = splits
    return run_probes(train, valid, test, settings, names, "cpu", progress)


class PlainProbe(nn.Module):
    """The same search, written with torch's own modules."""

    def __init__(self, layer: int, fused: tuple[int, ...], settings: ProbeSettings, dim: int, labels: int) -> None:
        super().__init__()
        self.layer, self.fused = layer, list(fused)
        self.first, self.second = nn.Linear(dim, settings.hidden), nn.Linear(settings.hidden, labels)
        self.mix = nn.Parameter(torch.zeros(len(fused)), requires_grad=settings.fused_learns)

    def forward(self, windows: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        if self.layer == FUSED:
            seen = torch.einsum("l,bld->bd", self.mix.softmax(0), windows[:, self.fused])
        else:
            seen = windows[:, self.layer]
        hidden = torch.relu(self.first(seen))
        logits: torch.Tensor = self.second(hidden if keep is None else hidden * keep)
        return logits


def train_plainly(
    member: Probe, train: ProbeSplit, valid: ProbeSplit, settings: ProbeSettings, fused: tuple[int, ...]
) -> tuple[dict[str, torch.Tensor], Scores, int, list[float]]:
    """Train one probe in the textbook way; return its best weights, their scores, epochs and the rates it used."""
    shape = Shape(train.features.dim, settings.hidden, train.labels.shape[1], fused)
    stream = SeedStream(member.seed)
    module = PlainProbe(member.layer, fused, settings, shape.dim, shape.labels)
    start = shape.parts(stream.initial(shape, settings.fused_init)[None])
    with torch.no_grad():
        module.first.weight.copy_(start.w1[0].T)
        module.first.bias.copy_(start.b1[0, 0])
        module.second.weight.copy_(start.w2[0].T)
        module.second.bias.copy_(start.b2[0, 0])
        module.mix.copy_(start.mix[0])
    data = [s.features.take(np.arange(len(s.features.track_of_window))).astype(np.float64) for s in (train, valid)]
    if settings.standardise:
        mean, deviation = data[0].mean(axis=0), data[0].std(axis=0)
        data = [(d - mean) / deviation for d in data]
    inputs, held_out = (torch.tensor(d, dtype=torch.float32) for d in data)
    owner = train.features.track_of_window
    targets = torch.tensor(train.labels[owner], dtype=torch.float32)
    known = torch.tensor((np.ones_like(train.labels) if train.known is None else train.known)[owner])
    optimiser = torch.optim.Adam(module.parameters(), lr=member.learning_rate)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode="max", factor=settings.plateau_factor, patience=settings.plateau_patience
    )
    best: tuple[dict[str, torch.Tensor], Scores] | None = None
    waited, rates = 0, []
    for _ in range(settings.max_epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        drawn = stream.order(len(inputs) if settings.batch_of == "windows" else len(train.labels)).tolist()
        for batch in torch.utils.data.BatchSampler(drawn, settings.batch, drop_last=False):
            rows = batch
            if settings.batch_of == "tracks":
                rows = [window for track in batch for window in np.flatnonzero(owner == track).tolist()]
            keep = stream.keep(len(rows), settings.hidden, settings.dropout)
            optimiser.zero_grad()
            losses = nn.BCEWithLogitsLoss(reduction="none")(module(inputs[rows], keep), targets[rows])
            losses[known[rows]].mean().backward()
            optimiser.step()
        scores = score_plainly(module, held_out, valid, settings)
        plateau.step(scores.score)
        if best is None or scores.score > best[1].score:
            best, waited = ({k: v.clone() for k, v in module.state_dict().items()}, scores), 0
        else:
            waited += 1
        if waited == settings.patience:
            break
    assert best is not None
    return *best, len(rates), rates


def score_plainly(module: PlainProbe, windows: torch.Tensor, split: ProbeSplit, settings: ProbeSettings) -> Scores:
    with torch.no_grad():
        logits = module(windows).double().numpy()
    owner = split.features.track_of_window
    tracks = np.stack([logits[owner == t].mean(axis=0) for t in range(len(split.labels))])
    known = np.ones_like(split.labels) if split.known is None else split.known
    columns = [(split.labels[here, k], tracks[here, k]) for k, here in enumerate(known.T)]
    by_label = np.array([[score(*one) for one in columns] for score in (roc_auc_score, average_precision_score)])
    roc_auc, precision = (float(mean) for mean in by_label.mean(axis=1))
    return Scores(roc_auc, precision, roc_auc if settings.select == "roc_auc" else (roc_auc + precision) / 2, by_label)


def train_bank(
    members: Sequence[Probe], splits: Sequence[ProbeSplit], settings: ProbeSettings, fused: tuple[int, ...]
) -> list[Trained]:
    train, valid = splits[:2]
    scaling = fit_scaling(train.features, NAMES) if settings.standardise else None
    wanted = range(LAYERS)
    held = TrainingWindows(
        Windows(train.features, wanted, scaling, "cpu", 1 << 30),
        torch.from_numpy(train.labels.astype(np.float32)),
        torch.from_numpy(train.features.track_of_window),
        None if train.known is None else torch.from_numpy(train.known.astype(np.float32)),
    )
    scorer = TrackScorer(
        Windows(valid.features, wanted, scaling, "cpu", 1 << 30), valid.features.track_of_window, fused
    )
    validation = ValidationScorer(scorer, valid.labels, settings.select, valid.known)
    shape = Shape(DIM, settings.hidden, LABELS, fused)
    return train_program(members, shape, held, validation, settings, "cpu", lambda epochs: None, settings.halve_at)


def assert_same(found: Trained, expected: dict[str, torch.Tensor], shape: Shape, tolerance: float = 1e-5) -> None:
    assert found.weights is not None
    parts = shape.parts(found.weights[None])
    torch.testing.assert_close(parts.w1[0].T, expected["first.weight"], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(parts.b1[0, 0], expected["first.bias"], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(parts.w2[0].T, expected["second.weight"], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(parts.b2[0, 0], expected["second.bias"], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(parts.mix[0], expected["mix"], rtol=tolerance, atol=tolerance)


SLOW_RATES = replace(QUICK, learning_rates=(1e-3, 3e-3))
FLAVOURS = {
    "cmbench-1": SLOW_RATES,
    "marble-1": replace(SLOW_RATES, standardise=False, fused_from=1, fused_init="normal", select="roc_auc"),
    "tracks": replace(SLOW_RATES, batch_of="tracks", batch=13),
    "masked": SLOW_RATES,
    "masked tracks": replace(SLOW_RATES, batch_of="tracks", batch=13),
    "mean of states": replace(SLOW_RATES, fused_learns=False),
}


def masked(split: ProbeSplit, seed: int) -> ProbeSplit:
    """The same split with a third of its labels not known, and false; one track knows nothing."""
    known = np.random.default_rng(seed).random(split.labels.shape) > 1 / 3
    known[0] = False
    return replace(split, labels=split.labels & known, known=known)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_member_of_a_bank_equals_the_probe_trained_alone(flavour: str, splits: tuple[ProbeSplit, ...]) -> None:
    settings = FLAVOURS[flavour]
    if "masked" in flavour:
        splits = tuple(masked(split, seed) for seed, split in enumerate(splits))
    fused = tuple(range(settings.fused_from, LAYERS))
    # Every input with both seeds and both rates, not every combination of them.
    pairs = list(zip((1, 7), settings.learning_rates, strict=True))
    grid = [Probe(i, r, s) for s, r in pairs for i in (0, 1, 2, FUSED)]
    bank = train_bank(grid, splits, settings, fused)
    shape = Shape(DIM, settings.hidden, LABELS, fused)
    reduced = stopped = 0
    for found, member in zip(bank, grid, strict=True):
        weights, scores, epochs, rates = train_plainly(member, splits[0], splits[1], settings, fused)
        assert found.member == member
        assert found.epochs == epochs
        assert_same(found, weights, shape)
        assert found.scores is not None
        assert found.scores.by_label is not None
        assert scores.by_label is not None
        np.testing.assert_allclose(found.scores.by_label, scores.by_label, atol=1e-9)
        assert dataclasses.astuple(found.scores)[:3] == pytest.approx(dataclasses.astuple(scores)[:3], abs=1e-9)
        reduced += rates[-1] < rates[0]
        stopped += epochs < settings.max_epochs
    # The comparison says something about plateaus and early stopping only if both happened, and not to all at once.
    assert reduced > 0
    assert 0 < stopped < len(grid)


def test_what_is_not_known_moves_nothing(splits: tuple[ProbeSplit, ...]) -> None:
    """Whatever the labels say where they are not known: loss, stopping, choice and calibration are the same."""
    hidden = [masked(split, seed) for seed, split in enumerate(splits)]
    assert all(split.known is not None for split in hidden)
    liar = [replace(s, labels=s.labels | ~s.known) for s in hidden if s.known is not None]
    honest, lied = run(hidden), run(liar)
    assert (honest.selection, honest.layers) == (lied.selection, lied.layers)
    assert np.array_equal(honest.probabilities, lied.probabilities)
    assert honest.heads.calibration == lied.heads.calibration
    as_negative = run([replace(split, known=None) for split in hidden])
    assert not np.array_equal(honest.probabilities, as_negative.probabilities)
    assert honest.heads.calibration != as_negative.heads.calibration


def test_a_batch_of_tracks_has_all_their_windows(splits: tuple[ProbeSplit, ...]) -> None:
    features = splits[0].features
    held = TrainingWindows(
        Windows(features, (0,), None, "cpu", 1 << 30),
        torch.zeros((60, LABELS)),
        torch.from_numpy(features.track_of_window),
    )
    settings = replace(QUICK, batch_of="tracks", batch=25)
    batches = held.batches(SeedStream(1), settings)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(features.track_of_window)))
    owners = [set(features.track_of_window[rows.numpy()]) for rows in batches]
    assert [len(one) for one in owners] == [25, 25, 10]
    assert not owners[0] & owners[1]
    assert [len(rows) for rows in held.batches(SeedStream(1), QUICK)][:2] == [32, 32]


def test_the_worse_half_of_the_rates_of_every_input_stops(splits: tuple[ProbeSplit, ...]) -> None:
    rates = (1e-5, 1e-4, 3e-3, 1e-2, 3e-2)
    grid = [Probe(i, r, 1) for i in (1, 2) for r in rates]
    settings = replace(QUICK, patience=12)
    whole = train_bank(grid, splits, settings, ())
    halved = train_bank(grid, splits, replace(settings, halve_at=(2, 4, 6)), ())
    for of_input in (range(5), range(5, 10)):
        epochs = sorted(halved[i].epochs for i in of_input)
        assert epochs == [2, 2, 4, 6, 12]
        best = max(of_input, key=lambda i: scored(halved[i]))
        assert halved[best].epochs == 12
        # Those that went on are as they would be without the others.
        assert halved[best].scores == whole[best].scores
        at_two = train_bank([grid[i] for i in of_input], splits, replace(settings, max_epochs=2), ())
        dropped = {i for i in of_input if halved[i].epochs == 2}
        worst = sorted(of_input, key=lambda i: scored(at_two[i - of_input[0]]))[:2]
        assert dropped == set(worst)


def scored(trained: Trained) -> float:
    assert trained.scores is not None
    return trained.scores.score


def test_halved_inputs_are_whole_in_one_program(
    splits: tuple[ProbeSplit, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(QUICK, learning_rates=(1e-3, 3e-3, 1e-2), halve_at=(1,), seeds=(1,))
    expected = run(splits, settings)
    monkeypatch.setattr(search, "PROGRAM_BYTES", 4 * 4 * 4 * Shape(DIM, QUICK.hidden, LABELS, (0, 1, 2)).size)
    programs = record_programs(monkeypatch)
    assert run(splits, settings).layers == expected.layers
    assert [len(members) for members in programs] == [3, 3, 3, 3]


def test_a_bank_of_one_equals_a_bank_of_many(splits: tuple[ProbeSplit, ...]) -> None:
    fused = (0, 1, 2)
    grid = [Probe(i, r, 1) for i in (0, 1, 2, FUSED) for r in (1e-3, 3e-3, 1e-2)]
    many = train_bank(grid, splits, QUICK, fused)
    for member, found in list(zip(grid, many, strict=True))[1::5]:
        alone = train_bank([member], splits, QUICK, fused)[0]
        assert (alone.epochs, alone.member) == (found.epochs, found.member)
        assert alone.weights is not None
        assert found.weights is not None
        torch.testing.assert_close(alone.weights, found.weights, rtol=1e-5, atol=1e-5)


def test_one_large_block_equals_small_blocks(splits: tuple[ProbeSplit, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    grid = [Probe(i, r, s) for i in (0, 1, FUSED) for r in (1e-3, 3e-3) for s in (1, 2)]
    small = train_bank(grid, splits, QUICK, (0, 1, 2))
    monkeypatch.setattr(bank_module, "_CPU_BLOCK", 100)
    stack = Trainer(grid, Shape(DIM, QUICK.hidden, LABELS, (0, 1, 2)), QUICK, "cpu").stack
    assert len(stack.blocks) == 1 + 4  # sums of different seeds never share a block
    for one, other in zip(small, train_bank(grid, splits, QUICK, (0, 1, 2)), strict=True):
        assert one.weights is not None
        assert other.weights is not None
        torch.testing.assert_close(one.weights, other.weights, rtol=1e-5, atol=1e-5)


def record_programs(monkeypatch: pytest.MonkeyPatch) -> list[list[Probe]]:
    """Note the members of every program that is trained."""
    programs: list[list[Probe]] = []

    def recorded(members: Sequence[Probe], *rest: Any) -> list[Trained]:
        programs.append(list(members))
        return train_program(members, *rest)

    monkeypatch.setattr(search, "train_program", recorded)
    return programs


def test_chunks_and_memory_maps_do_not_change_the_result(
    splits: tuple[ProbeSplit, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(splits)
    size = Shape(DIM, QUICK.hidden, LABELS, (0, 1, 2)).size
    monkeypatch.setattr(search, "PROGRAM_BYTES", 3 * size * 16)
    monkeypatch.setattr(inputs_module, "HOST_BUDGET", 0)
    programs = record_programs(monkeypatch)
    chunked = run(splits)
    assert [len(members) for members in programs] == [3, 3, 2, 1]
    assert not Windows(splits[0].features, (0,), None, "cpu", inputs_module.memory_budget("cpu")).held
    np.testing.assert_allclose(chunked.probabilities, whole.probabilities, atol=1e-5)
    assert chunked.selection == whole.selection


def test_runs_repeat_bit_for_bit(splits: tuple[ProbeSplit, ...]) -> None:
    first, second = run(splits), run(splits)
    assert first.probabilities.tobytes() == second.probabilities.tobytes()
    assert dataclasses.replace(first, probabilities=second.probabilities) == second
    assert first.heads.parameters.tobytes() == second.heads.parameters.tobytes()
    assert first.heads.calibration == second.heads.calibration


def test_the_global_random_state_is_neither_used_nor_moved(splits: tuple[ProbeSplit, ...]) -> None:
    torch.manual_seed(5)
    first = run(splits)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
    torch.manual_seed(6)
    assert first.probabilities.tobytes() == run(splits).probabilities.tobytes()


def test_the_informative_hidden_state_wins_and_every_candidate_is_listed(splits: tuple[ProbeSplit, ...]) -> None:
    result = run(splits, replace(QUICK, fused=False))
    assert [entry.layer for entry in result.layers] == list(NAMES)
    assert result.selection.layer == "state 1"
    assert result.selection.fused_weights is None
    best = next(entry for entry in result.layers if entry.layer == result.selection.layer)
    assert (best.score, best.learning_rate) == (result.selection.valid_score, result.selection.learning_rate)
    assert best.score == pytest.approx(((best.roc_auc or 0) + (best.average_precision or 0)) / 2)
    assert result.selection.valid_score == max(entry.score or 0 for entry in result.layers)
    assert result.probabilities.shape == (2, 40, LABELS)
    assert result.probabilities.dtype == np.float32
    per_label = [roc_auc_score(splits[2].labels[:, i], result.probabilities[0][:, i]) for i in range(LABELS)]
    assert np.mean(per_label) > 0.8
    silent_state = result.layers[0].roc_auc
    assert silent_state is not None
    assert silent_state < 0.7


def test_layers_are_scored_by_family_too(splits: tuple[ProbeSplit, ...]) -> None:
    train, valid, test = splits
    labels = valid.labels.copy()
    labels[:, [2, 3]] = False
    valid = ProbeSplit(valid.features, labels)
    families = ["raga", "instrument", "raga", "form"]
    result = run_probes(train, valid, test, QUICK, NAMES, "cpu", silent, families)
    plain = run_probes(train, valid, test, QUICK, NAMES, "cpu", silent)
    assert {layer.families for layer in plain.layers} == {None}
    assert [layer.model_copy(update={"families": None}) for layer in result.layers] == list(plain.layers)
    for layer in result.layers:
        assert layer.families is not None
        raga, instrument, form = layer.families
        assert [(f.family, f.labels, f.defined) for f in layer.families] == [
            ("raga", 2, 1),
            ("instrument", 1, 1),
            ("form", 1, 0),
        ]
        assert (form.roc_auc, form.average_precision) == (None, None)
        for metric in ("roc_auc", "average_precision"):
            mean = (getattr(raga, metric) + getattr(instrument, metric)) / 2
            assert getattr(layer, metric) == pytest.approx(mean, abs=1e-12)
    ragas = {layer.families[0].roc_auc for layer in result.layers if layer.families}
    assert len(ragas) > 1


def test_family_scores_are_those_of_the_labels(splits: tuple[ProbeSplit, ...]) -> None:
    """A family of one label has that label's score, as scikit-learn has it."""
    train, valid, test = splits
    settings = replace(QUICK, fused=False, learning_rates=(3e-3,))
    names = [f"family {k}" for k in range(LABELS)]
    result = run_probes(train, valid, test, settings, NAMES, "cpu", silent, names)
    for index, layer in enumerate(result.layers):
        weights, _, _, _ = train_plainly(Probe(index, 3e-3, settings.search_seed), train, valid, settings, ())
        module = PlainProbe(index, (), settings, DIM, LABELS)
        module.load_state_dict(weights)
        data = [s.features.take(np.arange(len(s.features.track_of_window))).astype(np.float64) for s in (train, valid)]
        windows = torch.tensor((data[1] - data[0].mean(axis=0)) / data[0].std(axis=0), dtype=torch.float32)
        with torch.no_grad():
            logits = module(windows).double().numpy()
        owner = valid.features.track_of_window
        tracks = np.stack([logits[owner == t].mean(axis=0) for t in range(len(valid.labels))])
        expected = [roc_auc_score(valid.labels[:, k], tracks[:, k]) for k in range(LABELS)]
        assert [f.roc_auc for f in layer.families or ()] == pytest.approx(expected, abs=1e-3)


def test_a_layer_that_cannot_be_trained_has_no_family_scores() -> None:
    diverged = Trained(Probe(0, 1.0, 1), None, None, 1)
    layer = search._layer_score(0, [diverged], NAMES, ["raga", "raga", "form", "form"])
    assert [(f.labels, f.defined, f.roc_auc) for f in layer.families or ()] == [(2, 0, None), (2, 0, None)]


def test_test_probabilities_are_sigmoids_of_mean_window_logits(splits: tuple[ProbeSplit, ...]) -> None:
    settings = replace(QUICK, fused=False, learning_rates=(3e-3,), seeds=(4, 1, 9))
    result = run(splits, settings)
    layer = NAMES.index(result.selection.layer)
    train, valid, test = splits
    data = train.features.take(np.arange(len(train.features.track_of_window))).astype(np.float64)
    owner = test.features.track_of_window
    windows = (test.features.take(np.arange(len(owner))) - data.mean(axis=0)) / data.std(axis=0)
    for row, seed in enumerate(settings.seeds):
        weights, _, epochs, _ = train_plainly(Probe(layer, 3e-3, seed), train, valid, settings, ())
        module = PlainProbe(layer, (), settings, DIM, LABELS)
        module.load_state_dict(weights)
        with torch.no_grad():
            logits = module(torch.tensor(windows, dtype=torch.float32)).double().numpy()
        means = np.stack([logits[owner == t].mean(axis=0) for t in range(len(test.labels))])
        np.testing.assert_allclose(result.probabilities[row], 1 / (1 + np.exp(-means)), atol=1e-5)
        assert result.selection.epochs_per_seed[row] == epochs


def test_the_search_seed_is_not_trained_twice(splits: tuple[ProbeSplit, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    programs = record_programs(monkeypatch)
    run(splits, replace(QUICK, fused=False, search_seed=2, seeds=(1, 2, 3)))
    assert [[m.seed for m in members] for members in programs] == [[2] * 6, [1, 3]]
    programs.clear()
    run(splits, replace(QUICK, fused=False, search_seed=8, seeds=(1, 2)))
    assert [[m.seed for m in members] for members in programs] == [[8] * 6, [1, 2]]


def test_fused_weights_cover_every_hidden_state_of_the_encoder(splits: tuple[ProbeSplit, ...]) -> None:
    result = run(splits, replace(QUICK, each_layer=False, fused_from=1, learning_rates=(1e-1,), max_epochs=6))
    assert result.selection.layer == "fused"
    assert result.selection.fused_weights is not None
    assert result.selection.fused_weights[0] == 0.0
    assert sum(result.selection.fused_weights) == pytest.approx(1.0)
    assert result.selection.fused_weights[1] > result.selection.fused_weights[2] > 0.0


def test_candidates_follow_the_settings() -> None:
    with pytest.raises(UsageError, match="of 'windows' or 'tracks', not 'songs'"):
        search._candidates(replace(QUICK, batch_of="songs"), 3)
    every = PROTOCOLS["cmbench-1"].probe
    assert search._candidates(every, 3) == ((0, 1, 2), (0, 1, 2))
    assert search._candidates(PROTOCOLS["marble-1"].probe, 3) == ((0, 1, 2), (1, 2))
    assert search._candidates(PROTOCOLS["marble-1"].probe, 2) == ((0, 1), ())
    assert search._candidates(PROTOCOLS["marble-2"].probe, 3) == ((), (0, 1, 2))
    assert search._candidates(PROTOCOLS["marble-2"].probe, 1) == ((0,), ())
    assert search._candidates(every, 1) == ((0,), ())
    assert search._candidates(replace(every, each_layer=False), 2) == ((), (0, 1))
    for broken, message in (
        (replace(every, each_layer=False, fused=False), "leaves no probe"),
        (replace(every, select="accuracy"), "'accuracy'"),
        (replace(every, fused_init="ones"), "'ones'"),
    ):
        with pytest.raises(UsageError, match=message):
            search._candidates(broken, 3)


@pytest.mark.parametrize("standardise", [True, False])
def test_constant_features_score_exactly_one_half(standardise: bool) -> None:
    values = np.tile(np.random.default_rng(0).normal(size=(1, LAYERS, DIM)).astype(np.float16), (400, 1, 1))
    constant = [make_split(seed, tracks, values) for seed, tracks in ((1, 83), (2, 61), (3, 67))]
    result = run(constant, replace(QUICK, standardise=standardise))
    assert [entry.roc_auc for entry in result.layers] == [0.5] * 4
    for probabilities in result.probabilities:
        assert len(np.unique(probabilities, axis=0)) == 1


def test_rounding_noise_of_the_store_is_not_blown_up() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(300, LAYERS, DIM)).astype(np.float16)
    values[:, :, 0] = np.where(random.random((300, LAYERS)) < 0.01, np.nextafter(np.float16(7), np.float16(8)), 7)
    values[:, :, 1] = 0.0
    features = ArrayFeatures(values, np.arange(300, dtype=np.int64))
    scaling = fit_scaling(features, NAMES)
    assert (scaling.factor[:, :2] == 0).all()
    expected = values.astype(np.float64)
    np.testing.assert_allclose(scaling.mean.numpy(), expected.mean(axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(1 / scaling.factor[:, 2:].numpy(), expected.std(axis=0)[:, 2:], rtol=1e-6)
    seen = Windows(features, (0, 2), scaling, "cpu", 0).batch(torch.arange(300), (2,))
    assert (seen[0, :, :2] == 0).all()
    torch.testing.assert_close(seen.std(dim=1, correction=0)[0, 2:], torch.ones(DIM - 2))
    values[:, :, 2:] = values[0, :, 2:]
    assert (Windows(features, (0, 2), scaling, "cpu", 0).first_twins((0, 2)) == 0).all()


def test_equal_windows_get_equal_logits_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded_by_place(self: Stack, *rest: Any) -> torch.Tensor:
        logits = exact(self, *rest)
        return logits + torch.linspace(0, 1e-6, logits.shape[1])[:, None]

    exact = Stack.block_logits
    monkeypatch.setattr(Stack, "block_logits", rounded_by_place)
    random = np.random.default_rng(0)
    values = random.normal(size=(301, LAYERS, DIM)).astype(np.float16)
    values[1::2] = values[0]
    values[2::4, 0] = values[2, 0]
    values[3, 2] = 9.0
    windows = Windows(ArrayFeatures(values, np.arange(301, dtype=np.int64)), (0, 2), None, "cpu", 0)
    twins = windows.first_twins((0, 2))
    assert set(twins[0][1::2].tolist()) == {0}
    assert set(twins[0][2::4].tolist()) == {2}
    assert twins[1][2::4].tolist() == list(range(2, 301, 4))
    assert (twins[0][3], twins[1][3], twins[2][3]) == (0, 3, 3)
    held = Windows(ArrayFeatures(values, np.arange(301, dtype=np.int64)), (0, 2), None, "cpu", 1 << 30)
    assert held.held
    assert np.array_equal(held.first_twins((0, 2)), twins)
    scorer = TrackScorer(windows, np.arange(301, dtype=np.int64), (0, 2))
    shape = Shape(DIM, 16, LABELS, (0, 2))
    flat = torch.stack([SeedStream(s).initial(shape, "zeros") for s in (1, 2, 3)])
    logits = scorer.track_logits(Stack([Probe(0, 1.0, 1), Probe(2, 1.0, 2), Probe(FUSED, 1.0, 3)], flat, shape))
    assert (logits[0][1::2] == logits[0][0]).all()
    assert (logits[0][2::4] == logits[0][2]).all()
    assert not (logits[1][2::4] == logits[1][2]).all()
    assert not (logits[2][3] == logits[2][0]).all()


@pytest.mark.parametrize("mode", ["rise", "wobble", "fall"])
def test_rate_and_patience_follow_torch(mode: str) -> None:
    random = np.random.default_rng(3)
    series: dict[str, Any] = {
        "rise": 0.5 + np.arange(40) * 1e-6,  # rises, but by less than the plateau's threshold
        "wobble": 0.5 + 0.1 * random.random(40),
        "fall": 0.9 - np.arange(40) * 1e-2,
    }
    settings = ProbeSettings(plateau_patience=3, patience=10, max_epochs=40)
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([parameter], lr=1e-2)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.5, patience=3)
    stopping = EarlyStopping(1e-2)
    for value in series[mode]:
        stopping.observe(Scores(value, value, value), settings)
        plateau.step(value)
        assert stopping.rate == optimiser.param_groups[0]["lr"]
        if stopping.ended(settings):
            break
    assert stopping.rate < 1e-2
    assert stopping.epochs == {"rise": 40, "wobble": stopping.epochs, "fall": 11}[mode]


def altered(split: ProbeSplit, change: Callable[[NDArray[np.float16]], NDArray[np.float16]]) -> ProbeSplit:
    owner = split.features.track_of_window
    return replace(split, features=ArrayFeatures(change(split.features.take(np.arange(len(owner)))), owner))


def infinite_state(values: NDArray[np.float16]) -> NDArray[np.float16]:
    return np.concatenate([np.full_like(values[:, :1], np.inf), values[:, 1:]], axis=1)


def test_a_member_that_diverges_is_dropped_and_the_others_go_on(splits: tuple[ProbeSplit, ...]) -> None:
    calm = run(splits, replace(QUICK, fused=False, learning_rates=(3e-3,)))
    wild = run(splits, replace(QUICK, fused=False, learning_rates=(1e30, 3e-3)))
    assert wild.selection.learning_rate == 3e-3
    np.testing.assert_allclose(wild.probabilities, calm.probabilities, atol=1e-5)


def test_features_that_are_not_finite_are_named(splits: tuple[ProbeSplit, ...]) -> None:
    raw = replace(QUICK, standardise=False, fused=False)
    broken = [altered(split, infinite_state) for split in splits]
    partly = run(broken, raw)
    assert (partly.layers[0].score, partly.layers[0].roc_auc, partly.layers[0].epochs) == (None, None, 1)
    assert partly.layers[1].score is not None
    with pytest.raises(CmbenchError, match="None of the 2 probes"):
        run([altered(split, lambda values: values[:, :1]) for split in broken], raw, names=NAMES[:1])
    with pytest.raises(CmbenchError, match="Hidden state state 0"):
        run(broken)
    with pytest.raises(CmbenchError, match="features of the test split"):
        run([*splits[:2], altered(splits[2], lambda values: np.full_like(values, np.inf))], raw)


def test_a_configuration_that_fails_on_one_seed_gives_way_to_the_next(
    splits: tuple[ProbeSplit, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(splits)

    def failing(members: Sequence[Probe], *rest: Any) -> list[Trained]:
        trained = train_program(members, *rest)
        first = (search._name(members[0].layer, NAMES), members[0].learning_rate)
        if len(members) == 1 and first == (plain.selection.layer, plain.selection.learning_rate):
            return [replace(t, weights=None, scores=None) for t in trained]
        return trained

    monkeypatch.setattr(search, "train_program", failing)
    second = run(splits)
    first, then = plain.selection, second.selection
    assert (then.layer, then.learning_rate) != (first.layer, first.learning_rate)
    assert second.selection.valid_score <= plain.selection.valid_score
    monkeypatch.setattr(
        search, "train_program", lambda *a: [replace(t, weights=None, scores=None) for t in train_program(*a)]
    )
    with pytest.raises(CmbenchError, match="None of the 8 probes"):
        run(splits)


def test_undefined_validation_labels_are_left_out_and_none_is_an_error(splits: tuple[ProbeSplit, ...]) -> None:
    train, valid, test = splits
    labels = valid.labels.copy()
    labels[:, 1], labels[:, 2] = False, True
    result = run((train, replace(valid, labels=labels), test))
    only = run((replace(train), replace(valid, labels=labels), test), replace(QUICK, select="roc_auc"))
    assert 0.0 <= result.selection.valid_score <= 1.0
    assert only.selection.valid_score == next(e.roc_auc for e in only.layers if e.layer == only.selection.layer)
    with pytest.raises(CmbenchError, match=r"None of the 4 labels .* valid split"):
        run((train, replace(valid, labels=np.ones_like(labels)), test))


def test_splits_that_do_not_fit_are_named(splits: tuple[ProbeSplit, ...]) -> None:
    train, valid, test = splits
    with pytest.raises(CmbenchError, match=r"The test split has 3 hidden states .* and 3 labels"):
        run((train, valid, replace(test, labels=test.labels[:, :3])))
    longer = np.concatenate([valid.labels, valid.labels[:1]])
    with pytest.raises(CmbenchError, match="The valid split has 41 tracks with labels, and windows of 40"):
        run((train, replace(valid, labels=longer), test))


def test_progress_counts_up_to_its_total(splits: tuple[ProbeSplit, ...]) -> None:
    calls: list[tuple[int, int]] = []
    run(splits, progress=lambda done, total: calls.append((done, total)))
    total = (4 * 2 + 1) * QUICK.max_epochs
    assert {t for _, t in calls} == {total}
    assert calls[-1] == (total, total)
    assert [d for d, _ in calls] == sorted({d for d, _ in calls})


def test_a_tiny_training_set_trains() -> None:
    settings = replace(PROTOCOLS["cmbench-1"].probe, hidden=32, max_epochs=5)
    result = run((make_split(1, 30), make_split(2, 9), make_split(3, 12)), settings)
    assert np.isfinite(result.probabilities).all()


def test_no_torch_comes_with_the_command_line() -> None:
    code = "import sys, cmbench.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("tracks", [1, 3, 5, 6, 9, 17, 20, 37])
def test_equal_logits_have_equal_probabilities(tracks: int) -> None:
    values = np.random.default_rng(tracks).normal(scale=2.0, size=300).astype(np.float32)
    for value in values:
        probabilities = probabilities_of(np.full((1, tracks, 1), value, dtype=np.float32))
        assert probabilities.dtype == np.float32
        assert len(np.unique(probabilities)) == 1
