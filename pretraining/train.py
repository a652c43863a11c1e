"""The loop: plain torch, the same for one process and many, on a CPU or GPUs.

An update is made of passes over a few crops each; the passes are dealt out to the processes. Everything random in a
pass is keyed by the seed and the number of the pass, and gradients are divided by the number of masked frames of the
whole update (as fairseq divides by ``sample_size``): how many processes share the work changes a rounding at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CmbenchError, UsageError
from .checkpoints import Checkpoints, Progress, optimiser_tensors, restore_optimiser
from .corpus import Corpus, Mix, mix
from .crops import Crop, draw_crops, held_out_crops, key, read_crops
from .group import Group
from .recipe import Recipe, Stage

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from .log import Log

WINDOW = 20
"""Losses whose mean is compared with the lowest such mean, to see a run diverge."""


@dataclass(frozen=True)
class Sums:
    """What a pass adds up over its masked frames.

    Attributes:
        loss: sum over the masked frames, with its gradient.
        numbers: float64 ``[3 + 2 codebooks]`` without gradient: masked frames; CQT error and feature penalty, each
            times the masked frames; then by codebook the cross-entropies and the right tokens.
    """

    loss: Tensor
    numbers: Tensor


class Learner(Protocol):
    """What is trained: a network with its heads, its targets and its loss."""

    @property
    def module(self) -> torch.nn.Module:
        """The network and its heads."""
        ...

    def part(self, parameter: str) -> str:
        """Which of the parts of :data:`.recipe.PARTS` a parameter of the module belongs to."""
        ...

    def tokens(self, crops: Sequence[Crop], seconds: float) -> NDArray[np.int64]:
        """Tokens of crops ``[crops, codebooks, frames]``, cut from those of their whole recordings."""
        ...

    def sums(
        self, network: torch.nn.Module, audio: NDArray[np.float32], tokens: NDArray[np.int64], draw: int, training: bool
    ) -> Sums:
        """Run a pass.

        Args:
            network: the module, or what shares its gradients among processes.
            audio: ``[crops, samples]`` at 24 kHz.
            tokens: ``[crops, codebooks, frames]``.
            draw: seed of masks and mixture.
            training: whether clips are mixed with noise.
        """
        ...


@dataclass(frozen=True)
class Metrics:
    """Means over masked frames.

    Attributes:
        loss: the objective.
        token_losses: cross-entropy by codebook, nats.
        accuracies: share of right tokens by codebook.
        cqt_error: mean squared error of the CQT.
        feature_penalty: mean square of the convolutions' output.
        masked: number of masked frames.
    """

    loss: float
    token_losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    cqt_error: float
    feature_penalty: float
    masked: int

    def as_dict(self) -> dict[str, object]:
        """Return the values for a line of the log."""
        return {
            "loss": self.loss,
            "token_loss": list(self.token_losses),
            "accuracy": list(self.accuracies),
            "mean_accuracy": sum(self.accuracies) / len(self.accuracies),
            "cqt_error": self.cqt_error,
            "feature_penalty": self.feature_penalty,
            "masked_frames": self.masked,
        }


def metrics_of(loss: float, numbers: Sequence[float]) -> Metrics:
    """Divide sums by the number of masked frames."""
    masked, cqt, penalty, *rest = numbers
    half = len(rest) // 2
    means = [value / masked for value in rest]
    return Metrics(
        loss / masked, tuple(means[:half]), tuple(means[half:]), cqt / masked, penalty / masked, round(masked)
    )


class Diverged(CmbenchError):  # noqa: N818 - it says what the run did
    """The loss or its gradient is not finite, or the loss rose far above where it was."""


@dataclass
class Run:
    """A run in progress.

    Attributes:
        recipe: what to do.
        corpus: what to learn from.
        learner: what learns.
        checkpoints: where its states are kept.
        log: told of everything.
        device: where it computes.
        group: the processes.
        bfloat16: whether passes compute in bfloat16.
        progress: how far it is.
    """

    recipe: Recipe
    corpus: Corpus
    learner: Learner
    checkpoints: Checkpoints
    log: Log
    device: torch.device
    group: Group = field(default_factory=Group)
    bfloat16: bool = False
    progress: Progress = field(default_factory=lambda: Progress("", ""))

    def __post_init__(self) -> None:
        """Check that the passes of an update can be dealt out evenly."""
        batch = self.recipe.batch
        passes = batch.crops // batch.together
        if passes % self.group.size:
            raise UsageError(
                f"{passes} passes ({batch.crops} crops, {batch.together} together) cannot be dealt out to "
                f"{self.group.size} processes evenly; set batch.together={max(1, batch.crops // self.group.size)}"
            )
        self.progress = Progress(self.recipe.sha256, self.corpus.sha256, stage=next(iter(self.recipe.stages)))


def train(run: Run, max_steps: int | None = None, resume: bool = False) -> Progress:
    """Train all stages, or as many updates as are asked for.

    Args:
        run: with its recipe, corpus and learner.
        max_steps: stop once this many updates are done in all.
        resume: go on from the last checkpoint, if there is one.

    Raises:
        UsageError: the checkpoint belongs to another recipe or corpus.
        Diverged: see there; the last checkpoint is from before.
    """
    restored = _restored(run) if resume else None
    stages = list(run.recipe.stages)
    limit = run.recipe.steps if max_steps is None else min(max_steps, run.recipe.steps)
    for name in stages[stages.index(run.progress.stage) :]:
        if run.progress.stage != name:
            run.progress = replace(run.progress, stage=name, in_stage=0, best=None, recent=[], lowest=None)
        _train_stage(run, run.recipe.stages[name], limit, restored)
        restored = None
        if run.progress.step >= limit:
            break
    return run.progress


def _restored(run: Run) -> Mapping[str, Tensor] | None:
    """Load the last checkpoint into the module and return the optimiser's tensors."""
    loaded = run.checkpoints.load()
    if loaded is None:
        return None
    model, optimiser, progress = loaded
    for what, was, now in (
        ("recipe", progress.recipe_sha256, run.recipe.sha256),
        ("corpus", progress.corpus_sha256, run.corpus.sha256),
    ):
        if was != now:
            raise UsageError(
                f"{run.checkpoints.folder}: the run there has another {what} ({was[:12]}, not {now[:12]}). Give the "
                "same recipe and changes as then, or another --out."
            )
    run.learner.module.load_state_dict(model)
    run.progress = progress
    return optimiser


