"""The trained probes of a cell, kept beside its record so that they can tag new recordings.

One safetensors file: the parameters of every seed, the scaling of the hidden states that they look at, hashes by which
tracks of the training and validation splits are known again, and as JSON what they were trained on. Nothing in it is
code.

The probabilities of a probe are not frequencies. They are calibrated by Platt scaling ("Probabilistic outputs for
support vector machines", 1999): one slope and one offset of the logits, for all labels together, with his targets,
fitted to the validation tracks. The same tracks chose the probe, so its confidence may still be on the high side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ...errors import CmbenchError, UsageError
from ...files import SEAL, seal_is_broken, sealed
from .bank import FUSED, Probe, Shape, Stack
from .inputs import Scaling, WindowFeatures, Windows
from .training import TrackScorer

FORMAT, _UNSEALED = "cmbench-heads-2", "cmbench-heads-1"
"""The second states the hash of its tensors and of what it says of them; the first, which did not, is read too."""

FEWEST = 10
"""True and false answers on validation, over all labels, that a calibration needs at least of each."""

_HASH_BYTES = 8


@dataclass(frozen=True)
class Calibration:
    """Turns a mean logit into a calibrated one: ``slope * logit + offset``.

    Attributes:
        slope: positive.
        offset: added.
        tracks: of the validation split.
        positives: labels of those tracks, all together.
    """

    slope: float
    offset: float
    tracks: int
    positives: int


@dataclass(frozen=True, eq=False)
class Heads:
    """The chosen probe of every seed.

    Attributes:
        members: input, learning rate and seed of each.
        shape: sizes.
        parameters: float32 ``[seeds, size]``.
        states: hidden states of the encoder.
        scaling: mean and factor of the hidden states that the probes look at, float32 ``[2, len(layers), dim]``;
            ``None`` where features are taken as they are.
        calibration: ``None`` where validation has too few answers.
    """

    members: tuple[Probe, ...]
    shape: Shape
    parameters: NDArray[np.float32]
    states: int
    scaling: NDArray[np.float32] | None
    calibration: Calibration | None

    def stack(self, device: str) -> Stack:
        """Return the probes ready to be used."""
        return Stack(self.members, torch.from_numpy(self.parameters).to(device), self.shape)

    def logits(self, features: NDArray[np.float16], device: str) -> NDArray[np.float64]:
        """Return the logits of one recording, mean over windows and seeds ``[labels]``.

        Args:
            features: of its windows ``[windows, states, dim]``.
            device: of torch.
        """
        mean: NDArray[np.float64] = self.track_logits(_One(features), device)[0]
        return mean

    def track_logits(self, features: WindowFeatures, device: str) -> NDArray[np.float64]:
        """Return the logits of tracks, mean over windows and seeds ``[tracks, labels]``.

        Args:
            features: of their windows; every track has one at least.
            device: of torch.
        """
        stack = self.stack(device)
        scaling = None
        if self.scaling is not None:
            whole = np.zeros((2, self.states, self.shape.dim), dtype=np.float32)
            whole[:, list(stack.layers)] = self.scaling
            scaling = Scaling(torch.from_numpy(whole[0]), torch.from_numpy(whole[1]))
        together = self.shape.fused if self.members[0].layer == FUSED else ()
        scorer = TrackScorer(Windows(features, stack.layers, scaling, device, 0), features.track_of_window, together)
        mean: NDArray[np.float64] = scorer.track_logits(stack).astype(np.float64).mean(axis=0)
        return mean

    def calibrated(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return mean logits moved by the calibration if there is one."""
        if self.calibration is None:
            return logits
        return self.calibration.slope * logits + self.calibration.offset

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of mean logits, calibrated if there is a calibration."""
        found: NDArray[np.float64] = expit(self.calibrated(logits))
        return found


class _One:
    """The windows of one recording, as probes see a split."""

    def __init__(self, features: NDArray[np.float16]) -> None:
        self._features = features
        self.layers, self.dim = features.shape[1:]
        self.track_of_window: NDArray[np.int64] = np.zeros(len(features), dtype=np.int64)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the features of some windows."""
        return self._features[rows]


def heads_of(stack: Stack, states: int, scaling: Scaling | None, calibration: Calibration | None) -> Heads:
    """Return the probes of a stack, on the CPU, with as much of the scaling as they need."""
    kept = None
    if scaling is not None:
        rows = list(stack.layers)
        kept = torch.stack([scaling.mean[rows], scaling.factor[rows]]).cpu().numpy()
    return Heads(stack.members, stack.shape, stack.flat.cpu().numpy(), states, kept, calibration)


