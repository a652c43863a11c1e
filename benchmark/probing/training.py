"""Training a bank of probes to its end: epochs, validation, learning-rate plateaus, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from ...errors import CmbenchError
from ..protocol import ProbeSettings
from ..scoring.metrics import defined_labels, ranking_scores
from .bank import FUSED, Batch, Probe, SeedStream, Shape, Stack, Trainer
from .inputs import Windows

_PLATEAU_THRESHOLD = 1e-4
_PLATEAU_SMALLEST_CHANGE = 1e-8
"""Defaults ``threshold`` (relative) and ``eps`` of ``torch.optim.lr_scheduler.ReduceLROnPlateau``."""

_CPU_CHUNK, _GPU_CHUNK = 256, 1024
"""Windows scored at once."""


@dataclass(frozen=True)
class Scores:
    """Macro means over the labels that the validation split defines, and what a probe is selected by.

    Attributes:
        roc_auc: macro ROC-AUC.
        average_precision: macro average precision.
        score: what the probe is selected by.
        by_label: ROC-AUC and average precision of every label, ``[2, labels]``, NaN where the split defines none.
    """

    roc_auc: float
    average_precision: float
    score: float
    by_label: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Trained:
    """A probe after training.

    Attributes:
        member: which probe.
        weights: the parameters of its best epoch ``[size]``, on the CPU; ``None`` where training diverged.
        scores: of its best epoch; ``None`` where training diverged.
        epochs: passes over the training windows until it stopped.
    """

    member: Probe
    weights: Tensor | None
    scores: Scores | None
    epochs: int


class TrackScorer:
    """Turns a stack of probes into scores of tracks: the mean of each track's window logits."""

    def __init__(self, windows: Windows, track_of_window: NDArray[np.int64], together: Sequence[int]) -> None:
        """Prepare a split.

        Args:
            windows: of the split.
            track_of_window: ``[windows]``; every track has at least one window.
            together: hidden states of the weighted sum.
        """
        self._windows = windows
        self._order = np.argsort(track_of_window, kind="stable")
        self._starts = np.flatnonzero(np.diff(track_of_window[self._order], prepend=-1))
        self._counts = np.bincount(track_of_window)[:, None].astype(np.float64)
        twins = windows.first_twins(together)
        self._twins = None if np.array_equal(twins, np.broadcast_to(np.arange(windows.count), twins.shape)) else twins

    def track_logits(self, stack: Stack) -> NDArray[np.float32]:
        """Return ``[members, tracks, labels]``.

        The mean is taken in float64, where equal logits have exactly that mean however many windows a track has.
        """
        out = np.empty((len(stack.members), len(self._counts), stack.shape.labels), dtype=np.float32)
        size = _CPU_CHUNK if stack.flat.device.type == "cpu" else _GPU_CHUNK
        for block in stack.blocks:
            layers = stack.block_layers(block)
            pieces = [
                stack.block_logits(block, self._windows.batch(rows, layers)).cpu()
                for rows in torch.split(torch.arange(self._windows.count), size)
            ]
            for index, logits in enumerate(torch.cat(pieces, dim=1).numpy(), start=block.members.start):
                member = stack.members[index]
                if self._twins is not None:
                    slot = -1 if member.layer == FUSED else self._windows.layers.index(member.layer)
                    logits = logits[self._twins[slot]]
                sums = np.add.reduceat(logits[self._order].astype(np.float64), self._starts, axis=0)
                out[index] = sums / self._counts
        return out


