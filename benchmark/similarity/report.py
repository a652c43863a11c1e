"""The story of `cmbench report similarity`: tasks -> samples -> distances -> their relation to transfer."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ...baselines.tokens.kmeans import CODEBOOK_SIZE
from ...errors import UsageError
from ...tasks.base import LoadContext, Progress, TaskData, tradition_place
from ...tasks.choice import only_if_ready, select_tasks
from ...version import __version__
from ...written import split_list
from ..comparing.transfer import transfer_matrix
from ..models import Encoders
from ..protocol import Protocol, get_protocol
from ..run import preflight
from .distance import RESAMPLES, Distances
from .measures import feature_distances, token_distances
from .relation import Relation, relate
from .samples import TRACKS, FeatureSample, Sample, choose_state, draw_samples, read_features
from .tokens import SECONDS, count_sample, fit_stand_in

if TYPE_CHECKING:
    from ...baselines.base import EncoderCard, LoadOptions
    from ...baselines.tokens.base import Tokeniser
    from ..records.evidence import Evidence

STAND_IN = "stand-in"
"""Asks for tokens of residual k-means, fitted on the samples."""

MATRIX_RESAMPLES = 100
"""Of the transfer matrix, whose changes are used and whose intervals are not."""


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        models: whose stored features to compare.
        tokens: EnCodec by name, folder or ``hf:owner/name``; :data:`STAND_IN`; ``None`` for no tokens.
        tasks: as for a run.
        edition: ``full`` or ``mini``; ``None`` for that of the records, or ``full`` without them.
        protocol: whose windows the features are of.
        states: model -> hidden state; the key ``""`` is for every other model.
        tracks: of each task's training split at most.
        seconds: audio of each track that is made into tokens.
        codebook_size: of the stand-in.
        resamples: of the bootstrap, and permutations of the tests.
        seed: of the sample and of the stand-in.
        base: model that changes are against; the first of the records if not given.
        in_culture: model -> traditions that it was adapted to; read from the cards for models not named here.
    """

    models: tuple[str, ...] = ()
    tokens: str | None = None
    tasks: str | Sequence[str] = "all"
    edition: str | None = None
    protocol: str = "cmbench-1"
    states: Mapping[str, str] = field(default_factory=dict)
    tracks: int = TRACKS
    seconds: float = SECONDS
    codebook_size: int = CODEBOOK_SIZE
    resamples: int = RESAMPLES
    seed: int = 0
    base: str | None = None
    in_culture: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class SimilarityReport:
    """Everything that one report holds, of one edition.

    Attributes:
        edition: of all tasks.
        distances: one for each measure and source.
        relations: of each of the distances with transfer; empty without records.
        settings: what a second measurement needs to come out the same.
    """

    edition: str
    settings: Mapping[str, object]
    distances: tuple[Distances, ...]
    relations: tuple[Relation, ...] = ()


