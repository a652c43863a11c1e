"""The board as a folder of static pages and one JSON: no server, no network, the same bytes for the same entries.

``index.html`` shows the boards at a glance, real data never beside ``mini``; ``reported.html`` what papers report;
``boards/<slug>/`` a board and the comparison of two entries; ``entries/<name>/<version>/`` an entry's page beside its
files. A slug changes only with the protocol or the data, so links stay.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...benchmark.pages.svg import environment
from ...benchmark.records.record import Record
from ...benchmark.records.sections import HEADLINE, METRIC_TITLES
from ...benchmark.views.equity import worst
from ...benchmark.views.reported.rows import WARNING
from ...benchmark.views.words import percent, span
from ...errors import UsageError
from ...files import whole_folder
from ...tasks.base import MINI_LABEL
from ..claims import SAID, SHOWN_BY_A_RUN, UNVERIFIED, WAY_OUT
from ..entry import Submission
from ..listing import Listed, Site, canonical, read_site
from ..ranking import RESAMPLES, WHY_EVERY_TRACK, Board, Place, suites_of
from .board_json import board_json, compare_json
from .card import card_html
from .matrix import coloured, matrix

TEMPLATES = Path(__file__).with_name("templates")

MOST_PAIRS = 1600
"""Pairs whose paired intervals a comparison page carries; 57 entries. More would take it over 300 kB."""

REPORTED = "reported"
"""In place of a board's slug on the page of what papers report."""

DATA = "board.json"
"""By this file a folder is known as one that :func:`build` made and may replace."""

BADGE_TITLES: Mapping[str, str] = {
    "reproduced": "a maintainer ran the model",
    "rescored": "every score was computed again from the predictions",
    "reported": "typed in from a paper, not measured by cmbench",
}


