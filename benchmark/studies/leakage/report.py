"""What leaks are worth as a table, in words, and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....errors import counted
from ....tasks.splits.names import KIND_SAFE
from ...views.tables import ViewTable
from ...views.words import percent
from ..answers import Answer, dots_figure
from .judging import HEAD, TAIL
from .measuring import HEARD, MEAN, REPEATED, Leakage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_SHOWN = (
    "On mini no more is shown: no album is in two of its splits, which differ by chance alone; what a model of nano "
    "size remembers says nothing of one of 95 million parameters."
)


def shown(found: Leakage) -> list[Answer]:
    """Return the answers that are shown: by task where splits are compared, else the mean alone."""
    return [
        one
        for one in found.answers.answers
        if one.question in found.leaks or one.on == MEAN or MEAN not in found.answers.of(one.question, one.model)
    ]


def answer_table(found: Leakage) -> ViewTable:
    """Return the answers, a line each."""
    rows = []
    for one in shown(found):
        change = one.change
        verdict = change.judgement + (f" ({change.reason})" if change.reason else "")
        scores = percent(change.before), percent(change.after)
        rows.append((one.question, one.model, one.on, str(one.tracks), *scores, one.words, verdict))
    notes = [
        "Points of the score that is 0 at chance and 100 for a perfect ranking; mean: each tradition once. A split: "
        f"against the usual one, on the tracks that both test. {REPEATED}: against all labels. Head, middle and tail: "
        f"thirds of the labels by training tracks, less {HEAD} by ROC-AUC alone. {HEARD}, by ROC-AUC too: what a model "
        "gains over the first on tracks that it was likely trained on, against what it gains on the others. Every "
        "task: the CSV. Verdicts: at a "
        "false discovery rate of 5 % among the tasks of a question and their mean.",
        *found.absent,
    ]
    heads = ["question", "model", "on", "tracks", "first", "second", "change", "verdict"]
    return ViewTable.of(found.answers, "What leaks are worth, points", heads, rows, 3, notes)


def _said(found: Leakage, question: str) -> str:
    """Say what a question comes to for every model of whom it was asked."""
    last = [[*found.answers.of(question, model).values()][-1:] for model in found.answers.models]
    return ", ".join(f"{one.model} {one.words} ({one.change.verdict})" for answers in last for one in answers)


def sentences(found: Leakage) -> list[str]:
    """Say what splits, labels and what was heard before are worth."""
    splits = ". ".join(
        f"{leaking} of {tracks} test tracks share a {KIND_SAFE.get(split, 'group')} with train or valid; on the "
        f"{split} split scores change by {_said(found, split)}"
        for split, (leaking, tracks) in found.leaks.items()
    )
    twice = ", ".join(
        f"{task} counts {counted(sum(len(names) - 1 for names in sets), 'label')} twice"
        for task, sets in found.identical.items()
    )
    labels = f"{twice}; {REPEATED}, scores change by {_said(found, REPEATED)}" if twice else "none counts twice"
    heard = _said(found, HEARD) or "not asked: it takes a base and a model whose card names its music, or --heard"
    return [
        f"Splits: {splits or 'no task says which tracks belong together'}.",
        f"Labels: {labels}. The rarest third less the most frequent: {_said(found, f'{TAIL} less {HEAD}')}.",
        f"Heard before, beyond what is gained over {found.answers.models[0]} elsewhere: {heard}."
        + f" {NOT_SHOWN}" * (found.answers.setting.edition == "mini"),
    ]


def answer_figure(found: Leakage) -> Figure:
    """Draw a line for every question, and for every task where splits are compared."""
    lines: dict[str, list[Answer]] = {}
    for one in shown(found):
        lines.setdefault(f"{one.question} · {one.on}", []).append(one)
    return dots_figure(found.answers, "What leaks are worth", {"": lines}, 1)
