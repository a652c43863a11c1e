"""The story of a pre-training run: recipe, corpus, model and teacher, updates, and a folder that others load."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..baselines.base import LoadOptions
from ..baselines.hub.about import NOT_STATED, weights_sha256
from ..baselines.mert.folder import require_dtype
from ..errors import UsageError
from ..files import file_sha256, read_json
from ..tasks.base import LoadContext
from .card import CURVE, FACTS, Origin, Pretrained, pretraining_card, pretraining_facts
from .corpus.corpus import Corpus, build_corpus
from .recipes.reading import OpenedRecipe
from .recipes.recipe import FAIRSEQ, SCRATCH, Recipe
from .start import CHECKPOINTS, TRAINING, begun, has_teacher, require_place, require_same, require_whole
from .training.checkpoints import Checkpoints
from .training.group import Group, joined, launched
from .training.log import FILE, Log, read_log
from .training.tensorboard import FOLDER, EventFiles, require_tensorboard

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from .learner import MertLearner

Tell = Callable[[str], None]
Made = TypeVar("Made")


@dataclass(frozen=True)
class PretrainOptions:
    """How a run is done.

    Attributes:
        out: folder of the model.
        context: where the music is.
        device: ``auto``, ``cpu``, ``cuda`` …
        offline: never touch the network.
        max_steps: stop after so many updates in all; 0 writes the network as it begins, the twin to compare with.
        resume: go on where a run in this folder stopped.
        allow_contamination: let validation and test tracks in, and say so on the card.
        tensorboard: write event files beside the log.
        dtype: of the stored weights, ``float32`` or ``float16``; training is in float32.
        starts: folders that stand for the recipe's start by name, where a family of models is built anew.
    """

    out: Path
    context: LoadContext
    device: str = "auto"
    offline: bool = False
    max_steps: int | None = None
    resume: bool = False
    allow_contamination: bool = False
    tensorboard: bool = False
    dtype: str = "float32"
    starts: Mapping[str, Path] = field(default_factory=dict)

    def start(self, recipe: Recipe) -> str:
        """Where a recipe's start is read from: its own name, or the folder that stands for it."""
        return str(self.starts.get(recipe.start, recipe.start))


def pretrain(opened: OpenedRecipe, options: PretrainOptions, console: Console, say: Tell) -> Pretrained:
    """Pre-train a model and write its folder.

    Started by ``torchrun``, each process calls this; the first one writes.

    Args:
        opened: the recipe.
        options: how.
        console: for the bars; of the first process only.
        say: takes each sentence that a user should read.

    Raises:
        UsageError: recipe, corpus, folder or device do not fit.
        MissingError: music, model or teacher are not on this machine.
        Diverged: the loss is lost.
    """
    from .training.run import Run
    from .training.train import train

    recipe, training = opened.recipe, options.out / TRAINING
    device = training_device(options.device)
    if options.max_steps is not None and options.max_steps < 0:
        raise UsageError(f"--max-steps {options.max_steps} should be 0 or more.")
    require_dtype(options.dtype)
    half_precision = bfloat16(recipe, device)
    if options.tensorboard:
        require_tensorboard()
    require_place(options.out, options.resume)
    if options.resume:
        require_whole(training)
    origin = _origin(recipe, options)
    require_same(training, recipe, origin)
    with joined(device) as group:
        tell = say if group.leads else _nothing
        goes_on = options.resume and training.exists()
        group.wait()  # the first process may now write there
        with begun(training, recipe, origin) if group.leads else nullcontext():
            corpus = _in_turn(group, lambda: _look_for_music(recipe, options, console))
            tell_corpus(corpus, tell)
            learner = _in_turn(group, lambda: _open(recipe, corpus, options, device, training))
        if recipe.start != SCRATCH and learner.module.drawn:
            tell(f"{recipe.start} has no {', '.join(learner.module.drawn)}: drawn at random.")
        checkpoints = Checkpoints(training / CHECKPOINTS)
        at = checkpoints.progress() if options.resume else None
        if at:
            tell(f"Goes on from update {at.step} of {recipe.steps} (stage {at.stage}).")
        elif goes_on:
            tell("Nothing saved yet: begins at update 0.")
        board = EventFiles(training / FOLDER) if group.leads and options.tensorboard else None
        screen, file = (console, training / FILE) if group.leads else (None, None)
        with Log(file, recipe.steps, recipe.running.log, screen, board) as log:
            log.forget_after(at.step if at else -1)
            run = Run(recipe, corpus, learner, checkpoints, log, device, group, half_precision)
            progress = train(run, options.max_steps, options.resume)
        model = _described(opened, corpus, learner, options, origin, progress.step, group)
        if group.leads:
            write_model(learner, model, options.out, options.dtype)
        group.wait()
    return model


