"""The story of the study: runs on the usual split and on those that share nothing -> what each leak is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....errors import MissingError, UsageError
from ....tasks.audit.lists import Findings, examine, split_groups
from ....tasks.base import Task, TaskData
from ....tasks.choice import select_tasks
from ....tasks.splits.names import GROUP_SAFE, KIND_SAFE
from ...commands.options import Models, Tasks
from ...comparing.transfer import cultures_of
from ...observer import Observer
from ...records.evidence import Evidence, evidence_of
from ...records.setting import Setting, common_setting
from ..base import Evaluation, load_context
from ..cells import RECORDS, stated
from .judging import (
    HEAD,
    MIDDLE,
    TAIL,
    Finding,
    Sides,
    against,
    findings,
    heard_before,
    in_thirds,
    other_split,
    without_repeats,
)

if TYPE_CHECKING:
    from ....tasks.base import LoadContext

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
        setting: of the usual split.
        models: in the order asked for; the first is the base.
        findings: in the order of the questions, model by model.
        leaks: split -> task -> test tracks of the usual split that share a group (work, performer) with train or valid,
            and all.
        identical: task -> sets of labels that no track tells apart.
        absent: what could not be asked, and why.
    """

    setting: Setting
    models: tuple[str, ...]
    findings: tuple[Finding, ...]
    leaks: Mapping[str, Mapping[str, tuple[int, int]]]
    identical: Mapping[str, tuple[tuple[str, ...], ...]]
    absent: tuple[str, ...]

    @property
    def title(self) -> str:
        """Edition, split and protocol in words."""
        return self.setting.title

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for the whole of real data."""
        return self.setting.warning

    @property
    def questions(self) -> tuple[str, ...]:
        """What was asked, in order."""
        return tuple(dict.fromkeys(one.question for one in self.findings))

    def of(self, question: str, model: str) -> tuple[Finding, ...]:
        """Return the answers to a question for a model: by task, then the mean."""
        return tuple(one for one in self.findings if (one.question, one.model) == (question, model))


def cost(request: Request) -> str:
    """Say what a request takes."""
    further = "trains the probes again on the group-safe split, and on those by work and performer where they are known"
    return stated(request, request.model, request.out, further, 1)


Judge = Callable[[Evidence], Sides | None]


def measure(request: Request, observer: Observer) -> Leakage:
    """Evaluate models on the usual split and on those that share nothing, and judge what each leak is worth.

    Raises:
        UsageError: the file of what was heard cannot be read, or names no track that is judged.
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    context = load_context(observer, request.data_root, request.workers, request.mini_scale, request.mini_seed)
    listed = None if request.heard is None else read_heard(request.heard)
    usual = _run(request, select_tasks(request.tasks), None, observer)
    tasks = [task for task in select_tasks(request.tasks) if any(task.name == name for _, name in usual)]
    lists = replace(context, needs_audio=False)
    data = {task.name: task.load(_edition(usual, task), lists) for task in tasks}
    safe: dict[str, dict[tuple[str, str], Evidence]] = {}
    absent = []
    for split in (GROUP_SAFE, *KIND_SAFE):
        possible, why = _possible(tasks, usual, split, lists)
        absent += [f"{split}: {', '.join(names)}: {reason}" for reason, names in why.items()]
        if possible:
            safe[split] = _run(request, possible, split, observer)
    examined = {name: examine(one) for name, one in data.items()}
    found = _judge(usual, safe, data, examined, listed)
    return Leakage(
        setting=common_setting(one.record for one in usual.values()),
        models=tuple(dict.fromkeys(model for model, _ in usual)),
        findings=tuple(found),
        leaks={split: {name: _leaks(data[name], split) for _, name in runs} for split, runs in safe.items()},
        identical={name: one.identical for name, one in examined.items() if one.identical},
        absent=tuple(absent),
    )


def _run(
    request: Request, tasks: Sequence[Task], split: str | None, observer: Observer
) -> dict[tuple[str, str], Evidence]:
    """Run all models on a split; return the evidence by model and task."""
    from ...run import run

    named = [str(task.described_in or task.name) for task in tasks]
    wanted = request.tasks if split is None else named
    records = run(
        request.model, split=split, out=request.out / RECORDS, observer=observer,
        **request.run_settings | {"tasks": wanted},
    )  # fmt: skip
    found = {(e.record.model.name, e.record.task.name): e for e in evidence_of(records, request.out / RECORDS)}
    return {(r.model.name, r.task.name): found[r.model.name, r.task.name] for r in records}


