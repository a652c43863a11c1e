"""Checkpoints: everything that an exact continuation needs, as safetensors and JSON.

``<folder>/step-00000500/`` holds ``model.safetensors``, ``optimiser.safetensors`` and ``state.json``. It is written
under another name and renamed when whole; then ``checkpoints.json`` names it. What that file does not name does not
exist. The last and the best are kept. No state of a random generator is needed: every draw is keyed by the seed and the
number of its update.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

INDEX = "checkpoints.json"
FORMAT = 1


@dataclass
class Progress:
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
            UsageError: the index is damaged.
        """
        path = self.folder / INDEX
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return {kind: str(content[kind]) for kind in ("last", "best") if content.get(kind)}
        except (ValueError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: damaged ({error}). Start the run anew in another folder.") from error

    def save(
        self,
        model: Mapping[str, Tensor],
        optimiser: Mapping[str, Tensor],
        progress: Progress,
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
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        save_file(_plain(model), half / "model.safetensors")
        save_file(_plain(optimiser), half / "optimiser.safetensors")
        state = json.dumps({"format": FORMAT} | asdict(progress), indent=1, allow_nan=False)
        (half / "state.json").write_text(state + "\n", encoding="utf-8")
        for file in half.iterdir():
            _sync(file)
        names = self.named()
        if whole.exists():  # the same update again: left there by a run that was killed after this point
            shutil.rmtree(whole)
        half.rename(whole)
        names = {"last": name, "best": name if best or "best" not in names else names["best"]}
        index = self.folder / f".{INDEX}.{os.getpid()}.part"
        index.write_text(json.dumps(names) + "\n", encoding="utf-8")
        _sync(index)
        index.replace(self.folder / INDEX)
        for old in self.folder.iterdir():
            if old.is_dir() and old.name not in names.values():
                shutil.rmtree(old)
        return whole

    def load(self, kind: str = "last") -> tuple[dict[str, Tensor], dict[str, Tensor], Progress] | None:
        """Read a checkpoint: model, optimiser, progress; ``None`` if there is none.

        Raises:
            UsageError: a file of it is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        name = self.named().get(kind)
        if name is None:
            return None
        folder = self.folder / name
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            if state.pop("format") != FORMAT:
                raise UsageError(f"{folder}: written by another version of cmbench; start the run anew.")
            progress = Progress(**state)
            model, optimiser = (load_file(folder / f"{part}.safetensors") for part in ("model", "optimiser"))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise UsageError(
                f"{folder}: this checkpoint is damaged ({error}). If {INDEX} names another as best, put its name "
                "in place of this one; else start the run anew."
            ) from error
        return dict(model), dict(optimiser), progress


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
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
