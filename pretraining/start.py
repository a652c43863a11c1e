"""What a run begins with, noted in its folder from the first moment, and compared before anything goes on there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..baselines.hub.about import require_stated_files
from ..errors import UsageError
from ..files import file_sha256, write_atomically
from .card import Origin
from .objective.targets import TEACHER
from .recipes.recipe import Recipe
from .training.checkpoints import Checkpoints
from .training.log import FILE, require_sound
from .training.sealed import read_sealed, sealed

TRAINING = "training"
"""Folder of checkpoints and log within the model's folder."""

CHECKPOINTS = "checkpoints"
"""Folder of checkpoints within that one."""

BEGUN = "start.json"
"""File of the recipe and the weights that a run began with, in its own folder, and of its teacher once there is one."""

_BEFORE = ("weights_sha256",)
"""Keys of that file in version 0.1.0, which had no hashes."""

_TEACHER = "teacher_sha256"


def require_place(out: Path, resume: bool) -> None:
    """Check that a run may begin in a folder, or go on there.

    Raises:
        UsageError: it is a file, holds something else, or a run that was not asked for.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder.")
    held = out.is_dir() and any(out.iterdir())
    if held and not resume:
        raise UsageError(f"{out} is not empty. Go on with the run there by --resume, or name another folder.")
    if held and not (out / TRAINING).is_dir():
        raise UsageError(f"{out} holds no run to resume; name another folder.")


def require_whole(training: Path) -> None:
    """Compare what an interrupted run left with the hashes it noted, before anything is written.

    Raises:
        UsageError: something is damaged, or gone while the rest is there; or a model that was written was changed.
        CmbenchError: a line of the log is damaged.
    """
    # The end of the run replaces what was written, and what somebody may have made of it.
    require_stated_files(training.parent, card=True)
    checkpoints = Checkpoints(training / CHECKPOINTS)
    checkpoints.verify()
    require_sound(training / FILE)
    begun = training / BEGUN
    if not begun.exists():
        if checkpoints.named():
            raise UsageError(f"{begun}: gone, while there are checkpoints. Put it back, or begin in another folder.")
        return
    teacher = read_sealed(begun, _BEFORE).get(_TEACHER)
    if teacher and (not (training / TEACHER).is_file() or file_sha256(training / TEACHER) != teacher):
        raise UsageError(
            f"{training / TEACHER}: damaged or gone: it is not what the run began with. Nothing was changed. "
            f"Put back a copy of it (one lies in {training.parent} if a model was written), or begin in another folder."
        )


def require_same(training: Path, recipe: Recipe, origin: Origin) -> None:
    """Refuse to go on with a run of another recipe or another start: its model would be described by the wrong one.

    Raises:
        UsageError: the run there has another recipe, or began with other weights.
    """
    if not (training / BEGUN).is_file():
        return
    noted = read_sealed(training / BEGUN, _BEFORE)
    for key, said, now, remedy in (
        ("recipe_sha256", "has another recipe", recipe.sha256, "the same recipe and changes"),
        ("weights_sha256", "began with other weights", origin.weights_sha256, "the same start"),
    ):
        if (was := noted.get(key, now)) != now:  # versions up to 0.1.0 noted no recipe here
            raise UsageError(
                f"{training.parent}: the run there {said} ({str(was)[:12]}, not {now[:12]}). Give {remedy} as then, or "
                "another --out."
            )


def has_teacher(training: Path) -> bool:
    """Whether a run's fitted teacher is the one it began with, and not of a run that was killed before it began."""
    if not (training / TEACHER).is_file() or not (training / BEGUN).is_file():
        return False
    noted = read_sealed(training / BEGUN, _BEFORE)
    return _TEACHER in noted or set(noted) == set(_BEFORE)


@contextmanager
def begun(training: Path, recipe: Recipe, origin: Origin) -> Iterator[None]:
    """Note recipe and start while a run is prepared, and its teacher at the end; an error takes a new folder back.

    Ctrl-C and a kill leave the note: the same command with ``--resume`` goes on, and no other does.
    """
    new = not training.exists()
    facts: dict[str, object] = {"recipe_sha256": recipe.sha256, "weights_sha256": origin.weights_sha256}
    if not (training / BEGUN).is_file():
        _note(training, facts)
    try:
        yield
    except Exception:
        if new:
            shutil.rmtree(training)
            if not any(training.parent.iterdir()):
                training.parent.rmdir()
        raise
    if _TEACHER not in read_sealed(training / BEGUN, _BEFORE):
        teacher = training / TEACHER
        _note(training, facts | {_TEACHER: file_sha256(teacher) if teacher.is_file() else ""})


def _note(training: Path, facts: dict[str, object]) -> None:
    write_atomically(training / BEGUN, (json.dumps(sealed(facts)) + "\n").encode())
