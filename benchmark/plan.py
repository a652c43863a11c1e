"""What a run would do, before it does anything: cells, what is stored, what is to fetch, audio-hours, hours, the order.

Nothing is written, rendered or fetched, and no server is asked: what is not known on this machine is said not to be.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..baselines.base import EncoderCard, LoadOptions
from ..errors import MissingError
from ..paths import cache_root
from ..tasks.base import PAPER_TASKS, LoadContext, Task, TaskData, Track
from ..tasks.choice import only_if_ready, select_tasks
from ..tasks.splits.names import SPLITS
from .models import Encoders
from .needs import DATA_ROOT, Need, model_need, task_needs
from .protocol import Protocol, get_protocol
from .rates import Rate, read_rates, window_count
from .request import RunRequest
from .run import as_models, check_request, edition_of, require_data_root

SCHEMA = 1

FINISHED, STORED, PARTLY, TO_DO = "finished", "features stored", "features partly stored", "to compute"
NO_DATA, NO_MODEL = "data missing", "model missing"
LEFT_OUT = "left out: data missing"
"""Of a task that ``ready`` brings in."""

NOTHING_READY = "Of `ready` nothing is here, so the run would stop: it needs one of these tasks at least."

DONE = (FINISHED, LEFT_OUT)
"""Cells that a run has nothing to do for."""

MINI_SECONDS = 8.0
"""Of a mini track that is not rendered yet; they take 6 to 10 s."""


@dataclass(frozen=True)
class PlannedCell:
    """One model on one task."""

    model: str  # its name
    task: str  # its name
    edition: str  # of the task
    split: str  # of the task
    # finished, features stored, features partly stored, to compute, data missing, left out, or model missing
    state: str
    tracks: int  # of all splits
    stored: int  # tracks whose features are in the store
    hours: float  # of audio, after the task's cap; worked out where a file does not tell its length
    hours_to_encode: float  # of audio without features


@dataclass(frozen=True)
class Expected:
    """What is left to compute of a model on one device that was measured."""

    model: str  # its name
    device: str  # in words
    measured_by: str  # the doctor, or records
    encode_hours: float | None  # of encoding; ``None`` where that was not measured
    probe_hours: float | None  # of probes; ``None`` where that was not measured


@dataclass(frozen=True)
class RunPlan:
    """What a run would do."""

    protocol: str  # its name
    protocol_sha256: str  # its hash
    out: str  # folder of the records
    data_root: str | None  # folder of the real data sets; ``None`` if there is none
    needs: tuple[Need, ...]  # what is to be got
    cells: tuple[PlannedCell, ...]  # models outermost
    expected: tuple[Expected, ...]  # by model and measured device
    unmeasured: tuple[str, ...]  # models of which no device was measured
    order: tuple[str, ...]  # what to do, one step a line
    notes: tuple[str, ...]  # what a reader must know of the figures
    schema: int = SCHEMA  # of this plan as JSON


def plan_run(asked: RunRequest) -> RunPlan:
    """Say what :func:`.run.run` would do of a request; every model by name.

    Raises:
        UsageError: a name or a value means nothing.
    """
    out = Path(asked.out)
    check_request(asked.edition, asked.mini_scale, None, out)
    chosen, root = get_protocol(asked.protocol, asked.seeds), require_data_root(asked.data_root)
    names = [name for name in as_models(asked.model) if isinstance(name, str)]
    context = LoadContext(root, cache_root(), mini_scale=asked.mini_scale, mini_seed=asked.mini_seed, writes=False)
    if_ready = only_if_ready(asked.tasks)
    loads = [
        _load(task, asked.edition, asked.split, context, task.name in if_ready) for task in select_tasks(asked.tasks)
    ]
    if nothing_ready := all(load.left_out for load in loads):
        loads = [load.required() for load in loads]
    encoders = Encoders(LoadOptions("cpu", offline=True, precision=asked.precision))
    cards, lacking = _cards(encoders, names)
    needs = [*(need for load in loads for need in load.needs), *lacking]
    cells = tuple(_cell(cards[name], name, load, chosen, out) for name in names for load in loads)
    rates, problems = read_rates(out, cache_root(), cards, chosen, asked.precision)
    where = DATA_ROOT if root is None and any(cell.edition == "full" for cell in cells) else root
    command = _command(replace(asked, data_root=None if where is None else str(where)))
    return RunPlan(
        protocol=chosen.name,
        protocol_sha256=chosen.sha256,
        out=asked.out,
        data_root=None if root is None else str(root),
        needs=tuple(needs),
        cells=cells,
        expected=tuple(_expected(name, rate, cells) for name in cards for rate in rates[name]),
        unmeasured=tuple(name for name in cards if not any(rate.encode for rate in rates[name])),
        order=_order(needs, cells, command, root or DATA_ROOT),
        notes=(*([NOTHING_READY] if nothing_ready else ()), *_notes(cells, needs), *problems),
    )


def _cards(encoders: Encoders, names: Sequence[str]) -> tuple[dict[str, EncoderCard | None], list[Need]]:
    cards: dict[str, EncoderCard | None] = {}
    needs: list[Need] = []
    for name in dict.fromkeys(names):
        try:
            cards[name] = encoders.card(name)
        except MissingError as error:
            cards[name] = None
            needs += [model_need(name, one) for one in error.missing]
    return cards, needs


@dataclass(frozen=True)
class _Load:
    """A task as far as it is here."""

    task: Task
    edition: str
    split: str
    data: TaskData | None
    tracks: int
    seconds: float
    needs: tuple[Need, ...]
    left_out: bool = False

    def required(self) -> _Load:
        """Return the task as one that the run does not go on without."""
        return replace(self, left_out=False, needs=tuple(replace(need, blocks=True) for need in self.needs))


def _load(task: Task, edition: str | None, split: str | None, context: LoadContext, if_ready: bool) -> _Load:
    """Look at a task; nothing is rendered, drawn or written."""
    edition = edition_of(task, edition)
    usual = task.editions[edition].split_name if edition in task.editions else "own"
    about = (task, edition, split or usual)
    try:
        data = task.load(edition, replace(context, needs_audio=edition != "mini"), split)
    except MissingError as error:
        needs = task_needs(task, context.data_root, error.missing, blocks=not if_ready)
        count = sum(task.counts.values())
        mean = min(task.mean_seconds or 0.0, task.max_track_seconds or float("inf"))
        return _Load(*about, None, count, count * mean, needs, if_ready)
    tracks = [track for part in SPLITS for track in data.splits[part]]
    seconds = sum(_seconds(track, task, edition) for track in tracks)
    needs = task_needs(task, context.data_root, (), blocks=False) if edition == "full" else ()
    return _Load(*about, data, len(tracks), seconds, needs)


def _seconds(track: Track, task: Task, edition: str) -> float:
    """Return how much audio of a track is used, as well as it can be told without opening the file."""
    from .features.extract import expected_seconds

    if edition == "mini":
        return MINI_SECONDS
    if track.end is None and track.seconds is not None:
        return min(track.seconds, task.max_track_seconds or track.seconds)
    return expected_seconds(track, task.max_track_seconds)


def _cell(card: EncoderCard | None, name: str, load: _Load, protocol: Protocol, out: Path) -> PlannedCell:
    hours = load.seconds / 3600

    def cell(state: str, stored: int = 0, left: float = hours) -> PlannedCell:
        return PlannedCell(name, load.task.name, load.edition, load.split, state, load.tracks, stored, hours, left)

    if load.data is None:
        return cell(LEFT_OUT, left=0.0) if load.left_out else cell(NO_DATA)
    if card is None:
        return cell(NO_MODEL)
    from .cell import cell_sha256, find_finished, open_store, record_path
    from .features.store import audio_sha256

    tracks = [track for part in SPLITS for track in load.data.splits[part]]
    entries = open_store(card, load.data, protocol.windowing.of(card.max_seconds)).valid_entries(tracks)
    left = sum(_seconds(t, load.task, load.edition) for t in tracks if t.id not in entries) / 3600
    path = record_path(out, card, load.data, protocol)
    # Files are hashed only where there is a record that may be of them.
    if path.is_file():
        key = cell_sha256(card, load.data, protocol, audio_sha256(tracks, entries))
        if find_finished(path, key):
            return cell(FINISHED, len(entries), 0.0)
    if not entries:
        return cell(TO_DO)
    return cell(STORED if len(entries) == len(tracks) else PARTLY, len(entries), left)


def _expected(name: str, rate: Rate, cells: Sequence[PlannedCell]) -> Expected:
    own = [cell for cell in cells if cell.model == name]
    left = sum(cell.hours_to_encode for cell in own)
    windows = sum(window_count(c.tracks, 3600 * c.hours) for c in own if c.state not in DONE)
    return Expected(
        name,
        rate.device,
        rate.measured_by,
        None if rate.encode is None else rate.encode * left,
        None if rate.probe is None else rate.probe * windows / 3600,
    )


def _command(asked: RunRequest) -> str:
    """Return what to type for the run itself: every option that is not the usual one."""
    words = ["cmbench run"]
    for key, value in vars(asked).items():
        if value != getattr(RunRequest(), key):
            text = ",".join(value) if isinstance(value, list) else str(value)
            words.append(f"--{key.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(text)}"))
    return " ".join(words)


def _order(needs: Sequence[Need], cells: Sequence[PlannedCell], command: str, root: Path) -> tuple[str, ...]:
    """Say what to do first: what waits for people, then what is fetched, small before large, then the run."""
    waiting: dict[str, list[str]] = {}
    for need in needs:
        if need.yours and need.blocks:
            waiting.setdefault(need.source, []).append(need.name)
    steps = [f"ask now, it can take days: {', '.join(names)}, from {source}" for source, names in waiting.items()]
    sizes: dict[str, float] = {}
    for need in needs:
        sizes[need.command] = sizes.get(need.command, 0.0) + (need.bytes if need.bytes is not None else float("inf"))
    steps += sorted(sizes, key=lambda one: sizes[one])
    blocked = {cell.task for cell in cells if cell.state == NO_DATA}
    where = f"--data-root {shlex.quote(str(root))}"
    lacking = [task for task in dict.fromkeys(cell.task for cell in cells) if task in blocked]
    steps += [f"cmbench tasks verify {task} {where}" for task in lacking]
    here = {cell.task for cell in cells} - blocked
    if blocked and here <= PAPER_TASKS and here:
        steps.append(f"meanwhile, on what is here ({', '.join(sorted(here))}): the run below with --tasks ready")
    if any(cell.state not in DONE for cell in cells):
        steps.append(command)
    return tuple(steps)


def _notes(cells: Sequence[PlannedCell], needs: Sequence[Need]) -> tuple[str, ...]:
    notes = ["Hours of audio are worked out from published lengths and file sizes; no file was opened."]
    if any(need.rough for need in needs):
        notes.append("Bytes with `about` are worked out: docs/data.md says from what.")
    if any(need.bytes is None for need in needs):
        notes.append("Where no size stands nobody states one; `cmbench tasks prepare` asks the server.")
    if any(cell.edition == "mini" for cell in cells):
        notes.append("mini tracks that are not in the cache are rendered first; that time is not counted.")
    return tuple(notes)