def _look_for_music(recipe: Recipe, options: PretrainOptions, console: Console) -> Corpus:
    with console.status("Looking for music …") as status:

        def show(what: str, done: int, total: int) -> None:
            status.update(f"{what} {done}/{total}")

        return build_corpus(recipe, replace(options.context, progress=show), options.allow_contamination)


def _nothing(sentence: str) -> None:
    """Say nothing: another process does."""


def _in_turn(group: Group, work: Callable[[], Made]) -> Made:
    """Let the first process do it before the others, which then find files already there."""
    if group.leads:
        done = work()
        group.wait()
        return done
    group.wait()
    return work()


def training_device(name: str) -> torch.device:
    """Return where this process computes; the processes of ``torchrun`` take one GPU each.

    Raises:
        UsageError: there is no such device.
    """
    import torch

    from ..baselines.device import choose_device

    device = choose_device(name)
    if device.type == "cuda" and launched()[1] > 1 and ":" not in str(device):
        device = torch.device("cuda", launched()[2])
        torch.cuda.set_device(device)
    return device


def bfloat16(recipe: Recipe, device: torch.device) -> bool:
    """Whether a run computes in bfloat16.

    Raises:
        UsageError: the recipe wants it, and the device would only emulate it.
    """
    from ..baselines.device import gains_from_bfloat16

    wanted = recipe.running.precision
    gains = gains_from_bfloat16(device)
    if wanted == "bfloat16" and not gains:
        raise UsageError(f"{device} does not multiply bfloat16 in hardware; set running.precision=auto or float32.")
    return gains and wanted != "float32"


def tell_corpus(corpus: Corpus, say: Tell) -> None:
    """Say what a user should know of a corpus."""
    if corpus.contaminated:
        say(f"CONTAMINATED: {len(corpus.found)} validation or test tracks are among the music; the card says so.")
    elif corpus.found:
        say(f"Left out: {len(corpus.found)} recordings that are validation or test tracks of a task.")
    if corpus.unchecked:
        say(f"Not checked, for their lists are not on this machine: {', '.join(corpus.unchecked)}.")
    for one in corpus.unusable[:5]:
        say(f"Left out: {one.path}: {one.reason}")
    if len(corpus.unusable) > 5:
        say(f"Left out: {len(corpus.unusable) - 5} more files that cannot be used.")


def _open(
    recipe: Recipe, corpus: Corpus, options: PretrainOptions, device: torch.device, training: Path
) -> MertLearner:
    """Build the learner; a teacher that is fitted is kept in the run's folder."""
    from ..baselines.tokens.kmeans import ResidualKMeans
    from .learner import open_learner
    from .objective.targets import read_teacher, save_teacher

    fitted = read_teacher(training) if has_teacher(training) else None
    cache = options.context.cache_root / "targets"
    load = LoadOptions(str(device), options.offline)
    learner = open_learner(replace(recipe, start=options.start(recipe)), corpus, load, cache, device, fitted)
    if fitted is None and isinstance(learner.teacher, ResidualKMeans):
        save_teacher(training, learner.teacher)
    return learner


