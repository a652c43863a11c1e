"""Records as one self-contained page for the browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ...files import write_atomically
from ...terminal import shown as visible
from ..comparing.compare import RESAMPLES
from ..records.evidence import Evidence
from ..records.record import EnvironmentPart, FailedTrack, Interval, Record
from ..records.sections import HEADLINE, METRIC_TITLES, NO_REASON, NOT_RUN, Column, Section
from ..studies.similarity.distance import Distances
from ..studies.similarity.maps import similarity_block
from ..views.base import Block, Drawing, Part, Scope
from ..views.equity import worst
from ..views.figures import FLOORS, style
from ..views.registry import views
from ..views.reported.rows import WARNING
from ..views.words import coverage_text, percent, points
from .answers import Answers, answers
from .scope import scope_of
from .svg import TEMPLATES, Picture, svg_of

ORDER = (
    "scores",
    "reported",
    "transfer",
    "equity",
    "forgetting",
    "changes",
    "layers",
    "families",
    "labels",
    "calibration",
)
"""Views in the order of their blocks; every other follows, by its name."""

WITH_COST = "cost"
"""The view whose blocks stand beside the cost of every cell, which differs between runs."""

BAR_STARTS: Mapping[str, float] = {"roc_auc": 30.0, "average_precision": 0.0}
"""Percent at the left end of a bar's cell; the right end is 100. A ROC-AUC under 30 is drawn at the edge."""


@dataclass(frozen=True)
class Failure:
    """A track that was left out, or used with a warning, and the models for which it was so."""

    task: str
    track: FailedTrack
    outcome: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class BlockView:
    """A view with its figures drawn.

    Attributes:
        block: its words and tables.
        pictures: figures that are always in sight.
        parts: what is folded away, each with its figures.
    """

    block: Block
    pictures: tuple[Picture, ...]
    parts: tuple[tuple[Part, tuple[Picture, ...]], ...]


@dataclass(frozen=True)
class SectionView:
    """What the template shows of a section, and cannot ask it directly.

    Attributes:
        id: prefix of the section's anchors.
        section: the scores.
        failures: each track once.
        examples: for each column, a record of it: for what is the same for every model.
        settings: the protocol's values, flat.
        software: what the records were made with, each combination once.
        blocks: of the views, each with its pictures.
        cost: those that differ between runs.
        answers: single recordings to listen to.
    """

    id: str
    section: Section
    failures: tuple[Failure, ...]
    examples: tuple[Record, ...]
    settings: tuple[tuple[str, str], ...]
    software: tuple[str, ...]
    blocks: tuple[BlockView, ...]
    cost: tuple[BlockView, ...]
    answers: tuple[Answers, ...]


def write_page(
    shown: Sequence[Section],
    out: Path,
    found: Sequence[Evidence] = (),
    *,
    base: str | None = None,
    resamples: int = RESAMPLES,
    distances: Sequence[Distances] = (),
) -> Path:
    """Write scores, changes, labels, layers, coverage, protocol and cost as one HTML file that needs no network.

    Args:
        shown: editions, splits and protocols, each a section of its own; the audits of their splits are told where
            they have them (:func:`..records.sections.audited`).
        out: the file.
        found: those of them whose predictions are there, for what is judged on predictions.
        base: model that the others are compared with; the first of each section if not given.
        resamples: of the paired bootstrap.
        distances: between traditions, shown in the sections of their edition.

    Returns:
        ``out``.
    """
    drawn = []
    for i, section in enumerate(shown, start=1):
        scope = scope_of(section, found, base, resamples)
        with style("none"):
            drawn.append(_view(scope, f"s{i}", distances, answers(scope.evidence, out)))
    write_atomically(out, _render(drawn).encode())
    return out


def _render(found: Sequence[SectionView]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, points=points, coverage=coverage_text, by_tradition=_by_tradition)
    environment.globals.update(
        titles=METRIC_TITLES,
        headline=HEADLINE,
        not_run=NOT_RUN,
        no_reason=NO_REASON,
        bar_style=_bar_style,
        reported_warning=WARNING,
        worst=worst,
    )
    return environment.get_template("page.html").render(views=found)


def _by_tradition(columns: Iterable[Column]) -> list[tuple[str, list[Column]]]:
    return [(tradition, list(members)) for tradition, members in groupby(columns, key=lambda c: c.tradition)]


def _bar_style(value: float, span: Interval | None, metric: str, chance: float | None) -> str:
    """Return a bar's CSS variables, in percent of its cell: its ends, its interval's ends, the level of chance."""
    start = BAR_STARTS[metric]

    def place(share: float) -> str:
        at = (100 * share - start) / (100 - start) * 100
        return f"{min(100.0, max(0.0, at)):.1f}".removesuffix(".0")

    # page.css knows where a bar starts, so only its other end is said.
    ends = {"z" if value >= FLOORS[metric] / 100 else "a": value}
    if span:
        ends |= {"l": span.low, "h": span.high}
    if chance is not None:
        ends["c"] = chance
    return ";".join(f"--{name}:{place(share)}" for name, share in ends.items())


def _view(scope: Scope, anchor: str, distances: Sequence[Distances], heard: tuple[Answers, ...]) -> SectionView:
    section = scope.section
    examples = tuple(section.records_on(column)[0][1] for column in section.columns)
    found = views()
    order = sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    blocks = [block for name in order if name != WITH_COST for block in found[name].page(scope)]
    blocks += [block for block in (similarity_block(section, distances),) if block.parts]
    return SectionView(
        id=anchor,
        section=section,
        failures=tuple(_failures(section)),
        examples=examples,
        settings=tuple(_flat(examples[0].protocol.settings)),
        software=tuple(dict.fromkeys(_software(r.environment) for r in section.cells.values())),
        blocks=tuple(_block(block, section, f"{anchor}-{block.id}") for block in blocks),
        cost=tuple(_block(block, section, f"{anchor}-{block.id}") for block in found[WITH_COST].page(scope)),
        answers=heard,
    )


def _block(block: Block, section: Section, anchor: str) -> BlockView:
    parts = [(part, _pictures(part.drawings, section, f"{anchor}-{i}-")) for i, part in enumerate(block.parts, start=1)]
    return BlockView(block, _pictures(block.drawings, section, f"{anchor}-"), tuple(parts))


def _pictures(drawings: Sequence[Drawing], section: Section, anchor: str) -> tuple[Picture, ...]:
    found = []
    for i, drawing in enumerate(drawings):
        title = ". ".join([f"{drawing.title}: {section.title}", *([section.warning] if section.warning else [])])
        svg = svg_of(drawing.draw(), f"{anchor}{i}", title, drawing.description)
        found.append(Picture(svg, title, drawing.caption or drawing.title))
    return tuple(found)


def _software(environment: EnvironmentPart) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return f"cmbench {environment.cmbench}, Python {environment.python}, {packages} on {environment.platform}"


def _failures(section: Section) -> Iterator[Failure]:
    for column in section.columns:
        found: dict[tuple[FailedTrack, str], list[str]] = {}
        for row, record in section.records_on(column):
            for outcome, tracks in (("left out", record.coverage.failed), ("warning", record.coverage.warnings)):
                for track in tracks:
                    found.setdefault((track, outcome), []).append(row.name)
        for (track, outcome), models in found.items():
            yield Failure(column.name, track, outcome, tuple(models))


def _flat(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as ``probe.hidden`` and their values as text."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)
