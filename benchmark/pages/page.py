"""Records as one self-contained page for the browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ...files import write_atomically
from ...tasks.base import MINI_LABEL
from ...terminal import shown
from ..comparing.compare import RESAMPLES
from ..records.evidence import Evidence
from ..records.record import EnvironmentPart, FailedTrack, Interval, Record
from ..records.sections import HEADLINE, METRIC_TITLES, NO_REASON, NOT_RUN, Column, Row, Section, sections
from ..similarity.distance import Distances
from ..similarity.distance_maps import _similarity
from ..views.base import Block, Drawing, Part
from ..views.calibration import _calibration
from ..views.cost import _cost
from ..views.equity import worst
from ..views.families import _families
from ..views.figures import FLOORS, in_parts, style
from ..views.labels import _confusions
from ..views.layers import _layers
from ..views.reported import WARNING, ReportedBlock, reported_blocks
from ..views.scores.curves import layer_curves
from ..views.scores.heat_map import heat_map
from ..views.words import coverage_text, percent, points
from .answers import Answers, answers
from .changes import Changes, changes, of_section
from .svg import TEMPLATES, Picture, _svg

if TYPE_CHECKING:
    from ..similarity.distance import Distances

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
        heat_maps: for several models.
        layer_curves: the models by as many as one figure can tell apart.
        failures: each track once.
        examples: for each column, a record of it: for what is the same for every model.
        settings: the protocol's values, flat.
        software: what the records were made with, each combination once.
        reported: what others have reported on these tasks; only beside real data on the published splits.
        changes: what the predictions tell; ``None`` without predictions.
        transfer_map: the heat map of it.
        blocks: the further views, each with its pictures.
        answers: single recordings to listen to.
    """

    id: str
    section: Section
    heat_maps: tuple[Picture, ...]
    layer_curves: tuple[Picture, ...]
    failures: tuple[Failure, ...]
    examples: tuple[Record, ...]
    settings: tuple[tuple[str, str], ...]
    software: tuple[str, ...]
    reported: tuple[ReportedBlock, ...]
    changes: Changes | None
    transfer_map: Picture | None
    blocks: tuple[BlockView, ...]
    answers: tuple[Answers, ...]


