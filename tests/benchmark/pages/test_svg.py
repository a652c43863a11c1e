"""Figures of a page: what they repeat is said once, and what refers to something still finds it."""

from __future__ import annotations

import re

from cmbench.benchmark.pages.svg import svg_of, with_shared_styles
from cmbench.benchmark.views.figures import COLUMN_WIDTH, TEXT_WIDTH, empty_figure, style


def drawn(prefix: str, width: float = TEXT_WIDTH) -> str:
    with style("none"):
        return _drawn(prefix, width)


def _drawn(prefix: str, width: float) -> str:
    figure = empty_figure(width, 2.0)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.plot([0, 1, 2], [3, 1, 2], marker="o")
    axes.plot([1], [2])  # one point, no mark: nothing to be seen
    axes.set_title('a <b> style="c" & "d"')
    return str(svg_of(figure, prefix, "A title", "What it shows."))


def test_a_figure_says_nothing_that_is_not_seen() -> None:
    svg = drawn("one")
    assert "<g>" not in svg
    assert svg.count("<g") == svg.count("</g>")
    assert not re.search(r'd="M[-\d. ]+"', svg), "a path that only moves"
    assert 'a &lt;b&gt; style="c" &amp; "d"' in svg
    assert 'class="small"' not in svg
    assert 'class="small"' in drawn("one", COLUMN_WIDTH)


def test_styles_that_figures_repeat_are_classes_and_references_are_found() -> None:
    page = with_shared_styles(f"<style>\nb {{}}\n</style><p style='--a:1'>{drawn('one')}{drawn('two')}</p>")
    assert "<p style='--a:1'>" in page
    assert page.count('style="c"') == 2, "what a text says is no style"
    names = set(re.findall(r' class="(c\d+)"', page))
    assert names
    assert names == set(re.findall(r"svg \.(c\d+)\{[^{}]+\}", page))
    styles = re.findall(r'<[a-z][^<>]* style="([^"]*)"', page)
    assert all(styles.count(one) <= 2 for one in styles)
    known = re.findall(r' id="([^"]*)"', page)
    assert len(known) == len(set(known))
    assert {*re.findall(r'(?:href="#|url\(#)([^")]*)', page)} <= {*known}
    assert 'aria-labelledby="one-title"' in page
    assert '<title id="one-title">' in page
