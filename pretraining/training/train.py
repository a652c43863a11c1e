"""The loop: plain torch, the same for one process and many, on a CPU or GPUs.

An update is made of passes over a few crops each; the passes are dealt out to the processes. Everything random in a
pass is keyed by the seed and the number of the pass, and gradients are divided by the number of masked frames of the
whole update (as fairseq divides by ``sample_size``): how many processes share the work changes a rounding at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import CmbenchError, UsageError
from ..corpus.corpus import mix
from ..corpus.crops import key
from ..recipes.recipe import Stage
from .checkpoints import TrainingState, optimiser_tensors, restore_optimiser
from .held_out import measure
from .interrupts import Interrupts
from .metrics import Metrics, metrics_of
from .passes import Passes
from .run import Run, precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..learner import MertLearner

WINDOW = 20
"""Losses whose mean is compared with the lowest such mean, to see a run diverge."""


class Diverged(CmbenchError):  # noqa: N818 - it says what the run did
    """The loss or its gradient is not finite, or the loss rose far above where it was."""


def train(run: Run, max_steps: int | None = None, resume: bool = False) -> TrainingState:
    """Train all stages, or as many updates as are asked for; Ctrl-C and SIGTERM end it after an update, which is saved.

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
    with Interrupts() as interrupts:
        for name in stages[stages.index(run.progress.stage) :]:
            if run.progress.stage != name:
                run.progress = replace(run.progress, stage=name, in_stage=0, best=None, recent=[], lowest=None)
            _train_stage(run, run.recipe.stages[name], limit, restored, interrupts)
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


def trainable(learner: MertLearner, parts: Sequence[str]) -> dict[str, torch.nn.Parameter]:
    """Freeze all but some parts of a learner and return the parameters of these, by name.

    Raises:
        UsageError: the learner has no parameter in them.
    """
    chosen = {}
    for name, parameter in learner.module.named_parameters():
        parameter.requires_grad_(any(learner.belongs(name, part) for part in parts))
        parameter.grad = None
        if parameter.requires_grad:
            chosen[name] = parameter
    if not chosen:
        raise UsageError(f"The model has no parameters in {', '.join(parts)}.")
    return chosen


def _train_stage(
    run: Run, stage: Stage, limit: int, restored: Mapping[str, Tensor] | None, interrupts: Interrupts
) -> None:
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
    passes = Passes(run, mix(run.corpus.stages[run.progress.stage], run.recipe.temperature))
    try:
        while run.progress.in_stage < stage.steps and run.progress.step < limit:
            rate = schedule.rate(run.progress.in_stage)
            began = time.perf_counter()
            metrics, norm = _update(run, network, passes, list(parameters.values()), optimiser, rate)
            _count(run, metrics.loss)
            run.log.update(run.progress, rate, metrics, norm, time.perf_counter() - began)
            last = run.progress.in_stage == stage.steps or run.progress.step == limit
            measured = last or run.progress.step % run.recipe.running.evaluate == 0
            asked = torch.tensor(float(interrupts.asked), device=run.device)
            run.group.add(asked)  # a signal may reach one process of several, and none may wait for one that left
            if measured or asked:
                best = measured and _measure(run, stage)
                if run.group.leads:
                    tensors = optimiser_tensors(optimiser, names)
                    run.checkpoints.save(run.learner.module.state_dict(), tensors, run.progress, best)
                run.group.wait()
            if asked:
                run.log.print(f"Interrupted: update {run.progress.step} is saved; --resume goes on from there.")
                interrupts.leave()
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
    passes: Passes,
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
        audio, tokens, views = passes.read(number)
        # Dropout and layer drop draw from torch's own generators.
        torch.manual_seed(key(run.recipe.seed, "units", run.progress.step, number))
        draw = key(run.recipe.seed, "masks", run.progress.step, number)
        with _exchange(run, network, number == mine[-1]):
            with precision(run):
                sums = run.learner.sums(network, audio, tokens, draw, training=True, views=views)
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
        raise diverged(run, f"the loss is {metrics.loss:g} and the norm of its gradient {norm:g}")
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


def _count(run: Run, loss: float) -> None:
    """Count an update, and see whether the run diverges."""
    p = run.progress
    recent = [*p.recent, loss][-WINDOW:]
    lowest = p.lowest
    if len(recent) == WINDOW:
        mean = sum(recent) / WINDOW
        lowest = mean if lowest is None else min(lowest, mean)
        if mean > run.recipe.running.divergence * lowest:
            raise diverged(run, f"the mean loss of {WINDOW} updates is {mean:.3g}, and was {lowest:.3g}")
    run.progress = replace(p, step=p.step + 1, in_stage=p.in_stage + 1, recent=recent, lowest=lowest)


def diverged(run: Run, story: str) -> Diverged:
    """Return the error that ends a run, with what is left to go on from."""
    names = run.checkpoints.named()
    good = "There is no checkpoint"
    if names:
        good = f"The last good checkpoint is {run.checkpoints.folder / names['last']}"
        if names.get("best", names["last"]) != names["last"]:  # a loss that rises slowly may have spoilt the last
            good += f", the best on held-out music {names['best']}"
    return Diverged(
        f"Stopped after {run.progress.step} updates (stage {run.progress.stage}): {story}. {good}. "
        f"No model was written. Lower stages.{run.progress.stage}.peak, or raise its warmup."
    )


def _measure(run: Run, stage: Stage) -> bool:
    """Measure on the held-out music of every tradition; return whether the mean over the trained ones is a new best."""
    found = measure(run)
    if lost := [tradition for tradition, metrics in found.items() if not math.isfinite(metrics.loss)]:
        raise diverged(run, f"the loss on held-out music ({', '.join(lost)}) is not finite")
    trained = [found[t].loss for t, hours in stage.hours.items() if hours and t in found]
    mean = sum(trained) / len(trained) if trained else math.inf
    best = run.progress.step > 0 and math.isfinite(mean) and (run.progress.best is None or mean < run.progress.best)
    if best:
        run.progress = replace(run.progress, best=mean)
    run.log.measured(run.progress, found)
    return best
