"""Figures over records: the heat map of models and tasks, scores by hidden state, and what all figures share.

Every figure belongs to one section (:mod:`.sections`) and says so in its title. The same records give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .record import Metric, Record
from .sections import ABSENT, METRIC_TITLES, Row, Section, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.typing import ColorType

TEXT_WIDTH = 7.0
"""Inches: the width of the text of a two-column paper (A4 or letter)."""

INK = "#1f2933"
"""Of text and axes; a page replaces it by its own text colour."""

FAINT = "#8a94a0"

# Okabe and Ito, "Color universal design" (2008), without yellow, which is too faint for lines, and with grey for black,
# which would vanish on a dark page.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#808080")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

MARKS = 8
"""Marks on a curve of hidden states, about."""

LINE = "#d5dade"
"""Of grids; a page replaces it by its own."""

FLOORS: Mapping[str, float] = {"roc_auc": 50.0, "average_precision": 0.0}
"""Percent where the colour scales and the bars begin: ROC-AUC at chance."""

SCRIPT_FONTS = ("Noto Sans Devanagari", "Noto Sans Tamil", "Noto Sans Telugu", "Lohit Devanagari", "Noto Sans CJK JP")
"""Used, where they are installed, for letters that DejaVu Sans lacks."""


@contextmanager
def style(text: str) -> Iterator[None]:
    """Hold the settings of every figure; ``text`` is ``path`` (looks the same everywhere) or ``none`` (real text)."""
    import matplotlib as mpl
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    settings: dict[Any, object] = {
        "svg.hashsalt": "cmbench",
        "svg.fonttype": text,
        "font.family": ["DejaVu Sans", *(f for f in SCRIPT_FONTS if f in installed)],
        "font.size": 8,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "text.parse_math": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "hatch.linewidth": 0.5,
        "savefig.transparent": False,
    }
    with warnings.catch_warnings(), mpl.rc_context(settings):
        # A label in a script without a font is drawn as boxes in files; pages hold it as text.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)
        yield


def empty_figure(width: float, height: float) -> Figure:
    """Make an empty figure (inches) that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def draw_title(figure: Figure, section: Section, what: str, height: float) -> None:
    """Write what is shown, of which edition, split and protocol; the ``mini`` label on a line of its own."""
    figure.text(0.005, 1 - 0.06 / height, what, va="top", size=9, weight="bold")
    figure.text(0.005, 1 - 0.23 / height, section.title, va="top", size=7)
    if section.warning:
        figure.text(0.005, 1 - 0.37 / height, section.warning, va="top", size=7, style="italic")


def head_inches(section: Section) -> float:
    """Return the inches that the title needs."""
    return 0.56 if section.warning else 0.42


def heat_map(section: Section, metric: str) -> Figure:
    """Draw models by tasks, coloured and annotated with score and interval (percent).

    Columns are grouped by tradition. The colour map is cividis, perceptually uniform and made for colour-blind readers
    (Nunez, Anderton, Renslow, PLoS ONE 13(7), 2018); its lightness rises steadily, so it survives a greyscale print.

    Args:
        section: records of one edition, split and protocol.
        metric: ``roc_auc`` or ``average_precision``.
    """
    rows, columns = section.rows, section.columns
    shown = [clipped(row.name) for row in rows]
    left = 0.12 + 0.075 * max(map(len, shown))
    gaps, ends = _gaps(section), _ends(section, metric)
    span = len(columns) + gaps[-1]
    bar = 0.75
    cell = min(1.0, max(0.72, (TEXT_WIDTH - left - bar) / span))
    head, foot, line = head_inches(section) + 0.34, 0.44, 0.42
    width, height = max(left + cell * span + bar, 5.2), head + line * len(rows) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, cell * span / width, line * len(rows) / height))
    axes.set_xlim(0, span)
    axes.set_ylim(len(rows), 0)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _heat_cell(axes, x + gaps[x], y, section.metric(row, column, metric), ends)
    axes.set_yticks([y + 0.5 for y in range(len(rows))], shown, size=8)
    names = [f"{c.name}\nn={c.test_tracks}, {c.label_count}" for c in columns]
    axes.set_xticks([x + gaps[x] + 0.5 for x in range(len(columns))], ["" for _ in columns])
    for x, name in enumerate(names):
        first, second = name.split("\n")
        at = x + gaps[x] + 0.5
        axes.annotate(first, (at, len(rows)), (0, -4), textcoords="offset points", ha="center", va="top", size=7)
        axes.annotate(second, (at, len(rows)), (0, -14), textcoords="offset points", ha="center", va="top", size=5.5)
    _traditions(axes, section, gaps)
    draw_scale(figure, ends, (left + cell * span + 0.16) / width, foot / height, line * len(rows) / height, width)
    draw_title(figure, section, f"{METRIC_TITLES[metric]} by model and task, percent", height)
    return figure


