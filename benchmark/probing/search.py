"""Probes on frozen features: train a grid together, choose on validation, score the test tracks once.

A probe is a perceptron with one hidden layer on one hidden state of the encoder, or on a learned softmax-weighted sum
of hidden states. Every hidden state and the sum, times every learning rate, are trained as one batched program on one
seed; the best by validation is then trained on all seeds. Windows are the training examples; the score of a track is
the mean of its windows' logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from ...errors import CmbenchError, UsageError
from ..protocol import ProbeSettings
from ..records.record import LayerFamilyScore, LayerScore, Selection
from .bank import FUSED, Probe, SeedStream, Shape, Stack
from .heads import Heads, calibrate, heads_of
from .inputs import Scaling, WindowFeatures, Windows, fit_scaling, memory_budget
from .resampling import resample_seeds, resampled_streams
from .training import Scores, TrackScorer, Trained, TrainingWindows, ValidationScorer, train_program

FUSED_NAME = "fused"
"""Name of the weighted sum among the layers."""

PROGRAM_BYTES = 1 << 30
"""Parameters, Adam's two moments and the best parameters of the members that are trained at once; a larger grid is
trained in several programs, with the same result."""


@dataclass(frozen=True)
class ProbeSplit:
    """One split as the probes see it.

    Attributes:
        features: its windows.
        labels: ``[tracks, labels]``.
        known: ``[tracks, labels]``, false where it is not known whether the track has the label; ``None`` if all are.
    """

    features: WindowFeatures
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class ProbeResult:
    """What the probes made of the test tracks, and how they were chosen.

    Attributes:
        probabilities: float32 ``[seeds, test tracks, labels]``.
        selection: the chosen input, a hidden state or ``fused``, its learning rate and its validation score with the
            search seed; the share of each of the encoder's hidden states in a chosen sum, mean over seeds; and passes
            over the training windows until each seed's probe stopped.
        layers: every candidate input with its best learning rate, in the encoder's order, ``fused`` last.
        heads: the chosen probes themselves, calibrated on validation.
        resampled: of the chosen probe, trained again on resamples, float32 ``[resamples, test tracks, labels]`` of
            values that float16 has: so they are kept, since only their spread counts.
        logits: the same before rounding, as logits: what to rank by.
    """

    probabilities: NDArray[np.float32]
    selection: Selection
    layers: tuple[LayerScore, ...]
    heads: Heads = field(compare=False, repr=False)
    resampled: NDArray[np.float32] = field(compare=False, repr=False)
    logits: NDArray[np.float32] = field(compare=False, repr=False)


@dataclass(frozen=True)
class _Bench:
    """What every program of one run shares."""

    train: ProbeSplit
    shape: Shape
    settings: ProbeSettings
    scaling: Scaling | None
    validation: ValidationScorer
    device: str
    train_budget: int

    @property
    def track_of_example(self) -> NDArray[np.int64]:
        """Which track each of the examples that a batch counts is, or is of."""
        if self.settings.batch_of == "tracks":
            return np.arange(len(self.train.labels), dtype=np.int64)
        return self.train.features.track_of_window

    def training(self, layers: Sequence[int]) -> TrainingWindows:
        """Open the training windows for some hidden states."""
        features = self.train.features
        return TrainingWindows(
            Windows(features, layers, self.scaling, self.device, self.train_budget),
            torch.from_numpy(self.train.labels.astype(np.float32)).to(self.device),
            torch.from_numpy(np.asarray(features.track_of_window, dtype=np.int64)),
            None if self.train.known is None else torch.from_numpy(self.train.known.astype(np.float32)).to(self.device),
        )


@dataclass
class _Meter:
    """Counts epochs over all probes for a progress bar."""

    report: Callable[[int, int], None]
    total: int
    done: int = 0

    def settled(self, epochs: int) -> None:
        """Count epochs that need no more work."""
        self.done += epochs
        self.report(self.done, self.total)


def run_probes(
    train: ProbeSplit,
    valid: ProbeSplit,
    test: ProbeSplit,
    settings: ProbeSettings,
    layer_names: Sequence[str],
    device: str,
    progress: Callable[[int, int], None],
    families: Sequence[str] | None = None,
    resamples: NDArray[np.int32] | None = None,
) -> ProbeResult:
    """Train and choose probes on ``train`` and ``valid``, then score the tracks of ``test``, once.

    Args:
        train: windows that are learned from.
        valid: tracks that stopping, learning rate and layer are chosen on.
        test: tracks whose probabilities are returned; its labels are not looked at.
        settings: the protocol's.
        layer_names: of the encoder's hidden states.
        device: of torch, for example ``cpu`` or ``cuda``.
        progress: called as ``progress(done, total)`` in epochs over all probes; one that stops early counts as done.
        families: of every label, in the labels' order; the layers' scores are then also given by family.
        resamples: how often each training track is drawn, ``[resamples, train tracks]``; the chosen probe is trained on
            each of them too. None if not given.

    Raises:
        CmbenchError: no label is defined on the validation split; every probe diverged; features that are not
            finite; splits that do not fit together.
        UsageError: the settings leave no candidate or name an unknown choice.
    """
    _check_splits({"train": train, "valid": valid, "test": test}, layer_names)
    bench, inputs = _bench_of(train, valid, settings, layer_names, device)
    grid = [Probe(layer, rate, settings.search_seed) for layer in inputs for rate in settings.learning_rates]
    others = [seed for seed in settings.seeds if seed != settings.search_seed]
    again = resample_seeds(resamples)
    meter = _Meter(progress, (len(grid) + len(others) + len(again)) * settings.max_epochs)
    needed = sorted({*inputs, *bench.shape.fused} - {FUSED})
    searched = _train(bench, grid, bench.training(needed), meter, halve_at=settings.halve_at)
    chosen, trained = _train_seeds(bench, searched, others, resamples, meter)

    stack, drawn = (_stacked([trained[seed] for seed in seeds], bench) for seeds in (settings.seeds, again))
    logits, resampled = _test_logits(test, stack, drawn, bench)
    assert chosen.scores is not None
    valid_calibration = calibrate(bench.validation.scorer.track_logits(stack), valid.labels, valid.known)
    return ProbeResult(
        probabilities=probabilities_of(logits),
        selection=Selection(
            layer=_name(chosen.member.layer, layer_names),
            learning_rate=chosen.member.learning_rate,
            valid_score=chosen.scores.score,
            fused_weights=_fused_weights(stack, len(layer_names)),
            epochs_per_seed=tuple(trained[seed].epochs for seed in settings.seeds),
        ),
        layers=tuple(_layer_score(layer, searched, layer_names, families) for layer in inputs),
        heads=heads_of(stack, len(layer_names), bench.scaling, valid_calibration),
        resampled=probabilities_of(resampled).astype(np.float16).astype(np.float32),
        logits=resampled,
    )


def _bench_of(
    train: ProbeSplit, valid: ProbeSplit, settings: ProbeSettings, layer_names: Sequence[str], device: str
) -> tuple[_Bench, list[int]]:
    """Return what the programs share, and the candidate inputs."""
    layers, fused = _candidates(settings, len(layer_names))
    shape = Shape(train.features.dim, settings.hidden, train.labels.shape[1], fused)
    scaling = fit_scaling(train.features, layer_names) if settings.standardise else None
    budget, needed = memory_budget(device), sorted({*layers, *fused})
    windows = Windows(valid.features, needed, scaling, device, budget)
    scorer = TrackScorer(windows, valid.features.track_of_window, fused)
    validation = ValidationScorer(scorer, valid.labels, settings.select, valid.known)
    budget -= windows.bytes if windows.held else 0
    bench = _Bench(train, shape, settings, scaling, validation, device, budget)
    return bench, [*layers, *([FUSED] if fused else [])]


def _test_logits(
    test: ProbeSplit, stack: Stack, drawn: Stack, bench: _Bench
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the chosen probes, and those that were trained on resamples, make of the test tracks."""
    windows = Windows(test.features, stack.layers, bench.scaling, bench.device, budget=0)
    summed = bench.shape.fused if stack.members[0].layer == FUSED else ()
    scorer = TrackScorer(windows, test.features.track_of_window, summed)
    logits, resampled = scorer.track_logits(stack), scorer.track_logits(drawn)
    if not (np.isfinite(logits).all() and np.isfinite(resampled).all()):
        raise CmbenchError(
            "The chosen probe gives some test tracks scores that are not finite: features of the test split hold NaN, "
            "infinity or huge values. Check the encoder on the test audio."
        )
    return logits, resampled