class ValidationScorer:
    """Scores probes on the validation split."""

    def __init__(
        self, scorer: TrackScorer, labels: NDArray[np.bool_], select: str, known: NDArray[np.bool_] | None = None
    ) -> None:
        """Take the validation split.

        Args:
            scorer: of the split.
            labels: ``[tracks, labels]``.
            select: as :attr:`ProbeSettings.select`.
            known: ``[tracks, labels]``, which of the labels are known; all, if not given.

        Raises:
            CmbenchError: no label has both a positive and a negative track.
        """
        self._defined = defined_labels(labels, known)[0]
        if not self._defined.any():
            raise CmbenchError(
                f"None of the {labels.shape[1]} labels has both a track that carries it and one that does not among "
                f"the {len(labels)} usable tracks of the validation split, so no probe can be chosen. Put more tracks "
                "into the task's valid split, or draw the splits anew so that every label occurs in each."
            )
        self._targets = labels[:, self._defined]
        self._known = None if known is None else known[:, self._defined]
        self.scorer = scorer
        self._select = select

    def scores(self, stack: Stack) -> list[Scores | None]:
        """Score every member; ``None`` for one whose logits are not finite."""
        logits = self.scorer.track_logits(stack)
        finite = [bool(np.isfinite(member).all()) for member in logits]
        columns = logits[finite][:, :, self._defined].transpose(0, 2, 1).reshape(-1, logits.shape[1]).T
        known = None if self._known is None else np.tile(self._known, (1, sum(finite)))
        roc_auc, precision = ranking_scores(np.tile(self._targets, (1, sum(finite))), columns, known=known)
        shape = (sum(finite), self._targets.shape[1])
        rows = iter(zip(roc_auc.reshape(shape), precision.reshape(shape), strict=True))
        return [self._judged(*next(rows)) if ok else None for ok in finite]

    def _judged(self, roc_aucs: NDArray[np.float64], precisions: NDArray[np.float64]) -> Scores:
        roc_auc, precision = roc_aucs.mean(), precisions.mean()
        score = roc_auc if self._select == "roc_auc" else (roc_auc + precision) / 2.0
        by_label = np.full((2, len(self._defined)), np.nan)
        by_label[:, self._defined] = roc_aucs, precisions
        return Scores(float(roc_auc), float(precision), float(score), by_label)


@dataclass
class EarlyStopping:
    """How far one member has come.

    Attributes:
        rate: present learning rate.
        best: scores of the best epoch.
        waited: epochs since then.
        epochs: epochs trained.
        diverged: whether its logits stopped being finite.
    """

    rate: float
    best: Scores | None = None
    waited: int = 0
    epochs: int = 0
    diverged: bool = False
    _plateau_best: float = field(default=-math.inf, repr=False)
    _plateau_waited: int = field(default=0, repr=False)

    def observe(self, scores: Scores | None, settings: ProbeSettings) -> bool:
        """Take in one epoch's validation scores; return whether they are the best so far.

        The rate falls as in ``torch.optim.lr_scheduler.ReduceLROnPlateau(mode="max")``; an epoch is better for early
        stopping if its score is higher at all, as in Lightning's ``EarlyStopping`` (``min_delta=0``).
        """
        self.epochs += 1
        if scores is None:
            self.diverged = True
            return False
        if scores.score > self._plateau_best * (1.0 + _PLATEAU_THRESHOLD):
            self._plateau_best, self._plateau_waited = scores.score, 0
        else:
            self._plateau_waited += 1
        if self._plateau_waited > settings.plateau_patience:
            lower = self.rate * settings.plateau_factor
            self.rate = lower if self.rate - lower > _PLATEAU_SMALLEST_CHANGE else self.rate
            self._plateau_waited = 0
        better = self.best is None or scores.score > self.best.score
        if better:
            self.best, self.waited = scores, 0
        else:
            self.waited += 1
        return better

    def ended(self, settings: ProbeSettings) -> bool:
        """Whether the member is to be trained no further."""
        return self.diverged or self.waited >= settings.patience or self.epochs >= settings.max_epochs


@dataclass(frozen=True)
class TrainingWindows:
    """The training examples: windows with the labels of their tracks.

    Attributes:
        windows: of the training split.
        targets: float32 ``[tracks, labels]``, on the device.
        tracks: int64 ``[windows]``, on the CPU.
        known: float32 ``[tracks, labels]`` on the device, 1 where the label is known, else 0; ``None`` if all are.
    """

    windows: Windows
    targets: Tensor
    tracks: Tensor
    known: Tensor | None = None

    def batches(self, stream: SeedStream, settings: ProbeSettings) -> list[Tensor]:
        """Draw the windows of every step of one epoch; the last batch is as short as it comes.

        A batch of tracks has all windows of each, so that its length varies: so MARBLE v1 trains where a track has
        several rows of features (a43992899/MARBLE-Benchmark at d9300e3, ``benchmark/tasks/MTG/MTGTop50_dataset.py``,
        ``train_collate_fn``).
        """
        if settings.batch_of == "windows":
            return list(torch.split(stream.order(self.windows.count), settings.batch))
        by_track = torch.split(torch.argsort(self.tracks, stable=True), torch.bincount(self.tracks).tolist())
        drawn = torch.split(stream.order(len(by_track)), settings.batch)
        return [torch.cat([by_track[track] for track in tracks.tolist()]) for tracks in drawn]

    def weights(self, rows: Tensor, length: int, device: str) -> Tensor:
        """Return the share of windows and labels in the loss ``[length, labels]``: equal where known, else 0.

        Args:
            rows: the windows of a batch.
            length: to which the batch is filled up; what is filled up counts nothing.
            device: of torch.
        """
        shares = torch.zeros((length, self.targets.shape[1]), device=device)
        shares[: len(rows)] = 1.0 if self.known is None else self.known.index_select(0, self.tracks[rows].to(device))
        # A batch in which nothing is known teaches nothing.
        return shares.div_(shares.sum().clamp_(min=1.0))


