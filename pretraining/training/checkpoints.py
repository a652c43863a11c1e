"""Checkpoints: everything that an exact continuation needs, as safetensors and JSON.

``<folder>/step-00000500/`` holds ``model.safetensors``, ``optimiser.safetensors`` and ``state.json``. It is written
under another name and renamed when whole; then ``checkpoints.json`` names it, with the hash of each of its files and of
itself. What that file does not name does not exist; where it is damaged, or gone, nothing is read or removed. The last
and the best are kept. No state of a random generator is needed: every draw is keyed by the seed and the number of its
update.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import file_sha256, write_atomically
from ...untrusted import read_object
from .sealed import read_sealed, sealed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

INDEX = "checkpoints.json"
_STATE = "state.json"
FORMAT = 1

_BEFORE = ("last", "best")
"""Keys of the index of version 0.1.0, which had no hashes."""

_NAME = re.compile(r"step-\d{8,}")
_KEPT = "Nothing was changed. Put back a copy of that file, or begin anew in another folder."


@dataclass
class TrainingState:
    """How far a run is.

    Attributes:
        recipe_sha256: of its recipe.
        corpus_sha256: of its corpus.
        step: updates done in all stages.
        stage: name of the current one.
        in_stage: updates done in it.
        best: lowest mean loss on the held-out music of the traditions that the stage trains on; ``None`` before the
            first measurement of the stage.
        recent: losses of the last updates of the stage.
        lowest: lowest mean of as many; ``None`` before there were so many.
    """

    recipe_sha256: str
    corpus_sha256: str
    step: int = 0
    stage: str = ""
    in_stage: int = 0
    best: float | None = None
    recent: list[float] = field(default_factory=list)
    lowest: float | None = None


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run.

    Attributes:
        folder: where they are.
    """

    folder: Path

    def named(self) -> dict[str, str]:
        """Return ``last`` and ``best`` with the names of their folders, as far as they exist.

        Raises:
            UsageError: the index is damaged, or is gone while checkpoints are there.
        """
        return self._index()[0]

    def _index(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Return the names, and the hash of each file by folder and file; no hashes where version 0.1.0 wrote it."""
        path = self.folder / INDEX
        if not path.exists():
            if left := sorted(one.name for one in self._folders()):
                raise UsageError(f"{path}: gone, while {', '.join(left)} are there. {_KEPT}")
            return {}, {}
        try:
            content = read_sealed(path, _BEFORE)
            names = {kind: content[kind] for kind in _BEFORE if content.get(kind) is not None}
            files = content.get("files", {})
            if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names.values()):
                raise UsageError(f"{path}: damaged: it names what is no checkpoint.")
            if "files" in content and set(files) != set(names.values()):
                raise UsageError(f"{path}: damaged: it has not the hashes of its checkpoints.")
        except (OSError, UsageError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{str(error).rstrip('.')}. {_KEPT}") from error
        return names, files

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [one for one in self.folder.iterdir() if one.is_dir() and _NAME.fullmatch(one.name)]

    def verify(self) -> None:
        """Compare everything that the index names with its hashes; nothing is written.

        Raises:
            UsageError: the index or a checkpoint is damaged.
        """
        names, files = self._index()
        for name in dict.fromkeys(names.values()):
            self._require_sound(name, files.get(name, {}))

    def _require_sound(self, name: str, hashes: Mapping[str, str]) -> None:
        for file, sha256 in hashes.items():
            path = self.folder / name / file
            try:
                found = file_sha256(path)
            except OSError as error:
                raise UsageError(f"{path}: damaged ({error.strerror}). {_KEPT}") from error
            if found != sha256:
                raise UsageError(f"{path}: damaged: its bytes are not those that were written. {_KEPT}")

    def save(
        self,
        model: Mapping[str, Tensor],
        optimiser: Mapping[str, Tensor],
        progress: TrainingState,
        best: bool,
    ) -> Path:
        """Write a checkpoint, name it as the last (and as the best), and remove what is neither.

        Args:
            model: its tensors by name.
            optimiser: its tensors by name.
            progress: how far the run is.
            best: whether it is the best so far.
        """
        from safetensors.torch import save_file

        name = f"step-{progress.step:08d}"
        half, whole = self.folder / f".{name}.{os.getpid()}.part", self.folder / name
        names, hashes = self._index()
        if not names:  # from here on, checkpoints without an index are a damaged folder and not an empty one
            self._write_index({}, {})
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        save_file(_plain(model), half / "model.safetensors")
        save_file(_plain(optimiser), half / "optimiser.safetensors")
        state = json.dumps({"format": FORMAT} | asdict(progress), indent=1, allow_nan=False)
        (half / _STATE).write_text(state + "\n", encoding="utf-8")
        for file in half.iterdir():
            _sync(file)
        if whole.exists():  # the same update again: left there by a run that was killed after this point
            shutil.rmtree(whole)
        hashes[name] = {file.name: file_sha256(file) for file in sorted(half.iterdir())}
        half.rename(whole)
        names = {"last": name, "best": name if best or "best" not in names else names["best"]}
        for kept in names.values():  # of version 0.1.0
            if kept not in hashes:
                hashes[kept] = {file.name: file_sha256(file) for file in sorted((self.folder / kept).iterdir())}
        self._write_index(names, {kept: hashes[kept] for kept in names.values()})
        for old in self._folders():
            if old.name not in names.values():
                shutil.rmtree(old)
        for old in self.folder.glob(".step-*.part"):
            shutil.rmtree(old, ignore_errors=True)
        return whole

    def _write_index(self, names: Mapping[str, str], files: Mapping[str, Mapping[str, str]]) -> None:
        content = {kind: names.get(kind) for kind in _BEFORE} | {"files": files}
        write_atomically(self.folder / INDEX, (json.dumps(sealed(content)) + "\n").encode())

    def progress(self, kind: str = "last") -> TrainingState | None:
        """Return how far a checkpoint is; ``None`` if there is none.

        Raises:
            UsageError: the index or the state is damaged.
        """
        names, files = self._index()
        if (name := names.get(kind)) is None:
            return None
        folder = self.folder / name
        self._require_sound(name, {n: sha256 for n, sha256 in files.get(name, {}).items() if n == _STATE})
        try:
            state = read_object(folder / _STATE)
            if state.pop("format") != FORMAT:
                raise ValueError("written by another version of cmbench")
            return TrainingState(**state)
        except (OSError, UsageError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{folder}: this checkpoint is damaged ({error}). {_KEPT}") from error

    def load(self, kind: str = "last") -> tuple[dict[str, Tensor], dict[str, Tensor], TrainingState] | None:
        """Read a checkpoint: model, optimiser, progress; ``None`` if there is none.

        Raises:
            UsageError: a file of it is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        progress = self.progress(kind)
        if progress is None:
            return None
        names, files = self._index()
        folder = self.folder / names[kind]
        self._require_sound(names[kind], files.get(names[kind], {}))
        try:
            model, optimiser = (load_file(folder / f"{part}.safetensors") for part in ("model", "optimiser"))
        except (OSError, ValueError, SafetensorError) as error:
            raise UsageError(f"{folder}: this checkpoint is damaged ({error}). {_KEPT}") from error
        return dict(model), dict(optimiser), progress


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _sync(path: Path) -> None:
    # Windows syncs only what is open to be written.
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> dict[str, Tensor]:
    """Return the state of an optimiser as named tensors, ``<parameter>|<quantity>``."""
    return {
        f"{name}|{quantity}": tensor
        for parameter, name in names.items()
        for quantity, tensor in optimiser.state[parameter].items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`optimiser_tensors` returned.

    Raises:
        UsageError: the tensors are not those of these parameters.
    """
    named = {name: parameter for parameter, name in names.items()}
    for stored, tensor in tensors.items():
        name, _, quantity = stored.rpartition("|")
        if name not in named or (quantity != "step" and tensor.shape != named[name].shape):
            raise UsageError(f"The checkpoint's optimiser has a state of {name!r} that does not fit the model.")
        # torch keeps the number of steps on the CPU.
        place = tensor if quantity == "step" else tensor.to(named[name].device)
        optimiser.state[named[name]][quantity] = place