def measure_similarity(
    request: Request, found: Sequence[Evidence], context: LoadContext, options: LoadOptions, progress: Progress
) -> SimilarityReport:
    """Measure every distance that is asked for, and relate it to the transfer that some records saw.

    Args:
        request: what to measure.
        found: records with predictions, of one edition, split and protocol; may be none.
        context: where the tasks' audio is.
        options: how models are loaded.
        progress: called after each track that is made into tokens.

    Raises:
        UsageError: nothing is asked for, a name means nothing, or editions are mixed.
        MissingError: audio, weights or features are not on this machine.
        CmbenchError: half of a sample, or more, cannot be decoded.
    """
    models = tuple(dict.fromkeys(request.models))
    if not models and request.tokens is None:
        raise UsageError("Say what to measure: --model for features in the store, --tokens for tokens, or both.")
    if unknown := sorted(set(request.states) - {"", *models}):
        raise UsageError(f"--hidden-state names {unknown[0]!r}, which is not among the models ({', '.join(models)}).")
    if not (math.isfinite(request.seconds) and request.seconds > 0):
        raise UsageError(f"--seconds must be a positive number, not {request.seconds}.")
    if not (math.isfinite(context.mini_scale) and context.mini_scale > 0):
        raise UsageError(f"The scale of the mini edition must be positive, not {context.mini_scale}.")
    protocol = get_protocol(request.protocol.partition("+")[0])
    edition = request.edition or _edition_of(found)
    codec = _codec(request, options)
    encoders = Encoders(options)
    chosen, if_ready = select_tasks(request.tasks), only_if_ready(request.tasks)
    data = preflight(encoders, models, chosen, edition, context, if_ready=if_ready)
    data = sorted(data, key=lambda one: (tradition_place(one.task.tradition), one.task.name))
    samples = draw_samples(data, request.tracks, request.seed)
    _require_same_tracks(found, data)
    matrix = transfer_matrix(found, request.base, request.in_culture, resamples=MATRIX_RESAMPLES) if found else None
    features = [_features(encoders.card(model), model, request, found, samples, protocol, context) for model in models]
    distances = [feature_distances(one, samples, request.resamples) for one in features]
    if request.tokens is not None:
        tokeniser = codec or fit_stand_in(samples, request.seconds, request.codebook_size, request.seed, progress)
        counted = [count_sample(tokeniser, sample, request.seconds, progress) for sample in samples]
        distances.append(token_distances(tokeniser, counted, samples, request.seconds, request.resamples))
    relations = [relate(one, matrix, request.seed) for one in distances] if matrix else []
    settings = {"cmbench": __version__, "protocol": request.protocol} | {
        name: getattr(request, name) for name in ("tracks", "seconds", "codebook_size", "resamples", "seed")
    }
    return SimilarityReport(samples[0].data.edition, settings, tuple(distances), tuple(relations))


def _codec(request: Request, options: LoadOptions) -> Tokeniser | None:
    """Load EnCodec, before anything is rendered or decoded; ``None`` where it is not asked for."""
    if request.tokens in (None, STAND_IN):
        return None
    from ...baselines.tokens.encodec import load_encodec

    return load_encodec(str(request.tokens), options)


def _edition_of(found: Sequence[Evidence]) -> str | None:
    editions = sorted({e.record.task.edition for e in found} - {"custom"})
    if len(editions) > 1:
        raise UsageError(f"The records are of the editions {' and '.join(editions)}; choose one with --edition.")
    return editions[0] if editions else None


def _require_same_tracks(found: Sequence[Evidence], data: Sequence[TaskData]) -> None:
    """Raise if a record is of other splits than the task that is loaded here."""
    splits = {d.task.name: d.split_sha256 for d in data}
    for e in found:
        task = e.record.task
        if splits.get(task.name, task.split_sha256) != task.split_sha256:
            raise UsageError(
                f"{e.path}: this record of {task.name} is of other tracks than those found here (split hash differs). "
                "Give the --data-root, --mini-scale and --mini-seed of that run."
            )


def _features(
    card: EncoderCard,
    model: str,
    request: Request,
    found: Sequence[Evidence],
    samples: Sequence[Sample],
    protocol: Protocol,
    context: LoadContext,
) -> FeatureSample:
    """Read one model's features in one hidden state."""
    tasks = [sample.data.task.name for sample in samples]
    asked = request.states.get(model, request.states.get(""))
    state = choose_state(card, asked, [e.record for e in found], tasks)
    remedy = partial(_remedy, model, request, samples[0].data.edition, protocol, context)
    return read_features(card, state, samples, protocol.windowing, context.cache_root, remedy)


def _remedy(
    model: str, request: Request, edition: str, protocol: Protocol, context: LoadContext, tasks: Sequence[str]
) -> str:
    """Return the command that puts features into the store."""
    parts = split_list(request.tasks) if isinstance(request.tasks, str) else request.tasks
    # A task of one's own is known by its path only.
    paths = {task.name: part for part in parts for task in select_tasks(part) if "custom" in task.editions}
    named = ",".join(shlex.quote(paths.get(task, task)) for task in tasks)
    words = ["cmbench run", f"--model {shlex.quote(model)}", f"--tasks {named}"]
    if edition != "custom":
        words.append(f"--edition {edition}")
    if protocol.name != "cmbench-1":
        words.append(f"--protocol {protocol.name}")
    if context.data_root is not None:
        words.append(f"--data-root {shlex.quote(str(context.data_root))}")
    for option, value, usual in (("scale", context.mini_scale, 1.0), ("seed", context.mini_seed, 0)):
        if value != usual:
            words.append(f"--mini-{option} {value:g}")
    return " ".join(words)