def _described(
    opened: OpenedRecipe,
    corpus: Corpus,
    learner: MertLearner,
    options: PretrainOptions,
    origin: Origin,
    steps: int,
    group: Group,
) -> Pretrained:
    return Pretrained(
        name=options.out.resolve().name,
        opened=opened,
        corpus=corpus,
        origin=origin,
        teacher=learner.teacher.name,
        drawn=learner.module.drawn,
        steps=steps,
        held_out=_held_out(options.out / TRAINING / FILE) if group.leads else {},
        weights_sha256=_weights_sha256(learner, options.dtype),
        processes=group.size,
        streams=bool(learner.module.shape.streams),
    )


def _origin(recipe: Recipe, options: PretrainOptions) -> Origin:
    """Describe the start of a run, before anything slow: it may not be here."""
    if recipe.start == SCRATCH:
        return Origin()
    if recipe.start.endswith(FAIRSEQ):
        file = Path(recipe.start).expanduser()
        if not file.is_file():
            raise UsageError(f"{file}: there is no such checkpoint.")
        return Origin(file.stem, "a fairseq checkpoint", "not stated", NOT_STATED, file_sha256(file))
    from ..baselines.network import open_network

    network = open_network(options.start(recipe), LoadOptions(offline=options.offline))
    digest = weights_sha256(network.checkpoint.weights)
    source = "of the same family" if recipe.start in options.starts else network.source
    kept_out, held_out = (_fact(network.folder, name) for name in ("exclusion_sha256", "held_out_sha256"))
    return Origin(network.name, source, network.licence, network.trained_on, digest, kept_out, held_out)


def _fact(folder: Path | None, name: str) -> str:
    """Return what a model in a folder says of its pre-training; empty if it says nothing."""
    if folder is None or not (folder / FACTS).is_file():
        return ""
    return str(read_json(folder / FACTS).get(name, ""))


def _weights_sha256(learner: MertLearner, dtype: str) -> str:
    """Hash the encoder's weights as they are stored."""
    import torch

    parameters, stored = dict(learner.module.named_parameters()), getattr(torch, dtype)
    return weights_sha256({n: parameters[n].detach().cpu().to(stored).float() for n in learner.module.shape.tensors()})


def held_out_curve(log: Path) -> str:
    """Return what a log says of held-out music as CSV, a row for each tradition at each measurement."""
    rows = io.StringIO()
    columns = ("step", "stage", "tradition", "loss", "mean_accuracy", "cqt_error")
    writer = csv.DictWriter(rows, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for line in read_log(log):
        if line["kind"] == "held-out":
            writer.writerow({key: f"{v:.5f}" if isinstance(v, float) else v for key, v in line.items()})
    return rows.getvalue()


def _held_out(log: Path) -> dict[str, tuple[float, float]]:
    """Return the first and the last held-out loss of each tradition in a log."""
    found: dict[str, tuple[float, float]] = {}
    for line in read_log(log):
        if line["kind"] == "held-out":
            first = found.get(line["tradition"], (line["loss"], 0.0))[0]
            found[line["tradition"]] = (first, line["loss"])
    return found


def write_model(learner: MertLearner, model: Pretrained, out: Path, dtype: str = "float32") -> None:
    """Write the files of the model into its folder; the weights come last.

    Args:
        learner: what was trained.
        model: who it is.
        out: folder, with the run's own folder in it.
        dtype: of the stored weights.
    """
    from ..baselines.tokens.kmeans import ResidualKMeans
    from .objective.model import save_folder
    from .objective.targets import save_teacher

    facts = json.dumps(pretraining_facts(model), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    half = out / TRAINING / f".model.{os.getpid()}"
    shutil.rmtree(half, ignore_errors=True)
    try:
        texts = {"README.md": pretraining_card(model), FACTS: facts, CURVE: held_out_curve(out / TRAINING / FILE)}
        save_folder(learner.module, half, texts, dtype)
        if isinstance(learner.teacher, ResidualKMeans):
            save_teacher(half, learner.teacher)
        last = (FACTS, "model.safetensors")
        files = sorted(half.iterdir(), key=lambda file: file.name in last and 1 + last.index(file.name))
        # Killed between two of them, the folder holds files of two moments, and nothing that says they were one.
        (out / FACTS).unlink(missing_ok=True)
        for file in files:
            file.replace(out / file.name)
    finally:
        shutil.rmtree(half, ignore_errors=True)
