"""The story of the study: runs on the usual split and on those that share nothing -> what each leak is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from ....errors import MissingError, UsageError, counted
from ....tasks.audit.lists import SplitGroups, examine, split_groups
from ....tasks.base import TaskData
from ....tasks.choice import select_tasks
from ....tasks.splits.names import GROUP_SAFE, KIND_SAFE
from ...commands.options import Models, Tasks
from ...comparing.transfer import cultures_of
from ...observer import Observer
from ...records.evidence import Evidence, evidence_of
from ...records.setting import common_setting
from ..answers import Answer, Answers, Sides, answer, together
from ..base import Evaluation, load_context
from ..cells import RECORDS, probes_again, stated
from .judging import HEAD, MIDDLE, TAIL, against, heard_before, in_thirds, other_split, without_repeats

MEAN = "mean"
"""In place of a task: the mean over all that were asked, each tradition once."""

REPEATED = "labels once each"
HEARD = "heard before"
"""Questions; those of splits are named as the split is."""


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to measure; its fields are the options of the command."""

    model: Models
    tasks: Tasks = field(default_factory=lambda: ["all"])
    heard: Annotated[
        Path | None,
        typer.Option(
            help="Text file of test tracks that the models after the first were likely trained on, a line each: ID, or "
            "TASK, a tab and ID. Else: those that the usual split trains on.",
            show_default=False,
        ),
    ] = None
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder: records of every split, tables and figure.")] = Path(
        "leakage"
    )


@dataclass(frozen=True)
class Leakage:
    """What was found.

    Attributes:
        answers: each is asked of a task, or of :data:`MEAN`.
        leaks: split -> test tracks that share a group (work, performer) with others on the usual split, and all.
        identical: task -> sets of labels that no track tells apart.
        absent: what could not be asked, and why; listed tracks that nothing is asked of.
    """

    answers: Answers
    leaks: Mapping[str, tuple[int, int]]
    identical: Mapping[str, tuple[tuple[str, ...], ...]]
    absent: tuple[str, ...]


def cost(request: Request) -> str:
    """Say what a request takes."""
    words, seconds = probes_again(1)
    further = "trains the probes again on the group-safe split, and on those by work and performer where they are known"
    return stated(request, request.model, request.out, f"{further}: each {words}", seconds)


Found = Mapping[tuple[str, str], Evidence]
"""By model and task."""

Ask = Callable[[Evidence, Evidence, str], Sides | None]
"""Of the base, the model and the name of a task."""


