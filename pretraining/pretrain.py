"""The story of a pre-training run: recipe, corpus, model and teacher, updates, and a folder that others load."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..baselines.base import LoadOptions
from ..baselines.hub.about import NOT_STATED, weights_sha256
from ..baselines.mert.folder import require_dtype
from ..errors import UsageError
from ..files import file_sha256, read_json, write_atomically
from ..tasks.base import LoadContext
from .card import CURVE, FACTS, Origin, Pretrained, pretraining_card, pretraining_facts
from .corpus.corpus import Corpus, build_corpus
from .recipes.reading import OpenedRecipe
from .recipes.recipe import FAIRSEQ, SCRATCH, Recipe
from .training.checkpoints import Checkpoints
from .training.group import Group, joined, launched
from .training.log import FILE, Log, read_log, require_sound
from .training.sealed import read_sealed, sealed
from .training.tensorboard import FOLDER, EventFiles, require_tensorboard

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from .learner import MertLearner

Tell = Callable[[str], None]
Made = TypeVar("Made")

BEGUN = "start.json"
"""File of the weights that a run began with, in the run's own folder."""

_BEFORE = ("weights_sha256",)
"""Keys of that file in version 0.1.0, which had no hashes."""

TRAINING = "training"
"""Folder of checkpoints and log within the model's folder."""


