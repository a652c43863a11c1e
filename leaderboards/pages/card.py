"""A model card as HTML: a stranger's Markdown, of which nothing runs, loads, or looks like the board's own words."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

SCHEMES = ("https://", "http://", "mailto:")
"""What a link of a card may begin with; any other stays text."""

HEADINGS = {f"h{level}": f"h{min(6, level + 2)}" for level in range(1, 7)}
"""The page has the first heading, and the card stands below a second one."""


LARGEST = 50_000
"""Characters of a card that is laid out; a longer one is shown as it is: nested marks take a parser long."""


def card_html(text: str) -> Any:
    """Return a card's Markdown (CommonMark with tables) as HTML.

    Markup of the card's own is shown as text. A link leads to the web or to an address of mail and nowhere else; of a
    picture its words are left, since no page of the board fetches anything.
    """
    from markupsafe import Markup, escape

    if len(text) > LARGEST:
        return Markup("<pre>{}</pre>").format(escape(text))
    # What the parser returns is escaped: it is told to pass no HTML through.
    return Markup(_parser().render(text))  # noqa: S704


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.validateLink = _allowed  # type: ignore[method-assign]
    parser.core.ruler.push("board", _as_part_of_a_page)
    parser.add_render_rule("image", _words_of_a_picture)
    parser.add_render_rule("table_open", _scrolled)
    parser.add_render_rule("table_close", _scrolled)
    return parser


def _allowed(url: str) -> bool:
    return url.lower().startswith(SCHEMES)


def _as_part_of_a_page(state: Any) -> None:
    """Lower the headings, name what a header cell heads, and vouch for no link."""
    for token in state.tokens:
        token.tag = HEADINGS.get(token.tag, token.tag)
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for part in token.children or ():
            if part.type == "link_open":
                part.attrSet("rel", "nofollow noopener noreferrer ugc")


def _words_of_a_picture(
    renderer: RendererHTML, tokens: Sequence[Token], i: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    from markupsafe import escape

    words = renderer.renderInlineAsText(tokens[i].children, options, env)
    return f"<em>[picture: {escape(words)}]</em>"


def _scrolled(
    renderer: RendererHTML, tokens: Sequence[Token], i: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    if tokens[i].nesting < 0:
        return "</table></div>\n"
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="Table of the card">'
        '<table><caption class="hidden">A table of the card</caption>\n'
    )