def write_page(
    records: Sequence[Record],
    out: Path,
    found: Sequence[Evidence] = (),
    *,
    base: str | None = None,
    resamples: int = RESAMPLES,
    distances: Sequence[Distances] = (),
) -> Path:
    """Write scores, changes, labels, layers, coverage, protocol and cost as one HTML file that needs no network.

    Args:
        records: of any editions, splits and protocols; each combination is a section of its own.
        out: the file.
        found: those of them whose predictions are there, for what is judged on predictions.
        base: model that the others are compared with; the first of each section if not given.
        resamples: of the paired bootstrap.
        distances: between traditions, shown in the sections of their edition.

    Returns:
        ``out``.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    views = []
    for i, section in enumerate(sections(records)):
        mine = of_section(section, found)
        told = changes(section, mine, base, resamples)
        further = blocks(section, mine, resamples, distances)
        with style("none"):
            views.append(_view(section, f"s{i + 1}", told, further, answers(mine, out)))
    write_atomically(out, _render(views).encode())
    return out


def _render(views: Sequence[SectionView]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=shown,
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
    return environment.get_template("page.html").render(views=views)


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


def _view(
    section: Section, anchor: str, told: Changes | None, further: Sequence[Block], heard: tuple[Answers, ...]
) -> SectionView:
    examples = tuple(next(r for row in section.rows if (r := section.record(row, c))) for c in section.columns)
    heat_maps = [_heat_map(section, metric, anchor) for metric in HEADLINE] if len(section.rows) > 1 else []
    # One hidden state makes no curve; such encoders are drawn, as a line, only beside others.
    parts = in_parts(section.rows) if any(len(r.layers) > 1 for r in section.cells.values()) else []
    return SectionView(
        id=anchor,
        section=section,
        heat_maps=tuple(heat_maps),
        layer_curves=tuple(_curves(section, rows, f"{anchor}l{i}") for i, rows in enumerate(parts)),
        failures=tuple(_failures(section)),
        examples=examples,
        settings=tuple(_flat(examples[0].protocol.settings)),
        software=tuple(dict.fromkeys(_software(r.environment) for r in section.cells.values())),
        reported=reported_blocks(c.key[0] for c in section.columns) if section.on_published_data else (),
        changes=told,
        transfer_map=_transfer_map(told, anchor) if told else None,
        blocks=tuple(_block(block, section, f"{anchor}-{block.id}") for block in further),
        answers=heard,
    )


def _block(block: Block, section: Section, anchor: str) -> BlockView:
    parts = [(part, _pictures(part.drawings, section, f"{anchor}-{i}-")) for i, part in enumerate(block.parts, start=1)]
    return BlockView(block, _pictures(block.drawings, section, f"{anchor}-"), tuple(parts))


def _pictures(drawings: Sequence[Drawing], section: Section, anchor: str) -> tuple[Picture, ...]:
    found = []
    for i, drawing in enumerate(drawings):
        title = ". ".join([f"{drawing.title}: {section.title}", *([section.warning] if section.warning else [])])
        svg = _svg(drawing.draw(), f"{anchor}{i}", title, "The numbers are in the tables below.")
        found.append(Picture(svg, title, drawing.title))
    return tuple(found)


def _transfer_map(told: Changes, anchor: str) -> Picture | None:
    figure = told.figure()
    if figure is None:
        return None
    matrix = told.matrix
    title = f"Heat map of the change against {matrix.base} by model and task: {matrix.title}"
    if matrix.edition == "mini":
        title = f"{title}. {MINI_LABEL}"
    svg = _svg(figure, f"{anchor}-change", title, "The numbers of the table below.")
    caption = (
        "Mean of ROC-AUC and AP, below it the change against the base; orange: gain, purple: loss, hatched: not "
        "separable from zero, outlined: the model was trained on this tradition."
    )
    return Picture(svg, title, caption)


def _software(environment: EnvironmentPart) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return f"cmbench {environment.cmbench}, Python {environment.python}, {packages} on {environment.platform}"


def _heat_map(section: Section, metric: str, anchor: str) -> Picture:
    scored = [
        (found.value, row.name, column.name)
        for row in section.rows
        for column in section.columns
        if (found := section.metric(row, column, metric)) and found.value is not None
    ]
    title = f"Heat map of {METRIC_TITLES[metric]} by model and task, percent: {section.title}"
    caption = "The numbers of the table above. Hatched: no score."
    if scored:
        best, worst = max(scored), min(scored)
        caption = (
            f"The numbers of the {METRIC_TITLES[metric]} table above, "
            f"from {percent(worst[0])} ({worst[1]} on {worst[2]}) to {percent(best[0])} ({best[1]} on {best[2]}). "
            "Hatched: no score."
        )
    return Picture(_svg(heat_map(section, metric), f"{anchor}-{metric}", title, caption), title, caption)


def _curves(section: Section, rows: Sequence[Row], anchor: str) -> Picture:
    title = f"Validation score by hidden state, percent: {section.title}"
    chosen = "; ".join(
        f"{row.name}: " + ", ".join(f"{c.name} {r.selection.layer}" for c, r in section.records_of(row)) for row in rows
    )
    caption = "Ringed: the input that validation chose. Dashed: an encoder with a single hidden state."
    svg = _svg(layer_curves(section, rows), anchor, title, f"Chosen on validation: {chosen}.")
    return Picture(svg, title, caption)


def _failures(section: Section) -> Iterator[Failure]:
    for column in section.columns:
        found: dict[tuple[FailedTrack, str], list[str]] = {}
        for row in section.rows:
            if record := section.record(row, column):
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


def blocks(
    section: Section, found: Sequence[Evidence], resamples: int, distances: Sequence[Distances] = ()
) -> tuple[Block, ...]:
    """Return the views of a section, those that there is something to show of.

    Args:
        section: the records.
        found: the section's records with predictions.
        resamples: of the cluster bootstrap of calibration.
        distances: between the tasks of this edition.
    """
    records = [record for row in section.rows for _, record in section.records_of(row)]
    made = (
        _layers(section, records),
        _families(records),
        _confusions(section, found),
        _calibration(section, found, resamples),
        _similarity(section, distances),
        _cost(records),
    )
    return tuple(block for block in made if block.parts)
