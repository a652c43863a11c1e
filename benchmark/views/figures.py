"""What all figures over records share.

Every figure belongs to one section (:mod:`..records.sections`) and says so in its title. The same records give the
same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from ..records.sections import Column, Row, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

    from .tables import Titled

TEXT_WIDTH = 7.0
"""Inches: the width of the text of a two-column paper (A4 or letter)."""

COLUMN_WIDTH = 3.4
"""Inches of one column of it, or of a phone."""

INK = "#1f2933"
"""Of text and axes; a page replaces it by its own text colour."""

BLACK = "#010101"
"""On colours. The very black is written into no file, and would take the text colour of a page."""

FAINT = "#8a94a0"

# Okabe and Ito, "Color universal design" (2008), without yellow, which is too faint for lines, and with grey for black,
# which would vanish on a dark page.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#808080")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

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
        # A label in a script without a font is drawn as boxes in files, and before Matplotlib 3.11 some scripts sign by
        # sign; pages hold it as text.
        for message in (r"Glyph \d+ .*missing from font", "Matplotlib currently does not support .* natively"):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        yield


def on_page() -> bool:
    """Return whether figures are drawn for a page: there, text is text (:func:`style`)."""
    import matplotlib as mpl

    return bool(mpl.rcParams["svg.fonttype"] == "none")


def empty_figure(width: float, height: float) -> Figure:
    """Make an empty figure (inches) that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def draw_title(figure: Figure, section: Titled, what: str, height: float) -> None:
    """Write what is shown, of which edition, split and protocol; the ``mini`` label on a line of its own.

    A page says all of that itself, once.
    """
    if on_page():
        return
    figure.text(0.005, 1 - 0.06 / height, what, va="top", size=9, weight="bold")
    figure.text(0.005, 1 - 0.23 / height, section.title, va="top", size=7)
    if section.warning:
        figure.text(0.005, 1 - 0.37 / height, section.warning, va="top", size=7, style="italic")


def head_inches(section: Titled) -> float:
    """Return the inches that the title needs."""
    if on_page():
        return 0.06
    return 0.42 + 0.14 * len(section.warning.splitlines())


def ink_on(shade: ColorType) -> str:
    """Return black or white, whichever reads better on a colour; a black that is not the page's ink (:data:`BLACK`).

    Relative luminance as in WCAG 2.2, simplified to a power of 2.2; 0.18 is where black and white contrast equally.
    """
    from matplotlib.colors import to_rgb

    light = sum(weight * part**2.2 for weight, part in zip((0.2126, 0.7152, 0.0722), to_rgb(shade), strict=True))
    return BLACK if light > 0.18 else "#ffffff"


def prepare_map(axes: Axes, across: float, down: float) -> None:
    """Make axes a map of so many cells, from the upper left; names stand beside it without ticks."""
    axes.set_xlim(0, across)
    axes.set_ylim(down, 0)
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_cell(axes: Axes, x: float, y: float, shade: ColorType | None, text: str, size: float, **look: Any) -> None:
    """Draw a cell of a map with what stands in it; hatched where there is no value, and so no shade."""
    from matplotlib.patches import Rectangle

    empty = {"facecolor": "#eceff1", "hatch": "////", "edgecolor": "#c3c9cf"}
    colours = empty if shade is None else {"facecolor": shade, "edgecolor": "white"}
    axes.add_patch(Rectangle((x, y), 1, 1, **{"linewidth": 0.8, "clip_on": False} | colours | look))
    if text:
        ink = "#33393f" if shade is None else ink_on(shade)
        axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", size=size, color=ink)


def draw_bar(
    figure: Figure,
    ends: tuple[float, float],
    colours: str | Colormap,
    left: float,
    bottom: float,
    length: float,
    low: str = "",
) -> None:
    """Draw a colour scale below a map: the values at its ends and between; places and lengths in inches.

    ``low`` stands at the lower end in place of its value.
    """
    import numpy as np

    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, length / width, 0.1 / height))
    shades = np.linspace(0, 1, 24)[None]
    # Edges of their own colour: without them a browser shows the page between two shades.
    look: dict[str, Any] = {"edgecolors": "face", "lw": 0.2, "clip_on": False}
    axes.pcolormesh(np.linspace(*ends, 25), [0, 1], shades, cmap=colours, vmin=0, vmax=1, **look)
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if (ends[1] - ends[0]) / s <= 6)
    ticks = np.arange(np.ceil(ends[0] / step), np.floor(ends[1] / step) + 1) * step + 0.0
    names = [f"{tick:+g}" if ends[0] < 0 and tick else f"{tick:g}" for tick in ticks]
    axes.set_xticks(ticks, [low or names[0], *names[1:]])
    axes.set_yticks([])
    axes.xaxis.tick_top()
    axes.tick_params(labelsize=6.5, length=2, width=0.5, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def broken(task: str) -> str:
    """Break a task's name into lines that fit a narrow column."""
    return task.replace("magnatagatune", "magna-\ntagatune").replace("_", "\n")


def describe(figure: Figure, title: str, description: str) -> None:
    """Give a figure the title and the description that its file states for who cannot see it."""
    figure.set_label(f"{title}\n{description}")


def short_label(label: str) -> str:
    """Return the label without the family that Dunya's and Lyra's labels carry in front."""
    return label.split("--", 1)[-1]


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


def draw_legend(
    figure: Figure, names: Sequence[str], columns: int, inches: float, size: float = 7, **look: Any
) -> None:
    """Write the models' names with their marks below a figure, ``inches`` above its lower edge."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], **model_mark(k) | {"markersize": 5, "label": name} | look) for k, name in enumerate(names)]
    figure.legend(handles=marks, loc="lower center", bbox_to_anchor=(0.5, inches / figure.get_figheight()),
                  ncols=columns, frameon=False, fontsize=size, borderaxespad=0)  # fmt: skip


def scale_ends(values: Iterable[float | None], metric: str) -> tuple[float, float]:
    """Return the ends of the colour scale, percent: from chance (ROC-AUC) or 0 to the next ten above the best score."""
    best, low = max((100 * value for value in values if value is not None), default=0.0), FLOORS[metric]
    return low, min(100.0, max(low + 20.0, 10.0 * (best // 10 + 1)))


def in_parts(rows: Sequence[Row], size: int = len(MARKERS)) -> list[Sequence[Row]]:
    """Models by as many as one figure can tell apart."""
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def figures_by_task(
    section: Section, draw: Callable[[Column, Sequence[Row]], Figure], size: int = len(MARKERS)
) -> dict[str, Callable[[], Figure]]:
    """Return what draws each task, for as many models at a time as a figure can tell apart, by ends of file names."""
    parts = in_parts(section.rows, size)
    return {
        f"{column.name}{f'-{i}' if len(parts) > 1 else ''}": partial(draw, column, rows)
        for column in section.columns
        for i, rows in enumerate(parts, start=1)
    }


def figure_bytes(figure: Figure, ending: str) -> bytes:
    """Return a figure as ``svg`` or ``png`` (300 dots per inch), the same bytes every time."""
    metadata = {"Date": None, "Creator": None} if ending == "svg" else {"Software": None}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, metadata=metadata, dpi=300, facecolor="white")
    title, _, description = str(figure.get_label()).partition("\n")
    if ending != "svg" or not title:
        return buffer.getvalue()
    head, body = re.split(rb"(?<=>)(?=\n *<metadata>|\n *<defs>)", buffer.getvalue(), maxsplit=1)
    return head + f"\n <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>".encode() + body