def build(root: Path, out: Path, resamples: int = RESAMPLES) -> Site:
    """Write the pages of all entries below a folder.

    A folder that this function made is replaced.

    Raises:
        UsageError: ``out`` holds something else.
        CmbenchError: an entry is not sound.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is not a folder; choose another --out.")
    if out.exists() and any(out.iterdir()) and not (out / DATA).is_file():
        raise UsageError(f"{out} holds something that is not a board; choose another --out, or empty it.")
    if root.resolve() == out.resolve() or out.resolve() in root.resolve().parents:
        raise UsageError(f"{out} holds the entries themselves; choose another --out.")
    site = read_site(root, resamples)
    with whole_folder(out) as folder:
        _write(site, folder)
    return site


def _write(site: Site, folder: Path) -> None:
    for name, text in pages(site):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    for one in site.listed.values():
        for file in one.files:
            path = folder / "entries" / one.key / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.path / file.name, path)


def pages(site: Site) -> Iterator[tuple[str, str]]:
    """Yield the address and the content of every page and of ``board.json``."""
    draw = _Drawing(site)
    yield DATA, canonical(board_json(site))
    shown = site.real or site.boards
    examples = [board for board in site.boards if board not in shown]
    yield "index.html", draw("index.html", "", {"shown": shown, "examples": examples})
    yield "reported.html", draw("reported.html", REPORTED, {})
    for board in site.boards:
        facts = _board_facts(site, board)
        yield f"boards/{board.slug}/index.html", draw("board.html", board.slug, {"board": board, **facts}, "board.js")
        differences = len(board.differences) <= MOST_PAIRS
        data = canonical(compare_json(board, differences)).strip()
        yield (
            f"boards/{board.slug}/compare.html",
            draw(
                "compare.html",
                board.slug,
                {
                    "board": board,
                    "data": _safe_json(data),
                    "differences": differences,
                    "most_pairs": MOST_PAIRS,
                },
                "compare.js",
            ),
        )
    for one in site.listed.values():
        yield f"entries/{one.key}/index.html", draw("entry.html", None, {"entry": one, **_entry_facts(site, one)})


class _Drawing:
    """The templates with what all pages share."""

    def __init__(self, site: Site) -> None:
        self._environment = environment(TEMPLATES)
        self._environment.filters.update(
            percent=percent,
            span=span,
            entry_name=_entry_name,
            millions=_millions,
            shade=_shade,
            card=card_html,
            matrix=matrix,
            coloured=coloured,
        )
        css = self._text("page.css") + self._text("board.css")
        self._environment.globals.update(
            site=site,
            css=css,
            titles=METRIC_TITLES,
            badge_titles=BADGE_TITLES,
            mini_label=MINI_LABEL,
            reported_warning=WARNING,
            worst=worst,
            row_data=_row_data,
            retention_reason=_retention_reason,
            unverified=UNVERIFIED,
            claims=(*SHOWN_BY_A_RUN, *SAID),
            way_out=WAY_OUT,
            why_every_track=WHY_EVERY_TRACK,
        )

    def _text(self, name: str) -> Any:
        from markupsafe import Markup

        loader = self._environment.loader
        assert loader is not None
        # Our own files, not an entry's words.
        return Markup(loader.get_source(self._environment, name)[0])  # noqa: S704

    def __call__(self, template: str, here: str | None, facts: Mapping[str, object], *scripts: str) -> str:
        """Return a page; ``here``: the slug of its board, empty for the first page, ``None`` for an entry."""
        code = [self._text(name) for name in ("page.js", *scripts)]
        root = "" if here in ("", REPORTED) else "../../" if here is not None else "../../../"
        hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(c.encode()).digest()).decode()}'" for c in code)
        chosen = self._environment.get_template(template)
        return chosen.render(here=here, root=root, scripts=code, script_hashes=hashes, **facts)


def _entry_name(key: str) -> str:
    return key.replace("/", " ")


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:,.1f} M" if parameters >= 50_000 else f"{parameters:,}"


def _shade(value: float, chance: float) -> str:
    """Return how dark a cell is, in percent: white at chance, and never so dark that its text cannot be read."""
    return f"{85 * min(1.0, max(0.0, (value - chance) / (1 - chance))):.0f}"


def _row_data(entry: Listed, anchor: str) -> Any:
    from markupsafe import Markup

    said = entry.submission
    text = Markup(' data-name="{}" data-parameters="{}" data-licence="{}" data-badge="{}"').format(
        entry.key, said.parameters, said.licence, entry.badge
    )
    return text + Markup(' data-anchor=""') if anchor else text


def _retention_reason(place: Place) -> str:
    if place.base is None:
        return "its base is not on this board, or its card names none (base_model)"
    return "its base is not complete on this board, or has nothing above chance to keep"


def _board_facts(site: Site, board: Board) -> dict[str, object]:
    there = [site.listed[place.name] for place in board.places]
    return {
        "metrics": HEADLINE,
        "licences": sorted({one.submission.licence for one in there}),
        "badges": sorted({one.badge for one in there}),
        "retired": [
            one
            for key, one in sorted(site.listed.items())
            if (one.withdrawal or one.newer) and _is_for(one.submission, board)
        ],
    }


def _is_for(said: Submission, board: Board) -> bool:
    asked = said.board
    return (asked.edition, asked.split, asked.protocol, asked.protocol_sha256) == (
        board.edition,
        board.split,
        board.protocol,
        board.protocol_sha256,
    )


def _entry_facts(site: Site, one: Listed) -> dict[str, object]:
    # The board of the paper's six comes before that of all tasks, and is the one that an entry's page names.
    boards = site.boards[::-1]
    places = {place.name: (board, place) for board in boards for place in board.places}
    lacking = {found.name: (board, found) for board in boards for found in board.incomplete}
    board, place = places.get(one.key, (None, None))
    apart, incomplete = lacking.get(one.key, (None, None))
    run, compare = reproducing(one)
    return {
        "board": board or apart,
        "place": place,
        "incomplete": incomplete,
        "layers": _layers(one.records),
        "run_command": run,
        "reproduce_command": compare,
    }


def reproducing(one: Listed) -> tuple[str, str]:
    """Return the command that runs an entry's model as the entry did, and the one that compares the two."""
    said, model = one.submission, one.records[0].model
    whole = {tasks: suite or "all" for suite, tasks in suites_of(said.tasks)}
    tasks = whole.get(frozenset(said.tasks), ",".join(said.tasks))
    run = ["cmbench", "run", "--model", model.name, "--tasks", tasks, "--edition", said.board.edition]
    if said.board.split not in ("official", "own"):
        run += ["--split", said.board.split]
    run += ["--protocol", said.board.protocol, "--out", "own"]
    entry = f"leaderboards/entries/{one.key}"
    compare = ["cmbench", "leaderboard", "reproduce", entry, "--run", "own", "--maintainer", "YOUR NAME"]
    return shlex.join(run), shlex.join(compare)


_Cell = tuple[float | None, bool]


def _layers(records: Sequence[Record]) -> list[tuple[str, list[_Cell]]]:
    names = dict.fromkeys(score.layer for record in records for score in record.layers)
    scores = [{score.layer: score.score for score in record.layers} for record in records]
    return [
        (name, [(s.get(name), r.selection.layer == name) for s, r in zip(scores, records, strict=True)])
        for name in names
    ]


def _safe_json(text: str) -> Any:
    """Return JSON as it may stand in a script element: no character of it can end the element."""
    from markupsafe import Markup

    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704