def calibrate(
    logits: NDArray[np.float32], labels: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> Calibration | None:
    """Fit slope and offset to the validation split; ``None`` if it has fewer than :data:`FEWEST` answers of a kind.

    Args:
        logits: ``[seeds, tracks, labels]``.
        labels: ``[tracks, labels]``.
        known: ``[tracks, labels]``, the answers that count; all if not given.
    """
    counted = np.ones_like(labels) if known is None else known
    true = labels[counted]
    positives = int(true.sum())
    negatives = true.size - positives
    if min(positives, negatives) < FEWEST:
        return None
    x = logits.astype(np.float64).mean(axis=0)[counted]
    target = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = values[0] * x + values[1]
        error = expit(z) - target
        return float((np.logaddexp(0.0, z) - target * z).mean()), np.array([(error * x).mean(), error.mean()])

    # A slope that is not positive would turn the order of the labels round, which validation itself has chosen.
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-2, 1e2), (None, None)])
    return Calibration(float(found.x[0]), float(found.x[1]), len(labels), positives)


def heads_path(record: Path) -> Path:
    """Return where the heads of a record are: beside it."""
    return record.with_name(f"{record.name.removesuffix('.json')}.heads.safetensors")


def short_hashes(sha256: Sequence[str | None]) -> NDArray[np.uint8]:
    """Return the first bytes of some hashes ``[hashes, 8]``, by which a file is known again."""
    known = [bytes.fromhex(digest)[:_HASH_BYTES] for digest in sha256 if digest]
    return np.frombuffer(b"".join(sorted(known)), dtype=np.uint8).reshape(-1, _HASH_BYTES)


def heads_bytes(heads: Heads, about: dict[str, Any], audio: dict[str, NDArray[np.uint8]]) -> bytes:
    """Return the file of some heads: the same bytes for the same content.

    Args:
        heads: the probes.
        about: what they were trained on.
        audio: :func:`short_hashes` of the files of each split that they were made with.
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {"parameters": np.ascontiguousarray(heads.parameters)}
    tensors |= {} if heads.scaling is None else {"scaling": np.ascontiguousarray(heads.scaling)}
    tensors |= {f"audio_{split}": np.ascontiguousarray(hashes) for split, hashes in audio.items()}
    facts = {
        "format": FORMAT,
        "members": [asdict(member) for member in heads.members],
        "shape": asdict(heads.shape),
        "states": heads.states,
        "calibration": None if heads.calibration is None else asdict(heads.calibration),
        "about": about,
    }
    facts = sealed(facts | {"tensors_sha256": _tensors_sha256(tensors)})
    return save(tensors, {"cmbench": json.dumps(facts, ensure_ascii=False, allow_nan=False, sort_keys=True)})


def _tensors_sha256(tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype.str} {list(tensors[name].shape)}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def _require_unchanged(facts: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise a ValueError for a file of another format, or one that is not as it was written."""
    if facts["format"] not in (FORMAT, _UNSEALED):
        raise ValueError(f"of format {facts['format']!r}")
    sealed_as = facts.get("tensors_sha256"), SEAL in facts
    wanted = (None, False) if facts["format"] == _UNSEALED else (_tensors_sha256(tensors), True)
    if sealed_as != wanted or seal_is_broken(facts):
        raise ValueError("it has changed since it was written; the same `cmbench run` with --force makes it again")


def read_heads(path: Path) -> tuple[Heads, dict[str, Any], dict[str, NDArray[np.uint8]]]:
    """Return heads, what they were trained on, and the hashes of the files that they were made with, by split.

    Raises:
        UsageError: there is no such file.
        CmbenchError: it is no file of heads.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UsageError(
            f"{path}: the trained heads are not beside the record: an earlier cmbench made it, or it was moved alone. "
            "The same `cmbench run` with --force makes them (stored features are used)."
        )
    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {})["cmbench"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
        _require_unchanged(facts, tensors)
        shape = Shape(**facts["shape"] | {"fused": tuple(facts["shape"]["fused"])})
        calibration = Calibration(**facts["calibration"]) if facts["calibration"] else None
        heads = Heads(
            tuple(Probe(**member) for member in facts["members"]),
            shape, tensors["parameters"], int(facts["states"]), tensors.get("scaling"), calibration,
        )  # fmt: skip
        if heads.parameters.dtype != np.float32 or heads.parameters.shape != (len(heads.members), shape.size):
            raise ValueError(f"parameters of shape {heads.parameters.shape}")
        about: dict[str, Any] = facts["about"]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CmbenchError(f"{path}: this is no file of heads ({type(error).__name__}: {error}).") from error
    audio = {n.removeprefix("audio_"): t for n, t in tensors.items() if n.startswith("audio_")}
    return heads, about, audio