def trainable(learner: Learner, parts: Sequence[str]) -> dict[str, torch.nn.Parameter]:
    """Freeze all but some parts of a learner and return the parameters of these, by name.

    Raises:
        UsageError: the learner has no parameter in them.
    """
    chosen = {}
    for name, parameter in learner.module.named_parameters():
        parameter.requires_grad_(learner.part(name) in parts)
        parameter.grad = None
        if parameter.requires_grad:
            chosen[name] = parameter
    if not chosen:
        raise UsageError(f"The model has no parameters in {', '.join(parts)}.")
    return chosen


def _train_stage(run: Run, stage: Stage, limit: int, restored: Mapping[str, Tensor] | None) -> None:
    import torch

    parameters = trainable(run.learner, stage.train)
    names = {parameter: name for name, parameter in parameters.items()}
    o = run.recipe.optimiser
    optimiser = torch.optim.AdamW(
        parameters.values(), lr=0.0, betas=(o.beta1, o.beta2), eps=o.eps, weight_decay=o.weight_decay
    )
    if restored is not None and run.progress.in_stage:
        restore_optimiser(optimiser, names, restored)
    schedule = stage.schedule
    if run.progress.step == 0:
        _measure(run, stage)
    network = shared(run)
    passes = _Passes(run, mix(run.corpus.stages[run.progress.stage], run.recipe.temperature))
    try:
        while run.progress.in_stage < stage.steps and run.progress.step < limit:
            rate = schedule.rate(run.progress.in_stage)
            began = time.perf_counter()
            metrics, norm = _update(run, network, passes, list(parameters.values()), optimiser, rate)
            _count(run, metrics.loss)
            run.log.update(run.progress, rate, metrics, norm, time.perf_counter() - began)
            last = run.progress.in_stage == stage.steps or run.progress.step == limit
            if last or run.progress.step % run.recipe.running.evaluate == 0:
                best = _measure(run, stage)
                if run.group.leads:
                    tensors = optimiser_tensors(optimiser, names)
                    run.checkpoints.save(run.learner.module.state_dict(), tensors, run.progress, best)
                run.group.wait()
    finally:
        passes.close()


def shared(run: Run) -> torch.nn.Module:
    """Return what passes go through: the module, or ``DistributedDataParallel`` around it where there are several."""
    if run.group.size == 1:
        return run.learner.module
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(run.learner.module)


def _update(
    run: Run,
    network: torch.nn.Module,
    passes: _Passes,
    parameters: list[torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    rate: float,
) -> tuple[Metrics, float]:
    """Do one update; nothing is changed where the loss or the gradient is not finite."""
    import torch

    network.train()
    optimiser.zero_grad(set_to_none=True)
    totals: Tensor | None = None
    mine = passes.mine()
    for number in mine:
        audio, tokens = passes.read(number)
        # Dropout and layer drop draw from torch's own generators.
        torch.manual_seed(key(run.recipe.seed, "units", run.progress.step, number))
        draw = key(run.recipe.seed, "masks", run.progress.step, number)
        with _exchange(run, network, number == mine[-1]):
            with precision(run):
                sums = run.learner.sums(network, audio, tokens, draw, training=True)
            sums.loss.backward()  # type: ignore[no-untyped-call]
        both = torch.cat([sums.loss.detach().double()[None], sums.numbers])
        totals = both if totals is None else totals + both
    assert totals is not None
    run.group.add(totals)
    loss, *numbers = totals.tolist()
    metrics = metrics_of(loss, numbers)
    for parameter in parameters:
        if parameter.grad is not None:
            # DistributedDataParallel gives the mean over the processes; wanted is their sum by masked frame.
            parameter.grad *= run.group.size / numbers[0]
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, run.recipe.optimiser.clip))
    if not (math.isfinite(metrics.loss) and math.isfinite(norm)):
        raise _diverged(run, f"the loss is {metrics.loss:g} and the norm of its gradient {norm:g}")
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return metrics, norm


