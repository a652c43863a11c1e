"""A figure as an ``<svg>`` of the page."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...terminal import shown
from ..views.figures import COLUMN_WIDTH, INK, LINE

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path) -> Environment:
    """Return the environment of templates in some folders, then in that of the page; every text is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    svg: str  # the element
    title: str  # short alternative text
    caption: str  # printed below the figure


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
    # What is moved to and never drawn, and rectangles of no colour.
    text = re.sub(r'<path d="(?:M [-\d.]+ [-\d.]+\s*)+"[^>]*/>', "", text)
    text = re.sub(r'<path d="[^"]*" style="fill: none"/>', "", text)
    text = re.sub(r"\d+\.\d{2,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)
    # A tenth of a point is a fifth of a pixel; shapes that are drawn at places keep their hundredths.
    text = re.sub(r'(?<= [xy]=")[^"]*|(?<=<path d=")[^"]*', _in_tenths, text)
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
    # What is as wide as a column of a paper is not blown up to the width of the page, and fits a phone.
    small = ' class="small"' if figure.get_figwidth() <= COLUMN_WIDTH else ""
    head = f'<svg role="img"{small} {named} viewBox="{opening[1]}" fill="currentColor">'
    names = f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(description)}</desc>'
    # matplotlib escapes every text that it is given.
    return Markup(head + names + text[opening.end() :].strip())  # noqa: S704


def _in_tenths(found: re.Match[str]) -> str:
    return re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), found[0])


def with_shared_styles(page: str) -> str:
    """Say each style that figures of a page repeat once, as a class, and give what they refer to short names."""
    every = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
    # No text holds a "<", so what is matched is an element's own style.
    own = re.compile(r'(<[a-z][^<>]*) style="([^"]*)"')
    counted = Counter(style for svg in every.findall(page) for _, style in own.findall(svg))
    names = {style: f"c{i}" for i, (style, count) in enumerate(counted.most_common()) if count > 2}

    def named(found: re.Match[str]) -> str:
        return f'{found[1]} class="{names[found[2]]}"' if found[2] in names else found[0]

    rules = "".join(f"svg .{name}{{{style.rstrip(';')}}}" for style, name in names.items())
    page = every.sub(lambda svg: own.sub(named, svg[0]), page)
    parts = {name: f"p{i}" for i, name in enumerate(re.findall(r'<(?:path|pattern|clipPath) id="([^"]*)"', page))}
    page = re.sub(r'(<[a-z][^<>]*?(?: id="|href="#|\(#))([^")]*)', lambda m: m[1] + parts.get(m[2], m[2]), page)
    return page.replace("</style>", f"{rules}\n</style>", 1)


def _in_few_words(text: str) -> str:
    """Say the same in half of the bytes: matplotlib writes every rectangle point by point, and what is so anyway."""
    text = text.replace("; stroke-linejoin: miter", "").replace("; stroke-dashoffset: 0", "").replace("xlink:", "")
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", text)
    text = _without_bare_groups(text.replace("<defs/>", ""))
    text = re.sub(r" ?\n(?=[^<>]*>)", "", text)
    point = r"(-?[\d.]+)"
    text = re.sub(
        rf"M {point} {point}L {point} \2L \3 {point}L \1 \4(?:(?:L \1 \2)?z|L \1 \2(?=\"))", r"M\1 \2H\3V\4H\1z", text
    )
    text = re.sub(r"(?<=[ML]) |(?<=\d) (?=[LMQCz])", "", text)
    return re.sub(r'style="[^"]*"', lambda found: found[0].replace(": ", ":").replace("; ", ";"), text)


def _without_bare_groups(text: str) -> str:
    """Leave out groups that say nothing, empty ones among them; what they hold stays."""
    kept: list[bool] = []

    def judged(found: re.Match[str]) -> str:
        if found[0] == "</g>":
            return found[0] if kept.pop() else ""
        kept.append(found[0] != "<g>")
        return found[0] if kept[-1] else ""

    return re.sub(r"<g\b[^>]*>|</g>", judged, re.sub(r"<g\b[^>]*/>", "", text))


def _one_style(run: re.Match[str]) -> str:
    """Say the style of a run of markers or texts once, on a group around them: it is most of what they are."""
    style_of_all = f' style="{run[1]}"'
    return f"<g{style_of_all}>{run[0].replace(style_of_all, '')}</g>"