def _stacked(trained: Sequence[Trained], bench: _Bench) -> Stack:
    """Return trained probes ready to be used."""
    kept = [weights for one in trained if (weights := one.weights) is not None]
    flat = torch.stack(kept) if kept else torch.zeros((0, bench.shape.size))
    return Stack([one.member for one in trained], flat.to(bench.device), bench.shape)


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sigmoid of logits; equal logits have equal probabilities wherever they stand.

    Torch's sigmoid rounds the last elements of an array, those beyond its vectors, differently, and so breaks ties.
    """
    probabilities: NDArray[np.float32] = expit(logits)
    return probabilities


def _check_splits(splits: dict[str, ProbeSplit], layer_names: Sequence[str]) -> None:
    shape = (len(layer_names), splits["train"].features.dim, splits["train"].labels.shape[1])
    for name, split in splits.items():
        if (split.features.layers, split.features.dim, split.labels.shape[1]) != shape:
            raise CmbenchError(
                f"The {name} split has {split.features.layers} hidden states of {split.features.dim} values and "
                f"{split.labels.shape[1]} labels, where {shape[0]}, {shape[1]} and {shape[2]} are expected: its "
                "features come from another encoder or its labels from another task."
            )
        windows = np.bincount(split.features.track_of_window, minlength=len(split.labels))
        if len(windows) != len(split.labels) or (windows == 0).any() or not len(windows):
            raise CmbenchError(
                f"The {name} split has {len(split.labels)} tracks with labels, and windows of "
                f"{int((windows > 0).sum())} tracks; each needs at least one window. Leave out tracks that could not "
                "be encoded."
            )


def _candidates(settings: ProbeSettings, layers: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the hidden states that are candidates alone, and those of the weighted sum (none if it is no candidate).

    A sum of fewer than two hidden states is no candidate of its own.
    """
    if settings.select not in ("mean", "roc_auc"):
        raise UsageError(f"A probe is selected by 'mean' or 'roc_auc', not {settings.select!r}.")
    if settings.batch_of not in ("windows", "tracks"):
        raise UsageError(f"A batch is of 'windows' or 'tracks', not {settings.batch_of!r}.")
    if settings.fused_init not in ("zeros", "normal"):
        raise UsageError(f"The weighted sum starts from 'zeros' or 'normal', not {settings.fused_init!r}.")
    alone = tuple(range(layers)) if settings.each_layer else ()
    summed = tuple(range(settings.fused_from, layers)) if settings.fused else ()
    if not settings.fused_learns and not alone and len(summed) == 1:
        # The mean of one hidden state is that state.
        alone = summed
    summed = summed if len(summed) > 1 else ()
    if not (alone or summed) or not settings.learning_rates or not settings.seeds:
        raise UsageError(
            f"The protocol leaves no probe to train on an encoder of {layers} hidden states: it needs each_layer or a "
            "sum of at least two of them, a learning rate and a seed."
        )
    return alone, summed


