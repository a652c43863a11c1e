"""The evaluation protocol: everything that changes a number, in one hashed object.

A change of any value is a new protocol version. Results under different protocols never share a column.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ..errors import UsageError

LATER: Mapping[str, Mapping[str, object]] = {
    "windowing": {"limits": "none"},
    "probe": {"batch_of": "windows", "halve_at": (), "fused_learns": True},
    "": {"intervals": 1, "train_resamples": 0, "unknown": "negative"},
}
"""Choices that came after the first protocols, by part, with what held before. A hash names them only where they
differ, so that the first protocols keep theirs."""


def _sha256(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _stated(facts: dict[str, object], part: str) -> dict[str, object]:
    """Return what a hash is made of: everything but later choices that are as they were before."""
    before = LATER[part]
    return {name: value for name, value in facts.items() if name not in before or value != before[name]}


@dataclass(frozen=True)
class Windowing:
    """How a track becomes windows. A track shorter than one window is one window of its own length."""

    seconds: float = 30.0  # length of a window
    hop_seconds: float = 30.0  # distance between the starts of two windows
    tail: str = "end"  # ``end``: a last window ends where the track ends; ``keep``: the remainder is a shorter window
    min_tail_seconds: float = 1.0  # a remainder shorter than this is dropped (both rules)
    resampler: str = "HQ"  # quality name of soxr
    dtype: str = "float16"  # of the stored features
    version: int = 1  # raised when the arithmetic of :mod:`cmbench.benchmark.features.windows` changes
    # ``none``: the same windows for every model; ``model``: one that takes less gets windows as long as it takes;
    # ``longest``: so does one that takes more
    limits: str = "none"

    def sha256(self, max_track_seconds: float | None) -> str:
        """Hash of the windowing together with the task's cap on the track length (seconds, or ``None``)."""
        return _sha256([self.settings, max_track_seconds])

    def of(self, max_seconds: float | None) -> Windowing:
        """Return the windows that a model gets; the distance between them keeps its share of their length.

        Raises:
            UsageError: the model takes less, and the protocol gives the same windows to every model.
        """
        if self.limits not in ("none", "model", "longest"):
            raise UsageError(f"Limits of windows are 'none', 'model' or 'longest', not {self.limits!r}.")
        limit = self.seconds if max_seconds is None else max_seconds
        if self.limits == "none" and limit < self.seconds:
            raise UsageError(
                f"The model takes windows of at most {limit:g} s, and the protocol gives {self.seconds:g} s to every "
                "model. Choose one whose windows follow the models' limits, for example --protocol cmbench-2."
            )
        seconds = {"none": self.seconds, "model": min(self.seconds, limit), "longest": limit}[self.limits]
        return replace(self, seconds=seconds, hop_seconds=self.hop_seconds * seconds / self.seconds, limits="none")

    @property
    def settings(self) -> dict[str, object]:
        """Every value, as hashes, records and stores have them."""
        return _stated(asdict(self), "windowing")


@dataclass(frozen=True)
class ProbeSettings:
    """How a probe is trained and chosen."""

    hidden: int = 512  # width of the one hidden layer (ReLU)
    dropout: float = 0.2  # after the hidden layer
    standardise: bool = True  # scale every feature by mean and deviation of the training windows
    each_layer: bool = True  # whether every hidden state alone is a candidate
    fused: bool = True  # whether the softmax-weighted sum of hidden states is a candidate
    fused_from: int = 0  # first hidden state in the sum
    fused_init: str = "zeros"  # initial logits of the sum: ``zeros`` (equal weights) or ``normal``
    learning_rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # the grid; Adam
    batch: int = 64  # windows, or tracks, per step
    max_epochs: int = 100  # passes over the training windows at most
    patience: int = 10  # epochs without a better validation score before a probe stops
    plateau_factor: float = 0.5  # the rate is multiplied by this …
    plateau_patience: int = 3  # … after this many epochs without a better validation score
    select: str = "mean"  # validation score: ``mean`` (of macro ROC-AUC and macro AP) or ``roc_auc``
    search_seed: int = 1  # the seed of the grid
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)  # seeds of the chosen configuration; the result is the mean over them
    batch_of: str = "windows"  # what ``batch`` counts: ``windows``, or ``tracks`` with all their windows
    # epochs of the search after which, of every input, only the better half of the learning rates goes on
    halve_at: tuple[int, ...] = ()
    fused_learns: bool = True  # whether the weights of the sum are trained; if not, they stay as they started