@dataclass(frozen=True)
class PretrainOptions:
    """How a run is done.

    Attributes:
        out: folder of the model.
        context: where the music is.
        device: ``auto``, ``cpu``, ``cuda`` …
        offline: never touch the network.
        max_steps: stop after so many updates in all.
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
    recipe, training = opened.recipe, options.out / TRAINING
    device = training_device(options.device)
    if options.max_steps is not None and options.max_steps < 1:
        raise UsageError(f"--max-steps {options.max_steps} should be at least 1.")
    require_dtype(options.dtype)
    half_precision = bfloat16(recipe, device)
    if options.tensorboard:
        require_tensorboard()
    _require_place(options)
    if options.resume:
        require_whole(training)
    origin = _origin(recipe, options)
    with joined(device) as group:
        tell = say if group.leads else _nothing
        with console.status("Looking for music …") as status:

            def show(what: str, done: int, total: int) -> None:
                status.update(f"{what} {done}/{total}")

            context = replace(options.context, progress=show)
            corpus = _in_turn(group, lambda: build_corpus(recipe, context, options.allow_contamination))
        tell_corpus(corpus, tell)
        _in_turn(group, lambda: _same_start(training / BEGUN, origin))
        learner = _in_turn(group, lambda: _open(recipe, corpus, options, device, training))
        if group.leads:
            note_start(training, origin)
        if recipe.start != SCRATCH and learner.module.drawn:
            tell(f"{recipe.start} has no {', '.join(learner.module.drawn)}: drawn at random.")
        log_file = training / FILE if group.leads else None
        board = EventFiles(training / FOLDER) if group.leads and options.tensorboard else None
        from .training.run import Run
        from .training.train import train

        with Log(log_file, recipe.steps, recipe.running.log, console if group.leads else None, board) as log:
            checkpoints = Checkpoints(training / "checkpoints")
            found = checkpoints.load() if options.resume else None
            log.forget_after(found[2].step if found else -1)
            run = Run(recipe, corpus, learner, checkpoints, log, device, group, half_precision)
            progress = train(run, options.max_steps, options.resume)
        model = _described(opened, corpus, learner, options, origin, progress.step, group)
        if group.leads:
            write_model(learner, model, options.out, options.dtype)
        group.wait()
    return model


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


def _require_place(options: PretrainOptions) -> None:
    out = options.out
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder.")
    held = out.is_dir() and any(out.iterdir())
    if held and not options.resume:
        raise UsageError(f"{out} is not empty. Go on with the run there by --resume, or name another folder.")
    if held and not (out / TRAINING).is_dir():
        raise UsageError(f"{out} holds no run to resume; name another folder.")


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
    from .objective.targets import TEACHER, read_teacher, save_teacher

    # One that no start was noted of is from a run that was killed before it began.
    fitted = read_teacher(training) if (training / TEACHER).is_file() and (training / BEGUN).is_file() else None
    cache = options.context.cache_root / "targets"
    load = LoadOptions(str(device), options.offline)
    learner = open_learner(replace(recipe, start=options.start(recipe)), corpus, load, cache, device, fitted)
    # Not before all is there: a folder with a run in it is not started anew.
    training.mkdir(parents=True, exist_ok=True)
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
    )


def _origin(recipe: Recipe, options: PretrainOptions) -> Origin:
    """Describe the start of a run, before anything slow: it may not be here."""
    if recipe.start == SCRATCH:
        return Origin()
    if recipe.start.endswith(FAIRSEQ):
        file = Path(recipe.start).expanduser()
        if not file.is_file():
            raise UsageError(f"{file}: there is no such checkpoint.")
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Origin(file.stem, "a fairseq checkpoint", "not stated", NOT_STATED, digest)
    from ..baselines.network import open_network

    network = open_network(options.start(recipe), LoadOptions(offline=options.offline))
    digest = weights_sha256(network.checkpoint.weights)
    source = "of the same family" if recipe.start in options.starts else network.source
    kept_out, held_out = (_fact(network.folder, name) for name in ("exclusion_sha256", "held_out_sha256"))
    return Origin(network.name, source, network.licence, network.trained_on, digest, kept_out, held_out)


def require_whole(training: Path) -> None:
    """Compare what an interrupted run left with the hashes it noted, before anything is written.

    Raises:
        UsageError: something is damaged, or gone while the rest is there; or a model that was written was changed.
        CmbenchError: a line of the log is damaged.
    """
    from ..baselines.hub.about import require_stated_files
    from .objective.targets import TEACHER

    # The end of the run replaces what was written, and what somebody may have made of it.
    require_stated_files(training.parent, card=True)
    checkpoints = Checkpoints(training / "checkpoints")
    checkpoints.verify()
    require_sound(training / FILE)
    begun = training / BEGUN
    if not begun.exists():
        if checkpoints.named():
            raise UsageError(f"{begun}: gone, while there are checkpoints. Put it back, or begin in another folder.")
        return
    teacher = read_sealed(begun, _BEFORE).get("teacher_sha256")
    if teacher and (not (training / TEACHER).is_file() or file_sha256(training / TEACHER) != teacher):
        raise UsageError(
            f"{training / TEACHER}: damaged or gone: it is not what the run began with. Nothing was changed. "
            f"Put back a copy of it (one lies in {training.parent} if a model was written), or begin in another folder."
        )


def note_start(training: Path, origin: Origin) -> None:
    """Note what the run begins with; what is noted already stays."""
    from .objective.targets import TEACHER

    file, teacher = training / BEGUN, training / TEACHER
    if file.is_file() and set(read_sealed(file, _BEFORE)) != set(_BEFORE):
        return
    facts = {
        "weights_sha256": origin.weights_sha256,
        "teacher_sha256": file_sha256(teacher) if teacher.is_file() else "",
    }
    write_atomically(file, (json.dumps(sealed(facts)) + "\n").encode())


def _same_start(file: Path, origin: Origin) -> None:
    """Refuse to go on with a run from another start: its checkpoint would be described by the wrong one.

    Raises:
        UsageError: the run there began with other weights.
    """
    if file.is_file() and (was := read_sealed(file, _BEFORE)["weights_sha256"]) != origin.weights_sha256:
        raise UsageError(
            f"{file.parent.parent}: the run there began with other weights ({str(was)[:12]}, not "
            f"{origin.weights_sha256[:12]}). Give the same start as then, or another --out."
        )


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