def _edition(usual: Mapping[tuple[str, str], Evidence], task: Task) -> str:
    return next(one.record.task.edition for (_, name), one in usual.items() if name == task.name)


def _possible(
    tasks: Sequence[Task], usual: Mapping[tuple[str, str], Evidence], split: str, context: LoadContext
) -> tuple[list[Task], dict[str, list[str]]]:
    """Return the tasks that have a split, and why the others have none: reason -> names."""
    possible, why = [], {}
    for task in tasks:
        try:
            task.load(_edition(usual, task), context, split)
            possible.append(task)
        except MissingError:
            why.setdefault(f"no {KIND_SAFE.get(split, 'group')} is known for enough tracks", []).append(task.name)
        except UsageError as error:
            why.setdefault(str(error), []).append(task.name)
    return possible, why


def _leaks(data: TaskData, split: str) -> tuple[int, int]:
    """Count the test tracks of the usual split that share a group, or work, with the other tracks, and all."""
    kind = KIND_SAFE.get(split)
    splits = data.splits
    if kind:
        splits = {part: tuple(replace(t, group=getattr(t, kind)) for t in ts) for part, ts in data.splits.items()}
    test = split_groups(splits)["test"]
    return test.leaking_tracks, test.tracks


def _judge(
    usual: Mapping[tuple[str, str], Evidence],
    safe: Mapping[str, Mapping[tuple[str, str], Evidence]],
    data: Mapping[str, TaskData],
    examined: Mapping[str, Findings],
    listed: Mapping[str, set[str]] | None,
) -> list[Finding]:
    """Ask every question of every model."""
    models, tasks = (tuple(dict.fromkeys(names)) for names in zip(*usual, strict=True))

    def asked(question: str, model: str, judge: Callable[[str], Sides | None]) -> list[Finding]:
        return findings(question, model, [sides for task in tasks if (sides := judge(task))])

    found = []
    for split, runs in safe.items():
        for m in models:
            found += asked(split, m, lambda t, m=m, r=runs: other_split(usual[m, t], r[m, t]) if (m, t) in r else None)
    for m in models:
        found += asked(REPEATED, m, lambda t, m=m: without_repeats(usual[m, t], examined[t].identical))
    for third in (MIDDLE, TAIL):
        for m in models:
            found += asked(f"{third} less {HEAD}", m, lambda t, m=m, third=third: in_thirds(usual[m, t], HEAD, third))
    for third in (HEAD, MIDDLE, TAIL):
        for m in models[1:]:
            question = f"{third}, less {models[0]}"
            found += asked(question, m, lambda t, m=m, third=third: against(usual[models[0], t], usual[m, t], third))
    tested = usual if listed is not None else safe.get(GROUP_SAFE, {})
    for m in models[1:]:
        found += asked(HEARD, m, lambda t, m=m: _heard(tested, models[0], m, t, data, listed))
    if listed is not None and len(models) > 1 and not any(one.question == HEARD for one in found):
        raise UsageError("--heard: none of its tracks is a test track of these tasks.")
    return found


def _heard(
    tested: Mapping[tuple[str, str], Evidence],
    base: str,
    model: str,
    task: str,
    data: Mapping[str, TaskData],
    listed: Mapping[str, set[str]] | None,
) -> Sides | None:
    """Ask whether a model is better on tracks that it was likely trained on; ``None`` where that cannot be asked.

    Without a list these are what the usual split trains on: whoever leaves out test tracks has heard the others, if the
    model's card names music of that tradition.
    """
    if (model, task) not in tested:
        return None
    found = tested[model, task]
    cultures = cultures_of(found.record)
    if listed is None and found.record.task.tradition not in cultures:
        return None
    heard = (
        listed.get(task, set()) | listed.get("", set())
        if listed is not None
        else {t.id for t in data[task].splits["train"]}
    )
    return heard_before(tested[base, task], found, heard)


def read_heard(path: Path) -> dict[str, set[str]]:
    """Read the tracks that were likely heard: task -> ids; under the empty name those of any task.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
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
