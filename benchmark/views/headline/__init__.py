"""What is seen first: one heat map, and the conclusion in sentences and by tradition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ....tasks.splits.names import is_sample
from ....terminal import new_table, print_heading, say
from ...comparing.headline import Headline, headline
from ...comparing.paired import Difference
from ...records.evidence import Evidence
from ...records.sections import ABSENT, sections
from ..base import Block, Drawing, Resamples, Scope, View
from ..scope import scope_of
from ..tables import Rows, section_facts
from ..words import points, span
from .sentences import rivals, sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

TOLD_MODELS = 2
"""Models whose changes have columns of their own in the terminal; of more, those that gained and lost are named."""


def of_scope(scope: Scope) -> Headline:
    """Return what a section says first."""
    return headline(scope.section, scope.alike, scope.base, scope.resamples)


def _compute(
    evidence: Sequence[Evidence],
    base: Annotated[str | None, typer.Option(help="Model to compare with; by lineage if not given.")] = None,
    resamples: Resamples = 1000,
) -> list[Headline]:
    return [of_scope(scope_of(section, evidence, base, resamples)) for section in sections(e.record for e in evidence)]


@dataclass(frozen=True)
class Conclusion:
    """A headline in words, as it is printed and kept in the page."""

    title: str  # edition, split and protocol
    warning: str  # what must stand beside it; empty for real data
    table: tuple[tuple[str, ...], ...]  # heads, and a row for each tradition; empty where no model is said to lead
    sentences: tuple[str, ...]  # of :func:`.sentences.sentences`


def conclusion(found: Headline) -> Conclusion:
    """Put a headline into words."""
    return Conclusion(found.section.title, found.section.warning, tuple(tradition_rows(found)), sentences(found))


def print_conclusion(said: Conclusion, console: Console) -> None:
    """Print a line for each tradition, and what cannot be told."""
    from rich.text import Text

    print_heading(console, said.title, said.warning)
    console.print()
    if said.table:
        heads, *rows = said.table
        grid = new_table(header_style="dim", pad_edge=False)
        for head in heads:
            grid.add_column(Text(head), overflow="fold")
        for row in rows:
            grid.add_row(*map(Text, row))
        console.print(grid)
        say(console, "score: 0 at chance, 100 for a perfect ranking", "dim")
        console.print()
    # The table says in full what the first sentence says.
    for sentence in said.sentences[bool(said.table) :]:
        say(console, sentence)


def tradition_rows(found: Headline) -> list[tuple[str, ...]]:
    """Return heads and a row for each tradition: who leads, who is level, what the subjects changed."""
    contests = [one for one in found.contests if one.leader and not is_sample(found.section.split)]
    if not contests:
        return []
    several = any(len(one.scores.keys() - one.controls) > 1 for one in contests)
    named = found.subjects if len(found.subjects) <= TOLD_MODELS else ()
    heads = ["tradition", *(["best", "score", "level with it"] if several else ["score"])]
    heads += [f"{name} against {found.base}" for name in named]
    heads += ["gained", "forgot" if found.adapted else "lost"] if found.subjects and not named else []
    rows = [tuple(heads)]
    for one in contests:
        leader = one.leader or ""
        cells = [one.tradition.capitalize()]
        cells += [leader, span(one.scores[leader]), rivals(one) or "none"] if several else [span(one.scores[leader])]
        cells += [_change(one.changes.get(name)) for name in named]
        if found.subjects and not named:
            for verdict in ("gained", "lost"):
                told = [name for name in found.subjects if _verdict(one.changes.get(name)) == verdict]
                more = f" +{len(told) - TOLD_MODELS}" if len(told) > TOLD_MODELS else ""
                cells.append(", ".join(told[:TOLD_MODELS]) + more or ABSENT)
        rows.append(tuple(cells))
    return rows


def _verdict(change: Difference | None) -> str:
    return "" if change is None else change.verdict


def _change(change: Difference | None) -> str:
    if change is None or change.change is None:
        return ABSENT
    told = "" if change.low is None else f" [{points(change.low)}, {points(change.high)}]"
    return f"{points(change.change)}{told} {change.judgement}"


def _rows(found: Headline) -> Rows:
    rows = []
    for one in found.contests:
        for model, score in one.scores.items():
            change = one.changes.get(model)
            rows.append(
                {
                    **section_facts(found.section),
                    "tradition": one.tradition,
                    "model": model,
                    "control": model in one.controls,
                    "score": score.value,
                    "low": score.low,
                    "high": score.high,
                    "level_with_best": model == one.leader or model in one.level_with_leader,
                    "base": found.base,
                    "change": change.change if change else None,
                    "change_low": change.low if change else None,
                    "change_high": change.high if change else None,
                    "verdict": _verdict(change),
                    "trainings": change.trainings if change else None,
                }
            )
    return rows


def _figures(found: Headline) -> dict[str, Callable[[], Figure]]:
    from .heat_map import heat_map

    return {"": partial(heat_map, found)}


def _blocks(scope: Scope) -> Iterator[Block]:
    from .heat_map import description, heat_map, phone_map

    found = of_scope(scope)
    title, said = "Distance above chance by model and task", description(found)
    drawings = tuple(Drawing(title, partial(draw, found), description=said) for draw in (heat_map, phone_map))
    yield Block("headline", "In short", "", drawings, template="headline.html", data=conclusion(found), open=True)


VIEW = View(
    name="headline",
    help="Say first what the records say: who leads each tradition, what adaptation changed, what cannot be told.",
    compute=_compute,
    rows=lambda found: {"": _rows(found)},
    figures=_figures,
    show=lambda found, console: print_conclusion(conclusion(found), console),
    blocks=_blocks,
    examples=("cmbench report headline results --out headline",),
)