def train_program(
    members: Sequence[Probe],
    shape: Shape,
    training: TrainingWindows,
    validation: ValidationScorer,
    settings: ProbeSettings,
    device: str,
    settled: Callable[[int], None],
    halve_at: Sequence[int] = (),
    drawn: Mapping[int, SeedStream] | None = None,
) -> list[Trained]:
    """Train probes together until each has stopped; the result is in the order of ``members``.

    Args:
        members: the probes.
        shape: their sizes.
        training: the examples.
        validation: scores on the validation tracks.
        settings: how to train.
        device: of torch.
        settled: called after each epoch with the number of epochs, over all members, that need no more work.
        drawn: seed -> its stream, where it is not the seed's own.
        halve_at: epochs after which only the better half of the members of every input goes on (successive halving:
            Jamieson & Talwalkar 2016); all of an input are in one program.
    """
    trainer = Trainer(members, shape, settings, device)
    streams = {seed: SeedStream(seed) for seed in trainer.stack.seeds} | dict(drawn or {})
    places, stopping = list(range(len(members))), [EarlyStopping(m.learning_rate) for m in members]
    done: dict[int, Trained] = {}
    epoch = 0
    while places:
        _train_epoch(trainer, [stopping[p].rate for p in places], streams, training, settings, device)
        scores = validation.scores(trainer.stack)
        better = [stopping[p].observe(s, settings) for p, s in zip(places, scores, strict=True)]
        trainer.keep_best([row for row, is_better in enumerate(better) if is_better])
        epoch += 1
        beaten = _beaten([(members[p], stopping[p]) for p in places]) if epoch in halve_at else set()
        live = [row for row, place in enumerate(places) if row not in beaten and not stopping[place].ended(settings)]
        work = len(places)
        for row in sorted(set(range(len(places))) - set(live)):
            ended, member = stopping[places[row]], members[places[row]]
            weights = None if ended.diverged else trainer.best[row].cpu().clone()
            done[places[row]] = Trained(member, weights, None if ended.diverged else ended.best, ended.epochs)
            work += settings.max_epochs - ended.epochs
        if live and len(live) < len(places):
            trainer.keep_only(live)
        places = [places[row] for row in live]
        settled(work)
    return [done[place] for place in range(len(members))]


def _beaten(running: Sequence[tuple[Probe, EarlyStopping]]) -> set[int]:
    """Return the places of the worse half of every input's members, by their best scores so far.

    An odd one goes on, and of equals the one that comes first.
    """
    by_input: dict[int, list[int]] = {}
    for place, (member, _) in enumerate(running):
        by_input.setdefault(member.layer, []).append(place)

    def order(place: int) -> float:
        best = running[place][1].best
        return math.inf if best is None else -best.score

    return {p for places in by_input.values() for p in sorted(places, key=order)[(len(places) + 1) // 2 :]}


def _train_epoch(
    trainer: Trainer,
    rates: Sequence[float],
    streams: dict[int, SeedStream],
    training: TrainingWindows,
    settings: ProbeSettings,
    device: str,
) -> None:
    """Pass once over the training windows; each seed in its own order, all filled up to the longest of a step."""
    stack = trainer.stack
    orders = [training.batches(streams[seed], settings) for seed in stack.seeds]
    for batches in zip(*orders, strict=True):
        length = max(map(len, batches))
        weighted = training.known is not None or any(len(rows) < length for rows in batches)
        filled = [torch.cat([rows, rows[:1].expand(length - len(rows))]) for rows in batches]
        seen = [training.windows.batch(rows, stack.layers) for rows in filled]
        targets = [training.targets.index_select(0, training.tracks[rows].to(device)) for rows in filled]
        keep = [
            pad(streams[seed].keep(len(rows), settings.hidden, settings.dropout), (0, 0, 0, length - len(rows)))
            for seed, rows in zip(stack.seeds, batches, strict=True)
        ]
        weights = [training.weights(rows, length, device) for rows in batches] if weighted else []
        trainer.step(
            Batch(
                torch.stack(seen),
                torch.stack(targets),
                torch.stack(keep).to(device),
                torch.stack(weights) if weighted else None,
            ),
            rates,
        )
