"""The story of the study: tasks -> samples -> distances -> their relation to transfer."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....baselines.base import LoadOptions
from ....baselines.tokens.kmeans import CODEBOOK_SIZE
from ....errors import UsageError, quoted
from ....tasks.base import TaskData, tradition_place
from ....tasks.choice import only_if_ready, select_tasks
from ....version import __version__
from ....written import split_list
from ...commands.options import DataRoot, Device, MiniScale, MiniSeed, Models, Offline, RunEdition, Tasks
from ...comparing.transfer import transfer_matrix
from ...models import Encoders
from ...observer import Observer
from ...protocol import DEFAULT_PROTOCOL, get_protocol
from ...records.evidence import iter_evidence
from ...run import check_request, preflight
from ..base import load_context
from .distance import Distances
from .file import Similarity
from .measures import feature_distances, token_distances
from .relation import relate
from .samples import Sample, choose_state, draw_samples, read_features
from .tokens import count_sample, fit_stand_in

if TYPE_CHECKING:
    from ....baselines.tokens.base import Tokeniser
    from ...records.evidence import Evidence

STAND_IN = "stand-in"
"""Asks for tokens of residual k-means, fitted on the samples."""

MATRIX_RESAMPLES = 100
"""Of the transfer matrix, whose changes are used and whose intervals are not."""


def _pairs(option: str, values: Sequence[str], bare: bool = False) -> dict[str, str]:
    """Read MODEL=VALUE; VALUE alone, where the option allows it, is for every other model."""
    found = {}
    for text in values:
        model, _, value = text.rpartition("=")
        if not value or not (model or bare):
            raise UsageError(f"{option} {quoted(text)} should read MODEL=VALUE.")
        found[model.strip()] = value.strip()
    return found


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure; its fields are the options of the command, whose help says what each is."""

    places: Annotated[
        list[Path],
        typer.Argument(
            help="Records: what validation chose, and the transfer to relate distances to.",
            metavar="[RECORDS…]",
            show_default=False,
        ),
    ] = field(default_factory=list)
    model: Models = field(default_factory=list)
    tokens: Annotated[
        str | None, typer.Option(help="Distances of tokens: `encodec-24khz`, a folder, hf:owner/name, or `stand-in`.")
    ] = None
    tasks: Tasks = field(default_factory=lambda: ["all"])
    edition: RunEdition = None
    protocol: Annotated[str, typer.Option(help="Whose windows and records.")] = DEFAULT_PROTOCOL
    hidden_state: Annotated[
        list[str],
        typer.Option(help="[MODEL=]STATE, or `last`; by validation if the records tell, else the last."),
    ] = field(default_factory=list)
    base: Annotated[str | None, typer.Option(help="Model of the records that changes are against; the first.")] = None
    in_culture: Annotated[
        list[str], typer.Option(help="MODEL=TRADITION: what it was adapted to; read from its card if not given.")
    ] = field(default_factory=list)
    tracks: Annotated[int, typer.Option(min=5, max=1000, help="Training tracks of each task at most.")] = 200
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio of each track, for tokens.")] = 30.0
    codebook_size: Annotated[int, typer.Option(min=2, help="Tokens of each codebook of the stand-in.")] = CODEBOOK_SIZE
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap; permutations of the test.")] = 1000
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of the stand-in.")] = 0
    data_root: DataRoot = None
    device: Device = "auto"
    offline: Offline = False
    mini_scale: MiniScale = 1.0
    mini_seed: MiniSeed = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The models, each once."""
        return tuple(dict.fromkeys(self.model))

    @property
    def states(self) -> dict[str, str]:
        """Model -> hidden state; the key ``""`` is for every other model."""
        return _pairs("--hidden-state", self.hidden_state, bare=True)

    @property
    def cultures(self) -> dict[str, list[str]]:
        """Model -> traditions that it was adapted to."""
        return {model: split_list(value) for model, value in _pairs("--in-culture", self.in_culture).items()}

    @property
    def settings(self) -> dict[str, object]:
        """What a second measurement needs to come out the same."""
        names = ("protocol", "tracks", "seconds", "codebook_size", "resamples", "seed")
        return {name: getattr(self, name) for name in names}

    def check(self) -> None:
        """Raise a UsageError if nothing is asked for, or a name or a number means nothing."""
        check_request(None, self.mini_scale, None, Path())
        if not self.models and self.tokens is None:
            raise UsageError("Say what to measure: --model for features in the store, --tokens for tokens, or both.")
        if unknown := sorted(set(self.states) - {"", *self.models}):
            listed = ", ".join(self.models)
            raise UsageError(f"--hidden-state names {unknown[0]!r}, which is not among the models ({listed}).")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise UsageError(f"--seconds must be a positive number, not {self.seconds}.")
        _ = self.cultures


def cost(request: Request) -> str:
    """Say what a request takes."""
    request.check()
    parts = [f"reads the stored features of {', '.join(request.models)}"] if request.models else []
    if request.tokens is not None:
        parts.append(f"decodes {request.seconds:g} s of each of {request.tracks} tracks a task at most, for tokens")
    return f"It {' and '.join(parts)}; it encodes nothing."


def measure(request: Request, observer: Observer, records: Sequence[Evidence] | None = None) -> Similarity:
    """Measure every distance that is asked for, and relate it to the transfer that some records saw.

    Args:
        request: what to measure.
        observer: hears of each track that is rendered or made into tokens.
        records: with predictions, of one edition, split and protocol; those of the request's places if not given.

    Raises:
        UsageError: nothing is asked for, a name means nothing, editions are mixed, or there is no such record.
        MissingError: audio, weights or features are not on this machine.
        CmbenchError: half of a sample, or more, cannot be decoded.
    """
    request.check()
    found = _records(request) if records is None else records
    protocol = get_protocol(request.protocol.partition("+")[0])
    edition = request.edition or _edition_of(found)
    options = LoadOptions(device=request.device, offline=request.offline)
    codec = _codec(request, options)
    encoders = Encoders(options)
    context = load_context(observer, request.data_root, None, request.mini_scale, request.mini_seed)
    chosen, if_ready = select_tasks(request.tasks), only_if_ready(request.tasks)
    data = preflight(encoders, request.models, chosen, edition, context, if_ready=if_ready)
    data = sorted(data, key=lambda one: (tradition_place(one.task.tradition), one.task.name))
    samples = draw_samples(data, request.tracks, request.seed)
    _require_same_tracks(found, data)
    matrix = transfer_matrix(found, request.base, request.cultures, resamples=MATRIX_RESAMPLES) if found else None
    distances: list[Distances] = []
    for model in request.models:
        card = encoders.card(model)
        asked = request.states.get(model, request.states.get(""))
        state = choose_state(card, asked, [e.record for e in found], [one.task.name for one in data])
        remedy = partial(_remedy, model, request, samples[0].data.edition)
        features = read_features(
            card, state[0], samples, protocol.windowing.of(card.max_seconds), context.cache_root, remedy
        )
        distances.append(feature_distances(features, card, state, request.resamples))
    if request.tokens is not None:
        distances.append(_of_tokens(codec, request, samples, observer))
    relations = [relate(one, matrix, request.seed) for one in distances] if matrix else []
    settings = {"cmbench": __version__} | request.settings
    return Similarity(samples[0].data.edition, settings, tuple(distances), tuple(relations))


def _records(request: Request) -> list[Evidence]:
    found = list(iter_evidence(*request.places, edition=request.edition, protocol=request.protocol))
    if request.places and not found:
        which = f"edition {request.edition} and " if request.edition else ""
        asked, places = f"{which}protocol {request.protocol}", ", ".join(map(str, request.places))
        raise UsageError(f"There is no record of {asked} in {places}; `cmbench run` writes them.")
    return found


def _codec(request: Request, options: LoadOptions) -> Tokeniser | None:
    """Load EnCodec, before anything is rendered or decoded; ``None`` where it is not asked for."""
    if request.tokens in (None, STAND_IN):
        return None
    from ....baselines.tokens.encodec import load_encodec

    return load_encodec(str(request.tokens), options)


def _of_tokens(codec: Tokeniser | None, request: Request, samples: Sequence[Sample], observer: Observer) -> Distances:
    seconds, heard = request.seconds, observer.preparing
    tokeniser = codec or fit_stand_in(samples, seconds, request.codebook_size, request.seed, heard)
    counted = [count_sample(tokeniser, sample, seconds, heard) for sample in samples]
    return token_distances(counted, tokeniser, seconds, request.resamples)


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


def _remedy(model: str, request: Request, edition: str, tasks: Sequence[str]) -> str:
    """Return the command that puts features into the store."""
    paths = {task.name: part for part in request.tasks for task in select_tasks(part) if "custom" in task.editions}
    named = ",".join(shlex.quote(paths.get(task, task)) for task in tasks)
    words = ["cmbench run", f"--model {shlex.quote(model)}", f"--tasks {named}"]
    asked = {
        "edition": (None if edition == "custom" else edition, None),
        "protocol": (request.protocol.partition("+")[0], DEFAULT_PROTOCOL),
        "data-root": (request.data_root and shlex.quote(str(request.data_root)), None),
        "mini-scale": (f"{request.mini_scale:g}", "1"),
        "mini-seed": (str(request.mini_seed), "0"),
    }
    return " ".join([*words, *(f"--{name} {value}" for name, (value, usual) in asked.items() if value != usual)])
