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

NESTED = 4
"""Groups around one element, at most."""


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
    # Letters are the page's own.
    text = re.sub(r"font-family: [^;\"]*(; )?", "", text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", text)
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', text))
    short = {name: f"{prefix}-{i}" for i, name in enumerate(used)}
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{short[m[1]]}"' if m[1] in short else "", text)
    text = re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + short[m[2]], text)
    text = _in_few_words(text)
    text = re.sub(r'(?:<use [^>]*? style="([^"]*)"/>)(?:<use [^>]*? style="\1"/>)+', _one_style, text)
    text = re.sub(r'<text style="([^"]*)"[^>]*>[^<]*</text>(?:<text style="\1"[^>]*>[^<]*</text>)+', _one_style, text)
    text = re.sub("fill:currentColor;?", "", text.replace(INK, "currentColor")).replace(LINE, "var(--line)")
    opening = re.search(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', text)
    assert opening is not None
    named = f'aria-labelledby="{prefix}-title" aria-describedby="{prefix}-desc"'
    head = f'<svg role="img" {named} viewBox="{opening[1]}" fill="currentColor">'
    names = f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(description)}</desc>'
    # matplotlib escapes every text that it is given.
    return Markup(head + names + text[opening.end() :].strip())  # noqa: S704


def _in_few_words(text: str) -> str:
    """Say the same in half of the bytes: matplotlib writes every rectangle point by point, and what is so anyway."""
    text = text.replace("; stroke-linejoin: miter", "").replace("; stroke-dashoffset: 0", "").replace("xlink:", "")
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", text)
    for _ in range(NESTED):
        text = re.sub(r"<g>(<(?:path|use) [^>]*/>|<text [^>]*>[^<]*</text>|)</g>", r"\1", text)
    text = re.sub(r" ?\n(?=[^<>]*>)", "", text)
    point = r"(-?[\d.]+)"
    text = re.sub(rf"M {point} {point}L {point} \2L \3 {point}L \1 \4(?:L \1 \2)?z", r"M\1 \2H\3V\4H\1z", text)
    text = re.sub(r"(?<=[ML]) |(?<=\d) (?=[LMQCz])", "", text)
    return re.sub(r'style="[^"]*"', lambda found: found[0].replace(": ", ":").replace("; ", ";"), text)


def _one_style(run: re.Match[str]) -> str:
    """Say the style of a run of markers or texts once, on a group around them: it is most of what they are."""
    style_of_all = f' style="{run[1]}"'
    return f"<g{style_of_all}>{run[0].replace(style_of_all, '')}</g>"