def _train(
    bench: _Bench,
    members: Sequence[Probe],
    training: TrainingWindows,
    meter: _Meter,
    drawn: Mapping[int, SeedStream] | None = None,
    halve_at: Sequence[int] = (),
) -> list[Trained]:
    """Train members in as few programs as the memory allows; those of one input together, where they are halved."""
    limit = max(1, PROGRAM_BYTES // (bench.shape.size * 4 * 4))
    if halve_at and (rates := len(bench.settings.learning_rates)):
        limit = max(1, limit // rates) * rates
    trained: list[Trained] = []
    for low in range(0, len(members), limit):
        part = members[low : low + limit]
        here = {member.seed: drawn[member.seed] for member in part if drawn and member.seed in drawn}
        trained += train_program(
            part, bench.shape, training, bench.validation, bench.settings, bench.device, meter.settled, halve_at, here
        )
    return trained


def _train_seeds(
    bench: _Bench,
    searched: Sequence[Trained],
    others: Sequence[int],
    resamples: NDArray[np.int32] | None,
    meter: _Meter,
) -> tuple[Trained, dict[int, Trained]]:
    """Train the best configuration on the seeds that the search did not use, and on resamples of the tracks.

    A configuration that diverges on some of them is passed over for the next best.
    """
    for index, chosen in enumerate(_ranked(searched)):
        layer, rate = chosen.member.layer, chosen.member.learning_rate
        again = resampled_streams(resamples, bench.track_of_example)
        members = [Probe(layer, rate, seed) for seed in (*others, *again)]
        if index:
            meter.total += len(members) * bench.settings.max_epochs
        layers = bench.shape.fused if layer == FUSED else (layer,)
        more = _train(bench, members, bench.training(layers), meter, again) if members else []
        if all(t.scores is not None for t in more):
            return chosen, {t.member.seed: t for t in (chosen, *more)}
    raise CmbenchError(
        f"None of the {len(searched)} probes (inputs x learning rates) could be trained: their outputs became NaN or "
        "infinite. The features may hold NaN, infinity or huge values; check the encoder, or use a protocol that "
        "standardises them."
    )


def _ranked(searched: Sequence[Trained]) -> list[Trained]:
    """Probes that can be used, best first; of equals, the one that comes first in the grid."""
    usable = [(t.scores.score, t) for t in searched if t.scores is not None]
    return [t for _, t in sorted(usable, key=lambda pair: -pair[0])]


def _name(layer: int, layer_names: Sequence[str]) -> str:
    return FUSED_NAME if layer == FUSED else layer_names[layer]


def _layer_score(
    layer: int, searched: Sequence[Trained], layer_names: Sequence[str], families: Sequence[str] | None
) -> LayerScore:
    """Return the best learning rate of one candidate input."""
    own = [t for t in searched if t.member.layer == layer]
    best = next(iter(_ranked(own)), own[0])
    return LayerScore(
        layer=_name(layer, layer_names),
        learning_rate=best.member.learning_rate,
        roc_auc=best.scores.roc_auc if best.scores else None,
        average_precision=best.scores.average_precision if best.scores else None,
        score=best.scores.score if best.scores else None,
        epochs=best.epochs,
        families=None if families is None else _family_scores(families, best.scores),
    )


def _family_scores(families: Sequence[str], scores: Scores | None) -> tuple[LayerFamilyScore, ...]:
    """Return macro means over the defined labels of every family, in the order in which the labels name them."""
    by_label = np.full((2, len(families)), np.nan) if scores is None else scores.by_label
    assert by_label is not None
    found = []
    for family in dict.fromkeys(families):
        values = by_label[:, [name == family for name in families]]
        defined = values[:, ~np.isnan(values[0])]
        means = [float(v) for v in defined.mean(axis=1)] if defined.size else [None, None]
        found.append(
            LayerFamilyScore(
                family=family,
                labels=values.shape[1],
                defined=defined.shape[1],
                roc_auc=means[0],
                average_precision=means[1],
            )
        )
    return tuple(found)


def _fused_weights(stack: Stack, layers: int) -> tuple[float, ...] | None:
    if stack.members[0].layer != FUSED:
        return None
    shares = stack.shape.parts(stack.flat).mix.cpu().double().softmax(dim=1).mean(dim=0).tolist()
    return (*(0.0 for _ in range(layers - len(shares))), *shares)