def measure(request: Request, observer: Observer) -> Leakage:
    """Evaluate models on the usual split and on those that share nothing, and judge what each leak is worth.

    Raises:
        UsageError: the file of what was heard cannot be read, or names no track that is judged.
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    context = load_context(observer, request.data_root, request.workers, request.mini_scale, request.mini_seed)
    lists, listed = replace(context, needs_audio=False), read_heard(request.heard)
    usual = _run(request, request.tasks, None, observer)
    editions = {name: one.record.task.edition for (_, name), one in usual.items()}
    tasks = [task for task in select_tasks(request.tasks) if task.name in editions]
    data = {task.name: task.load(editions[task.name], lists) for task in tasks}
    unmatched = [*_unmatched(request.heard, listed, data)]
    safe: dict[str, Found] = {}
    absent: dict[str, list[str]] = {}
    leaks = {}
    for split, kind in {GROUP_SAFE: "group", **KIND_SAFE}.items():
        possible = []
        for task in tasks:
            try:
                task.load(editions[task.name], lists, split)
                possible.append(task)
            except UsageError as error:
                unknown = f"the {kind} of too many tracks is not known"
                why = unknown if isinstance(error, MissingError) else str(error)
                absent.setdefault(f"No {split} split ({why})", []).append(task.name)
        if possible:
            named = [str(task.described_in or task.name) for task in possible]
            safe[split] = _run(request, named, split, observer)
            tests = [_leaking(data[task.name], kind) for task in possible]
            leaks[split] = (sum(one.leaking_tracks for one in tests), sum(one.tracks for one in tests))
    identical = {name: sets for name, one in data.items() if (sets := examine(one).identical)}
    trained = {name: {track.id for track in one.splits["train"]} for name, one in data.items()}
    answers = judge(usual, safe, identical, trained, listed)
    if request.heard and not any(one.question == HEARD for one in answers):
        raise UsageError(f"--heard {request.heard}: too few of its tracks are test tracks of these tasks.")
    setting = common_setting(one.record for one in usual.values())
    lacking = tuple(f"{why}: {', '.join(names)}." for why, names in absent.items())
    return Leakage(Answers(setting, tuple(answers)), leaks, identical, (*lacking, *unmatched))


def _run(request: Request, tasks: Sequence[str], split: str | None, observer: Observer) -> Found:
    """Run all models on a split."""
    from ...run import run

    out, settings = request.out / RECORDS, request.run_settings | {"tasks": tasks}
    records = run(request.model, split=split, out=out, observer=observer, **settings)
    return {(one.record.model.name, one.record.task.name): one for one in evidence_of(records, out)}


def _leaking(data: TaskData, kind: str) -> SplitGroups:
    """Count the test tracks of the usual split that share a group, work or performer with the other tracks."""
    return split_groups(
        {part: [replace(t, group=getattr(t, kind)) for t in tracks] for part, tracks in data.splits.items()}
    )["test"]


def _unmatched(path: Path | None, listed: Mapping[str, set[str]], data: Mapping[str, TaskData]) -> Iterator[str]:
    """Yield how many listed tracks are no test track of these tasks, and the first of them.

    Raises:
        UsageError: none of those that are listed is one.
    """
    tests = {name: {track.id for track in one.splits["test"]} for name, one in data.items()}
    tests[""] = set().union(*tests.values())
    named = [(task, track) for task, tracks in sorted(listed.items()) for track in sorted(tracks)]
    none = [" ".join(filter(None, one)) for one in named if one[1] not in tests.get(one[0], ())]
    if not none:
        return
    first = ", ".join(none[:3]) + ", …" * (len(none) > 3)
    said = (
        f"{len(none)} of {counted(len(named), 'track')} in {path} {'is' if len(none) == 1 else 'are'} in no test split"
    )
    if len(none) == len(named):
        raise UsageError(
            f"--heard: {said} of {', '.join(data)}: {first}. A line is an ID, or TASK, a tab and ID; ids are those of "
            "the predictions beside a record."
        )
    yield f"{said} of these tasks: {first}."


def judge(
    usual: Found,
    safe: Mapping[str, Found],
    identical: Mapping[str, Sequence[Sequence[str]]],
    trained: Mapping[str, set[str]],
    listed: Mapping[str, set[str]],
) -> list[Answer]:
    """Ask every question of every model, on every task and on their mean.

    Args:
        usual: on the usual split.
        safe: by split.
        identical: task -> sets of labels that no track tells apart.
        trained: task -> ids that the usual split trains on.
        listed: task -> ids that were heard, under the empty name those of any task; empty where none are listed.
    """
    models, tasks = (tuple(dict.fromkeys(names)) for names in zip(*usual, strict=True))
    base = models[0]

    def asked(question: str, model: str, ask: Ask, on: Found) -> list[Answer]:
        sides = [one for t in tasks if (model, t) in on and (one := ask(on[base, t], on[model, t], t))]
        answers = [answer(question, model, one.task, [one]) for one in sides]
        return together([*answers, answer(question, model, MEAN, sides)] if len(sides) > 1 else answers)

    def after_head(third: str) -> Ask:
        return lambda _, one, __: in_thirds(one, HEAD, third)

    def over_base(third: str) -> Ask:
        return lambda first, one, _: against(first, one, third)

    def heard(first: Evidence, second: Evidence, task: str) -> Sides | None:
        if listed:
            return heard_before(first, second, listed.get(task, set()) | listed.get("", set()))
        # Whoever leaves out test tracks has heard the others, if the card names music of that tradition.
        adapted = second.record.task.tradition in cultures_of(second.record)
        return heard_before(first, second, trained[task]) if adapted else None

    def other(_: Evidence, one: Evidence, task: str) -> Sides | None:
        return other_split(usual[one.record.model.name, task], one)

    questions: list[tuple[str, Sequence[str], Ask, Found]] = [
        *((split, models, other, on) for split, on in safe.items()),
        (REPEATED, models, lambda _, one, task: without_repeats(one, identical.get(task, ())), usual),
        *((f"{third} less {HEAD}", models, after_head(third), usual) for third in (MIDDLE, TAIL)),
        *((f"{third}, less {base}", models[1:], over_base(third), usual) for third in (HEAD, MIDDLE, TAIL)),
        (HEARD, models[1:], heard, usual if listed else safe.get(GROUP_SAFE, {})),
    ]
    return [one for question, of, ask, on in questions for model in of for one in asked(question, model, ask, on)]


def read_heard(path: Path | None) -> dict[str, set[str]]:
    """Read the tracks that were likely heard: task -> ids; under the empty name those of any task.

    Args:
        path: of a text file; nothing is read without one.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    if path is None:
        return {}
    try:
        lines = [line for line in path.expanduser().read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--heard {path}: it cannot be read as text ({error}).") from error
    if not lines:
        raise UsageError(f"--heard {path}: it is empty; write a track a line: ID, or TASK, a tab and ID.")
    found: dict[str, set[str]] = {}
    for line in lines:
        task, _, track = line.rpartition("\t")
        found.setdefault(task.strip(), set()).add(track.strip())
    return found
