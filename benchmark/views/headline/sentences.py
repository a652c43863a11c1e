"""The conclusion in sentences, each computed from the numbers; what cannot be told is said to be so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from ....tasks.base import WESTERN
from ....tasks.splits.names import is_sample
from ...comparing.headline import Contest, Headline, separable
from ...comparing.paired import TEST_ONLY, Difference, Level
from ...scoring.bootstrap import MIN_CLUSTERS
from ..words import percent, points, span

MOST_NAMED = 3
"""Models that a sentence names, at most."""


def sentences(found: Headline) -> tuple[str, ...]:
    """Return three to five sentences: who leads, what adaptation changed, the gap to the West, what cannot be told."""
    if not found.contests:
        return ("No usable predictions lie beside these records, so nothing can be told of differences.",)
    changes = [f"{sentence.removesuffix('.')}{_sample(found)}." for sentence in _changes(found)]
    untold = " ".join([_untold(found), few(found)]).strip()
    told = [_leads(found), *changes, _gap(found), untold, _controls(found)]
    return tuple(sentence for sentence in told if sentence)


def _sample(found: Headline) -> str:
    """Return what stands beside verdicts that take the training tracks as given."""
    return "" if all(change.trainings for change in found.judged) else f" ({TEST_ONLY})"


def few(found: Headline) -> str:
    """Return where there is no interval, and what would give one; nothing where all have one."""
    few = [one.tradition.capitalize() for one in found.contests if any(s.low is None for s in one.scores.values())]
    if not few or is_sample(found.section.split):
        return ""
    return f"No interval on {listed(few)}: {MIN_CLUSTERS} groups of test tracks (albums, artists) are needed."


def listed(words: Iterable[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    *some, last = words
    return f"{', '.join(some)} and {last}" if some else last


def rivals(contest: Contest) -> str:
    """Return the models that are level with the leader: two by name, more by their number; empty without any."""
    others = contest.level_with_leader
    if contest.anyone and len(others) > 1:
        return f"any of the {len(others)} others"
    return " or ".join(others) if len(others) < MOST_NAMED else f"any of {len(others)} others"


def _leads(found: Headline) -> str:
    contests = [one for one in found.contests if one.leader]
    if is_sample(found.section.split) or not contests:
        return "On a sample of the tracks no model is said to lead." if contests else "Only controls were measured."
    models = {name for one in contests for name in one.scores.keys() - one.controls}
    if len(models) > 1 and all(one.anyone for one in contests):
        where = "any tradition" if len(contests) > 1 else f"{contests[0].tradition.capitalize()} music"
        which = "both" if len(models) == 2 else f"all {len(models)}"
        return f"No best model can be told on {where}: {which} are level."
    parts = []
    for one in contests:
        level_with = rivals(one)
        score = f"{one.leader} ({percent(one.scores[one.leader or ''].value)})"
        parts.append(f"{one.tradition.capitalize()} {score}{f' or {level_with}' if level_with else ''}")
    what = "Best by tradition" if len(models) > 1 else "By tradition"
    apart = f"; “or”: cannot be told apart{_sample(found)}" if any(one.level_with_leader for one in contests) else ""
    return f"{what} (0 is chance, 100 a perfect ranking{apart}): {'; '.join(parts)}."


def _changes(found: Headline) -> list[str]:
    """Say what the subjects gained and lost against the base."""
    subjects = {
        name: [(one.tradition, one.changes[name]) for one in found.contests if name in one.changes]
        for name in found.subjects
    }
    subjects = {name: changes for name, changes in subjects.items() if changes}
    if not subjects:
        return []
    if not any(separable(change) for changes in subjects.values() for _, change in changes):
        who = next(iter(subjects)) if len(subjects) == 1 else f"{len(subjects)} models"
        if found.adapted:
            cells = [(task, change) for (name, task), change in found.cells.items() if name in subjects]
            single = [f"{task} ({points(change.change)})" for task, change in cells if separable(change)]
            but = f"; of single tasks it can on {listed(single)}" if 0 < len(single) <= MOST_NAMED else ""
            return [f"What adapting {found.base} to {who} gained or forgot cannot be told on any tradition{but}."]
        return [f"No tradition tells {who} from {found.base}."]
    if len(subjects) > MOST_NAMED or not found.adapted:
        return [_summed(found, subjects)]
    return [" ".join(_changed(found, name, changes) for name, changes in subjects.items())]


def _changed(found: Headline, name: str, changes: Sequence[tuple[str, Difference]]) -> str:
    gained, lost, kept, untold = (_of(changes, verdict) for verdict in ("gained", "lost", "kept", "cannot tell"))
    parts = [f"gained {listed(_points(gained))}" if gained else "gained nothing that can be told"]
    parts.append(f"forgot {listed(_points(lost))}" if lost else "forgot nothing that can be told")
    if kept:
        parts.append(f"kept {listed(tradition.capitalize() for tradition, _ in kept)} within a point")
    rest = f"; for {listed(tradition.capitalize() for tradition, _ in untold)} it cannot be told" if untold else ""
    return f"Adapting {found.base} to {name} {listed(parts)}{rest}."


def _summed(found: Headline, subjects: dict[str, list[tuple[str, Difference]]]) -> str:
    """Say it of many models: how many gained or lost, and who most."""
    verb = "forgot" if found.adapted else "lost"
    who = f"models adapted from {found.base}" if found.adapted else f"models compared with {found.base}"
    parts = []
    for verdict, said in (("gained", "gained"), ("lost", verb)):
        every = [(name, *pair) for name, changes in subjects.items() for pair in _of(changes, verdict)]
        models = len({name for name, _, _ in every})
        if every:
            name, tradition, change = max(every, key=lambda one: abs(one[2].change or 0.0))
            most = f"{name} on {tradition.capitalize()} {points(change.change)}"
            parts.append(f"{models} {said} on some tradition (most: {most})")
        else:
            parts.append(f"none {said} anything that can be told")
    return f"Of {len(subjects)} {who} {listed(parts)}."


def _of(changes: Sequence[tuple[str, Difference]], verdict: str) -> list[tuple[str, Difference]]:
    return [(tradition, change) for tradition, change in changes if change.verdict == verdict]


def _points(changes: Sequence[tuple[str, Difference]]) -> list[str]:
    return [f"{tradition.capitalize()} ({points(change.change)})" for tradition, change in changes]


def _gap(found: Headline) -> str:
    """Say how far the other traditions lie from the Western one, and for how many models that can be told."""
    traditions = {one.tradition for one in found.contests}
    if WESTERN not in traditions or traditions == {WESTERN} or not found.gaps:
        return ""
    told = {name: gap for name, gap in found.gaps.items() if _is_told(gap)}
    if not told:
        return "No gap to the West (the other traditions minus the Western one) can be told from zero."
    ends = sorted(told, key=lambda name: told[name].value or 0.0)
    what = "The gap to the West (the other traditions minus the Western one)"
    if len(found.gaps) == 1:
        return f"{what} is {span(told[ends[0]], signed=True)} points."
    if len(told) == 1:
        return f"{what} can be told for {ends[0]} alone: {points(told[ends[0]].value)} points."
    whose = "each model" if len(told) == len(found.gaps) else f"{len(told)} of {len(found.gaps)} models"
    low, high = (f"{points(told[name].value)} ({name})" for name in (ends[0], ends[-1]))
    return f"{what} can be told for {whose}: from {low} to {high} points."


def _is_told(gap: Level) -> bool:
    return gap.low is not None and gap.high is not None and not gap.low <= 0 <= gap.high


def _untold(found: Headline) -> str:
    """Say how many differences from the base cannot be told, and what such test splits find."""
    judged = found.judged
    if not judged:
        return ""
    untold = sum(not separable(change) for change in judged)
    known = [change.detectable for change in judged if change.detectable]
    finds = f"; splits of this size find changes from about {100 * median(known):.0f} points on" if known else ""
    if not untold:
        what = f"Each of the {len(judged)} differences" if len(judged) > 1 else "The one difference"
        return f"{what} from {found.base} by task can be told from zero."
    if untold == len(judged):
        what = f"None of the {untold} differences" if untold > 1 else "Not even the one difference"
        return f"{what} from {found.base} by task can be told from zero{finds}."
    what = f"Of {len(judged)} differences from {found.base} by task {untold} cannot be told from zero"
    return f"{what} (≈, at a false discovery rate of 5 %){finds}."


def _controls(found: Headline) -> str:
    """Say which models cannot be told from one that has learnt nothing."""
    contests = [one for one in found.contests if one.leader and one.controls & one.scores.keys()]
    if not contests:
        return ""
    controls = [name for name in found.rows if name in found.controls]
    sentences = [said for control in controls if (said := _level_with(found, contests, control))]
    if not sentences:
        return f"Every model is told from {' or '.join(controls)}, which learnt nothing, on every tradition."
    return " ".join(sentences)


def _level_with(found: Headline, contests: Sequence[Contest], control: str) -> str:
    """Say which models cannot be told from a control; empty if all can."""
    untold: dict[str, list[str]] = {}
    for one in contests:
        for name in one.scores.keys() - one.controls if control in one.scores else ():
            if (name, control) not in one.told:
                untold.setdefault(name, []).append(one.tradition.capitalize())
    if not untold:
        return ""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in found.rows:
        if name in untold:
            alike.setdefault(tuple(untold[name]), []).append(name)
    every = sum(control in one.scores for one in contests)
    parts = [
        f"{listed(names) if len(names) <= MOST_NAMED else f'{len(names)} models'} on "
        f"{'every tradition' if len(where) == every else listed(where)}"
        for where, names in alike.items()
    ]
    return f"Not told from {control}, which learnt nothing: {'; '.join(parts)}."
