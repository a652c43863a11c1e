"""Records as one self-contained page for the browser."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from itertools import groupby
from pathlib import Path

from ...files import code_sha256, file_sha256, sha256_of, write_atomically
from ...version import __version__
from ..comparing.compare import RESAMPLES
from ..comparing.lineage import is_control
from ..comparing.paired import Difference
from ..records.environment import device_words
from ..records.evidence import Evidence
from ..records.folder import record_files
from ..records.record import EnvironmentPart, FailedTrack, Interval, Record
from ..records.sections import HEADLINE, METRIC_TITLES, NO_REASON, NOT_RUN, Column, Section
from ..studies.similarity.distance import Distances
from ..studies.similarity.maps import similarity_block
from ..views.base import Block, Drawing, Part, Scope
from ..views.equity import worst
from ..views.figures import FLOORS, style
from ..views.headline import Conclusion
from ..views.registry import ENTRY_POINTS, views
from ..views.reported.rows import WARNING
from ..views.scope import scope_of
from ..views.words import coverage_text, percent, points
from .answers import Answers, answers
from .svg import Picture, environment, svg_of, with_shared_styles

ORDER = (
    "headline",
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


HEAD = 2048
"""Characters of a page that are looked at for its key."""

_SEAL = "<!-- sha256 {} -->\n"
_SEAL_BYTES = len(_SEAL.format("0" * 64))
"""Of the last line of a page: the hash of all before it, since what it says first is read from it again."""


@dataclass(frozen=True)
class Failure:
    """A track that was left out, or used with a warning, and the models for which it was so."""

    task: str
    track: FailedTrack
    outcome: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class BlockView:
    """A view with its figures drawn."""

    block: Block  # its words and tables
    pictures: tuple[Picture, ...]  # figures that are always in sight
    parts: tuple[tuple[Part, tuple[Picture, ...]], ...]  # what is folded away, each with its figures


@dataclass(frozen=True)
class SectionView:
    """What the template shows of a section, and cannot ask it directly."""

    id: str  # prefix of the section's anchors
    section: Section  # the scores
    failures: tuple[Failure, ...]  # each track once
    examples: tuple[Record, ...]  # for each column, a record of it: for what is the same for every model
    settings: tuple[tuple[str, str], ...]  # the protocol's values, flat
    software: tuple[str, ...]  # what the records were made with, each combination once
    devices: tuple[str, ...]  # that the records were made on, each once
    blocks: tuple[BlockView, ...]  # of the views, each with its pictures
    cost: tuple[BlockView, ...]  # those that differ between runs
    answers: tuple[Answers, ...]  # single recordings to listen to


def write_page(
    # editions, splits and protocols, each a section of its own; the audits of their splits are told where they have
    # them (:func:`..records.sections.audited`)
    shown: Sequence[Section],
    out: Path,  # the file
    found: Sequence[Evidence] = (),  # those of them whose predictions are there, for what is judged on predictions
    *,
    title: str = "",  # heading of the page; how many models and traditions there are if not given
    base: str | None = None,  # model that the others are compared with; by lineage in each section if not given
    resamples: int = RESAMPLES,  # of the paired bootstrap
    distances: Sequence[Distances] = (),  # between traditions, shown in the sections of their edition
    key: str = "",  # of what the page is drawn from (:func:`page_key`)
) -> Path:
    """Write what some records say as one HTML file that needs no network: first a picture and the conclusion.

    Returns:
        ``out``.
    """
    drawn = []
    for i, section in enumerate(shown, start=1):
        scope = scope_of(section, found, base, resamples)
        with style("none"):
            drawn.append(_view(scope, f"s{i}", distances, answers(scope.evidence, out)))
    page = _render(drawn, title or _title(shown), key).encode()
    write_atomically(out, page + _SEAL.format(sha256_of(page)).encode())
    return out


def page_key(folder: Path, *facts: str) -> str:
    """Return the hash of what a page of all records below a folder is drawn from.

    That is their bytes and those beside them, the code that judges and draws, and the views of other distributions.
    """
    code = code_sha256(Path(__file__).parents[1], "*.py", "*.html", "*.css", "*.js")
    others = sorted((p.name, p.value, p.dist.version if p.dist else "") for p in entry_points(group=ENTRY_POINTS))
    digest = hashlib.sha256(repr((__version__, code, others, facts)).encode())
    for path in record_files(folder):
        for file in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*")):
            if file.is_file():
                digest.update(f"{file.relative_to(folder)} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


def conclusions_of(page: Path, key: str) -> tuple[Conclusion, ...] | None:
    """Return what a page says first of each section.

    ``None`` if it is not there, drawn from something else, or not as it was written.
    """
    content = page.read_bytes() if page.is_file() else b""
    whole = content[:-_SEAL_BYTES]
    if content[-_SEAL_BYTES:] != _SEAL.format(sha256_of(whole)).encode():
        return None
    text = whole.decode()
    if f'name="cmbench-shows" content="{key}"' not in text[:HEAD]:
        return None
    said = re.search(r'<script type="application/json" id="conclusions">(.*?)</script>', text)
    if said is None:
        return None
    return tuple(Conclusion(**found | {"table": tuple(map(tuple, found["table"]))}) for found in json.loads(said[1]))


def _title(shown: Sequence[Section]) -> str:
    models = len({row.name for section in shown for row in section.rows})
    traditions = len({column.tradition for section in shown for column in section.columns})
    what = f"{traditions} traditions" if traditions > 1 else f"{shown[0].columns[0].tradition.capitalize()} music"
    return f"What {models} model{'s' * (models > 1)} know{'s' * (models == 1)} of {what}"


def _render(found: Sequence[SectionView], title: str, key: str) -> str:
    from markupsafe import Markup

    templates = environment()
    templates.filters.update(percent=percent, points=points, coverage=coverage_text, by_tradition=_by_tradition)
    templates.tests["unsettled"] = unsettled
    templates.globals.update(
        device_words=device_words,
        titles=METRIC_TITLES,
        headline=HEADLINE,
        not_run=NOT_RUN,
        no_reason=NO_REASON,
        bar_style=_bar_style,
        reported_warning=WARNING,
        worst=worst,
        is_control=is_control,
    )
    blocks = (view.block for section in found for view in section.blocks)
    said = [asdict(block.data) for block in blocks if isinstance(block.data, Conclusion)]
    # No text of a user may end the element that holds it.
    kept = Markup(json.dumps(said, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704
    page = templates.get_template("page.html")
    return with_shared_styles(page.render(views=found, title=title, shows=key, conclusions=kept))


def unsettled(change: Difference | None) -> bool:
    """Return whether an interval leaves 0 out, and the verdict over many of them is still that nothing can be told."""
    if change is None or change.low is None or change.high is None:
        return False
    return change.verdict == "cannot tell" and not change.low <= 0 <= change.high


def _by_tradition(columns: Iterable[Column]) -> list[tuple[str, list[Column]]]:
    return [(tradition, list(members)) for tradition, members in groupby(columns, key=lambda c: c.tradition)]


def _bar_style(value: float, span: Interval | None, metric: str, chance: float | None) -> str:
    """Return a bar's CSS variables, in percent of its cell: its ends, its interval's ends, the level of chance."""
    start = BAR_STARTS[metric]

    def place(share: float) -> str:
        at = (100 * share - start) / (100 - start) * 100
        return f"{min(100.0, max(0.0, at)):.0f}"

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
        devices=tuple(dict.fromkeys(device_words(r.environment) for r in section.cells.values())),
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
        title = f"{drawing.title}: {section.setting.title}"
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
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)