def _exchange(run: Run, network: torch.nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Let processes exchange gradients in the last pass of an update only."""
    if run.group.size == 1 or last:
        return nullcontext()
    quiet: AbstractContextManager[Any] = network.no_sync()  # type: ignore[operator]
    return quiet


def precision(run: Run) -> AbstractContextManager[Any]:
    """Return what a pass computes in: bfloat16 where that was chosen, else float32."""
    import torch

    return torch.autocast(run.device.type, torch.bfloat16) if run.bfloat16 else nullcontext()


def _count(run: Run, loss: float) -> None:
    """Count an update, and see whether the run diverges."""
    p = run.progress
    recent = [*p.recent, loss][-WINDOW:]
    lowest = p.lowest
    if len(recent) == WINDOW:
        mean = sum(recent) / WINDOW
        lowest = mean if lowest is None else min(lowest, mean)
        if mean > run.recipe.running.divergence * lowest:
            raise _diverged(run, f"the mean loss of {WINDOW} updates is {mean:.3g}, and was {lowest:.3g}")
    run.progress = replace(p, step=p.step + 1, in_stage=p.in_stage + 1, recent=recent, lowest=lowest)


def _diverged(run: Run, story: str) -> Diverged:
    names = run.checkpoints.named()
    good = (
        f"The last good checkpoint is {run.checkpoints.folder / names['last']}" if names else "There is no checkpoint"
    )
    return Diverged(
        f"Stopped after {run.progress.step} updates (stage {run.progress.stage}): {story}. {good}. "
        f"No model was written. Lower stages.{run.progress.stage}.peak, or raise its warmup."
    )


def _measure(run: Run, stage: Stage) -> bool:
    """Measure on the held-out music of every tradition; return whether the mean over the trained ones is a new best."""
    found = measure(run)
    trained = [found[t].loss for t, hours in stage.hours.items() if hours and t in found]
    mean = sum(trained) / len(trained) if trained else math.inf
    best = run.progress.step > 0 and math.isfinite(mean) and (run.progress.best is None or mean < run.progress.best)
    if best:
        run.progress = replace(run.progress, best=mean)
    run.log.measured(run.progress, found)
    return best


def measure(run: Run) -> dict[str, Metrics]:
    """Return the metrics of every tradition that has held-out music.

    Crops and masks are the same every time, nothing is mixed or dropped. Every process measures for itself.
    """
    import torch

    recipe, found = run.recipe, {}
    run.learner.module.eval()
    for tradition, recordings in sorted(run.corpus.held_out.items()):
        crops = held_out_crops(recordings, recipe.held_out.crops, recipe.batch.seconds, recipe.seed)
        totals: Tensor | None = None
        size = recipe.batch.together
        parts = [crops[i : i + size] for i in range(0, len(crops), size)]
        for number, part in enumerate(parts):
            audio, tokens = _loaded(run, part)
            with torch.no_grad(), precision(run):
                draw = key(recipe.seed, "held out", tradition, number)
                sums = run.learner.sums(run.learner.module, audio, tokens, draw, training=False)
            both = torch.cat([sums.loss.detach().double()[None], sums.numbers])
            totals = both if totals is None else totals + both
        assert totals is not None
        loss, *numbers = totals.tolist()
        found[tradition] = metrics_of(loss, numbers)
    return found


def _loaded(run: Run, crops: Sequence[Crop]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    seconds = run.recipe.batch.seconds
    return read_crops(crops, seconds), run.learner.tokens(crops, seconds)


class _Passes:
    """The passes of a stage: the next one is decoded while one is computed."""

    def __init__(self, run: Run, mixed: Mix) -> None:
        self._run = run
        self._mix = mixed
        self._pool = ThreadPoolExecutor(1, "crops")
        self._ahead: dict[tuple[int, int], Future[tuple[NDArray[np.float32], NDArray[np.int64]]]] = {}

    def mine(self) -> range:
        """Return the numbers of this process's passes of an update."""
        batch, group = self._run.recipe.batch, self._run.group
        return range(group.rank, batch.crops // batch.together, group.size)

    def read(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return audio and tokens of a pass of the current update."""
        step, mine = self._run.progress.step, self.mine()
        now = self._ahead.pop((step, number), None) or self._pool.submit(self._load, step, number)
        following = (step + 1, mine[0]) if number == mine[-1] else (step, number + mine.step)
        self._ahead[following] = self._pool.submit(self._load, *following)
        return now.result()

    def _load(self, step: int, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        recipe = self._run.recipe
        together, seconds = recipe.batch.together, recipe.batch.seconds
        return _loaded(self._run, draw_crops(self._mix, together, seconds, recipe.seed, "crops", step, number))

    def close(self) -> None:
        """Drop what was read ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