def _ends(section: Section, metric: str) -> tuple[float, float]:
    """Return the ends of the colour scale, percent: from chance (ROC-AUC) or 0 to the next ten above the best score."""
    found = (section.metric(row, column, metric) for row in section.rows for column in section.columns)
    best = max((100 * m.value for m in found if m and m.value is not None), default=0.0)
    low = FLOORS[metric]
    return low, min(100.0, max(low + 20.0, 10.0 * (best // 10 + 1)))


def _gaps(section: Section) -> list[float]:
    """Return the shift of every column: a little more after each tradition."""
    shift, gaps = 0.0, []
    for i, column in enumerate(section.columns):
        if i and column.tradition != section.columns[i - 1].tradition:
            shift += 0.08
        gaps.append(shift)
    return gaps


def _heat_cell(axes: Axes, x: float, y: float, metric: Metric | None, ends: tuple[float, float]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    if metric is None or metric.value is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", hatch="////", linewidth=0.8, edgecolor="#c3c9cf"))
        axes.text(x + 0.5, y + 0.5, ABSENT, ha="center", va="center", size=8.5, color="#33393f")
        return
    low, high = ends
    shade = colormaps["cividis"](min(1.0, max(0.0, (100 * metric.value - low) / (high - low))))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, linewidth=0.8, edgecolor="white"))
    ink = ink_on(shade)
    middle = 0.37 if metric.interval else 0.5
    axes.text(x + 0.5, y + middle, percent(metric.value), ha="center", va="center", size=8.5, color=ink)
    if metric.interval:
        span = f"{percent(metric.interval.low)}–{percent(metric.interval.high)}"
        axes.text(x + 0.5, y + 0.75, span, ha="center", va="center", size=6, color=ink)


def ink_on(shade: ColorType) -> str:
    """Return black or white, whichever reads better on a colour.

    Relative luminance as in WCAG 2.2, simplified to a power of 2.2; 0.18 is where black and white contrast equally.
    """
    from matplotlib.colors import to_rgb

    light = sum(weight * part**2.2 for weight, part in zip((0.2126, 0.7152, 0.0722), to_rgb(shade), strict=True))
    return "#000000" if light > 0.18 else "#ffffff"


def _traditions(axes: Axes, section: Section, gaps: Sequence[float]) -> None:
    """Draw a bracket above the columns of each tradition."""
    for tradition, found in groupby(range(len(section.columns)), key=lambda i: section.columns[i].tradition):
        members = list(found)
        start, end = members[0] + gaps[members[0]], members[-1] + gaps[members[-1]] + 1
        axes.plot([start + 0.04, end - 0.04], [-0.1, -0.1], color=INK, linewidth=1.0, clip_on=False)
        axes.text((start + end) / 2, -0.18, tradition.capitalize(), ha="center", va="bottom", size=7.5, weight="bold")


def draw_scale(
    figure: Figure, ends: tuple[float, float], left: float, bottom: float, height: float, width: float
) -> None:
    """Draw the colour scale, right of the map."""
    import numpy as np

    axes = figure.add_axes((left, bottom, 0.1 / width, height))
    low, high = ends
    axes.pcolormesh([0, 1], np.linspace(low, high, 65), np.linspace(0, 1, 64)[:, None], cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks = np.arange(low, high + 1, 10 if high - low <= 50 else 20)
    axes.set_yticks(ticks, [f"≤ {t:.0f}" if t == 50.0 == low else f"{t:.0f}" for t in ticks])
    axes.tick_params(labelsize=6.5, length=2, width=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylim(low, high)


def short_label(label: str) -> str:
    """Return the label without the family that Dunya's and Lyra's labels carry in front."""
    return label.split("--", 1)[-1]


def layer_curves(section: Section, rows: Sequence[Row]) -> Figure:
    """Draw the validation score by hidden state, one panel for each task.

    The fused sum stands apart on the right; the input that validation chose is ringed. An encoder with one hidden state
    is a dashed line across.

    Args:
        section: records of one edition, split and protocol.
        rows: the models to draw, as many as there are markers at most.
    """
    columns = section.columns
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    head, foot, panel = head_inches(section), 0.42, 1.7
    width = TEXT_WIDTH if across > 1 else 4.6
    names = [*(clipped(row.name) for row in rows), "chosen on validation"]
    foot += 0.17 * -(-len(names) // legend_columns(names, width))
    height = head + panel * down + foot - 0.3
    figure = empty_figure(width, height)
    grid = figure.subplots(down, across, sharey=True, sharex=True, squeeze=False)
    figure.subplots_adjust(
        left=0.5 / width,
        right=1 - 0.1 / width,
        top=1 - (head + 0.2) / height,
        bottom=foot / height,
        hspace=0.32,
        wspace=0.08,
    )
    fused_at = 1 + max((len(r.model.layer_names) for row in rows for _, r in section.records_of(row)), default=1)
    for i, axes in enumerate(grid.flat):
        if i >= len(columns):
            axes.set_visible(False)
            continue
        axes.set_title(columns[i].name, size=7.5, pad=3)
        axes.grid(axis="y", color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.margins(y=0.1)
        for k, row in enumerate(rows):
            if record := section.record(row, columns[i]):
                _curve(axes, record, fused_at, k)
        _layer_axis(axes, fused_at, last=i + across >= len(columns))
    grid[-1][0].figure.supylabel("validation score, percent", size=7.5, x=0.005)
    handles = [_handle(k if k < len(rows) else None, name) for k, name in enumerate(names)]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=legend_columns(names, width),
        frameon=False,
        fontsize=7,
        borderaxespad=0.2,
    )
    draw_title(figure, section, "Validation score by hidden state", height)
    return figure


def _layer_axis(axes: Axes, fused_at: int, last: bool) -> None:
    step = 1 if fused_at <= 8 else 2 if fused_at <= 15 else 4
    ticks = list(range(0, fused_at - 1, step))
    axes.set_xlim(-0.6, fused_at + 0.6)
    axes.set_xticks([*ticks, fused_at], [*map(str, ticks), "fused"])
    axes.axvline(fused_at - 0.9, color=FAINT, linewidth=0.6, linestyle=":")
    axes.tick_params(labelsize=6.5, length=2, width=0.5, labelbottom=last)
    if last:
        axes.set_xlabel("hidden state", size=7, labelpad=2)


def _curve(axes: Axes, record: Record, fused_at: int, k: int) -> None:
    place = {name: i for i, name in enumerate(record.model.layer_names)}
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    known = [(place.get(s.layer, fused_at), 100 * s.score, s.layer) for s in record.layers if s.score is not None]
    states = [(x, y) for x, y, _ in known if x != fused_at]
    if len(record.model.layer_names) == 1 and states:
        axes.axhline(states[0][1], color=colour, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
    axes.plot(
        [x for x, _ in states],
        [y for _, y in states],
        color=colour,
        marker=marker,
        markersize=3.2,
        # Models with many hidden states are told apart by fewer marks; each mark has its weight on a page of 20 models.
        markevery=max(1, len(states) // MARKS),
        linewidth=1.1,
    )
    for x, y, name in known:
        if x == fused_at:
            axes.plot([x], [y], color=colour, marker=marker, markersize=4.2, linestyle="none")
        if name == record.selection.layer:
            axes.plot(
                [x],
                [y],
                marker="o",
                markersize=8,
                markerfacecolor="none",
                markeredgecolor=INK,
                markeredgewidth=0.9,
                clip_on=False,
            )


def _handle(k: int | None, name: str) -> Line2D:
    from matplotlib.lines import Line2D

    if k is None:
        ring = Line2D([], [], marker="o", markersize=7, linestyle="none", label=name)
        ring.set(markerfacecolor="none", markeredgecolor=INK)
        return ring
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    return Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.1, label=name)


def model_mark(k: int) -> dict[str, Any]:
    """Return colour and marker of model number ``k``; beyond seven the same again, hollow, then half filled."""
    colour = COLOURS[k % len(COLOURS)]
    mark: dict[str, Any] = {"color": colour, "marker": MARKERS[k % len(MARKERS)], "linestyle": "none"}
    hollow = {1: {"markerfacecolor": "white"}, 2: {"fillstyle": "left", "markerfacecoloralt": "white"}}
    return mark | hollow.get(k // len(COLOURS) % 3, {})


def clipped(text: str, most: int = 36) -> str:
    """Return a name, without its middle where it would leave a figure no room: long names often differ at the end."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - 1 - end]}…{text[-end:]}"


def legend_columns(names: Sequence[str], width: float) -> int:
    """Return how many columns of a legend of size 7 fit into ``width`` inches, four at most."""
    return max(1, min(4, int(width / (0.5 + 0.062 * max(map(len, names), default=1)))))


def in_parts(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Models by as many as one figure of layer curves can tell apart."""
    size = len(MARKERS)
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def figure_bytes(figure: Figure, ending: str) -> bytes:
    """Return a figure as ``svg`` or ``png`` (300 dots per inch), the same bytes every time."""
    metadata = {"Date": None, "Creator": None} if ending == "svg" else {"Software": None}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, metadata=metadata, dpi=300, facecolor="white")
    return buffer.getvalue()
