"""A figure as an ``<svg>`` of the page."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..views.figures import INK, LINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        svg: the element.
        title: short alternative text.
        caption: printed below the figure.
    """

    svg: str
    title: str
    caption: str


def svg_of(figure: Figure, prefix: str, title: str, description: str) -> str:
    """Return a figure as an ``<svg>`` element: real text, the page's colours, its own ids, alternative text."""
    from markupsafe import Markup, escape

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # A style element would hold for the whole page; page.css says the same for figures only.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1system-ui, sans-serif", text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", text)
    text = re.sub(r'(?:<use [^>]*? style="([^"]*)"/>)(?:<use [^>]*? style="\1"/>)+', _one_style, text)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = text.replace(INK, "currentColor").replace(LINE, "var(--line)")
    opening = re.search(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', text)
    assert opening is not None
    head = f'<svg role="img" aria-labelledby="{prefix}-title" aria-describedby="{prefix}-desc" viewBox="{opening[1]}">'
    names = f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(description)}</desc>'
    # matplotlib escapes every text that it is given.
    return Markup(head + names + text[opening.end() :].strip())  # noqa: S704


def _one_style(run: re.Match[str]) -> str:
    """Say the style of a run of markers once, on a group around them: it is most of their text."""
    style_of_all = f' style="{run[1]}"'
    return f"<g{style_of_all}>{run[0].replace(style_of_all, '')}</g>"