@dataclass(frozen=True)
class Protocol:
    """A versioned evaluation protocol."""

    name: str  # for example ``cmbench-2``; with a suffix where the user changed the number of seeds
    windowing: Windowing  # from tracks to windows
    probe: ProbeSettings  # from features to probabilities
    aggregation: str = "mean of window logits"  # how windows become a track
    metric_version: int = 1  # version of :mod:`cmbench.benchmark.scoring.metrics`
    f1_threshold: float = 0.5  # probability from which a label counts as predicted
    interval_level: float = 0.95  # of the cluster-bootstrap intervals
    resamples: int = 1000  # bootstrap resamples
    bootstrap_seed: int = 1  # seed of the resamples
    # share of a task's tracks that must be usable, or the cell fails; what is missing from the rest is counted in the
    # record and shown with every score
    min_coverage: float = 0.5
    origin: str = ""  # where each choice comes from
    intervals: int = 1  # version of the rules of intervals
    # cluster resamples of the training tracks on which the chosen configuration is trained again
    train_resamples: int = 0
    unknown: str = "negative"  # what a label is whose truth is not known for a track: ``negative`` or ``masked``

    @property
    def sha256(self) -> str:
        """Hash of every value but the name and the words about origin."""
        return _sha256({name: value for name, value in self.settings.items() if name not in ("name", "origin")})

    @property
    def settings(self) -> dict[str, object]:
        """Every value, as hashes and records have them."""
        parts = {"windowing": self.windowing.settings, "probe": _stated(asdict(self.probe), "probe")}
        return _stated(asdict(self), "") | parts

    def with_seeds(self, count: int) -> Protocol:
        """Return this protocol with ``count`` seeds, under a name that says so.

        Raises:
            UsageError: ``count`` is not positive.
        """
        if count < 1:
            raise UsageError(f"--seeds must be at least 1, not {count}.")
        if count == len(self.probe.seeds):
            return self
        first = self.probe.seeds[0]
        probe = replace(self.probe, seeds=tuple(range(first, first + count)))
        return replace(self, name=f"{self.name}+seeds{count}", probe=probe)


_FIRST: Mapping[str, Protocol] = {
    "cmbench-1": Protocol(
        name="cmbench-1",
        windowing=Windowing(),
        probe=ProbeSettings(),
        origin=(
            "MLP-512 probe, ReLU, dropout 0.2, batch 64, plateau and early stopping as in MARBLE v1; 30 s windows "
            "as in MARBLE's MTG tasks; every other value is our own choice."
        ),
    ),
    "marble-1": Protocol(
        name="marble-1",
        windowing=Windowing(tail="keep"),
        probe=ProbeSettings(
            standardise=False,
            fused_from=1,
            fused_init="normal",
            learning_rates=(5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2),
            select="roc_auc",
            search_seed=1234,
            seeds=(1234,),
        ),
        origin=(
            "a43992899/MARBLE-Benchmark@d9300e3: MTGTop50 and MTT base configurations and probe_MERT.sh; single "
            "precision where MARBLE trains in half; undefined labels are excluded where MARBLE counts them as 0."
        ),
    ),
}
MARBLE_1 = _FIRST["marble-1"]
DEFAULT_PROTOCOL = "cmbench-2"
"""What a run is measured under that names no other."""

PROTOCOLS: Mapping[str, Protocol] = {
    **_FIRST,
    "cmbench-2": Protocol(
        name="cmbench-2",
        windowing=Windowing(limits="model"),
        probe=ProbeSettings(halve_at=(5, 10, 20)),
        intervals=2,
        train_resamples=20,
        unknown="masked",
        origin=(
            "As cmbench-1, with four changes of our own: labels that nobody knows for a track are left out of loss and "
            "scores; the worse half of the learning rates of every hidden state stops after 5, 10 and 20 epochs; the "
            "chosen probe is trained again on 20 resamples of the training groups, so that intervals and verdicts know "
            "both samples; intervals of labels by the second rules. A model that hears less than 30 s gets windows of "
            "its own length."
        ),
    ),
    "marble-1.1": replace(
        MARBLE_1,
        name="marble-1.1",
        probe=replace(MARBLE_1.probe, batch_of="tracks"),
        origin=MARBLE_1.origin + " As marble-1, but a batch is of 64 tracks with all their windows (train_collate_fn).",
    ),
    "marble-2": Protocol(
        name="marble-2",
        windowing=Windowing(tail="keep", min_tail_seconds=24.0),
        probe=ProbeSettings(
            standardise=False,
            each_layer=False,
            learning_rates=(1e-3,),
            batch=128,
            max_epochs=50,
            select="roc_auc",
            search_seed=1234,
            seeds=(1234,),
            fused_learns=False,
        ),
        origin=(
            "a43992899/MARBLE@938c03a: probe.MERT-v1-95M.MTT.yaml (4 x 32 clips a step, 50 epochs, Adam 1e-3, rests "
            "from 0.8 of 30 s on). Our choice: the mean of all hidden states where it learns a linear layer over their "
            "concatenation; the best checkpoint where it tests the last; single precision; one process."
        ),
    ),
}


def get_protocol(protocol: str | Protocol, seeds: int | None = None) -> Protocol:
    """Return the protocol of that name, or the one that is given, with so many seeds if not its own.

    Raises:
        UsageError: there is none, or the number of seeds is not positive.
    """
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise UsageError(f"There is no protocol named {protocol!r}; choose {' or '.join(PROTOCOLS)}.")
        protocol = PROTOCOLS[protocol]
    return protocol if seeds is None else protocol.with_seeds(seeds)
