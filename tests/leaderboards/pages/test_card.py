"""What a stranger's model card becomes on the board: Markdown without anything that runs, loads or misleads."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from cmbench.leaderboards.pages.card import card_html

KNOWN = {
    "p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "hr", "br", "a", "div",
    "table", "caption", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"href", "rel", "title", "scope", "class", "role", "tabindex", "aria-label", "start", "style"}


class Seen(HTMLParser):
    """The elements of a text, held to those that a card may make."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert tag in KNOWN, tag
        assert set(found) <= ATTRIBUTES, found
        assert found.get("style") in (None, "text-align:left", "text-align:right", "text-align:center")
        if tag == "a":
            self.links.append(found)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_markdown_is_rendered_below_the_pages_headings() -> None:
    made = card_html("# A model\n\nRun `cmbench run <x>`, **now**.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n###### deep\n")
    assert "<h3>A model</h3>" in made
    assert "<h6>deep</h6>" in made
    assert "<p>Run <code>cmbench run &lt;x&gt;</code>, <strong>now</strong>.</p>" in made
    assert len(re.findall('<th [^>]*scope="col"', made)) == 2
    assert made.count("<caption") == made.count("<table") == made.count("</table>") == 1
    Seen(made)


@pytest.mark.parametrize(
    "card",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<div style='position:fixed;inset:0'>mine</div>",
        "<!-- <b> --> <![CDATA[<b>]]> <?php echo 1 ?>",
        '```"><script>alert(1)</script>\n<b>\n```',
        "``<svg onload=alert(1)>``",
        "> <iframe src=https://example.org></iframe>",
        '[x](https://example.org "\\" onclick=alert(1) x=\\"")',
        '[x](https://example.org/"onmouseover=alert(1))',
        "| <b>a</b> |\n|:-:|\n| <i>b</i> |",
        "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    ],
)
def test_html_of_a_card_is_words(card: str) -> None:
    made = card_html(card)
    seen = Seen(made)
    assert "onerror" not in made or "onerror" in seen.words
    assert all(set(link) <= {"href", "rel", "title"} for link in seen.links)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "&#106;avascript:alert(1)", "java&Tab;script:alert(1)",
        "vbscript:x", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "//example.org/x",
        "/board.json", "../../../index.html", "#unverified", "blob:https://example.org/x", "https:example.org", "\x01https://x",
    ],
)  # fmt: skip
def test_a_link_leads_to_the_web_or_to_mail_and_nowhere_else(address: str) -> None:
    for form in ("[x]({})", "[x](<{}>)", "<{}>", "[x][1]\n\n[1]: {}", "[x][1]\n\n[1]: <{}>"):
        assert Seen(card_html(form.format(address))).links == []


def test_links_are_not_vouched_for() -> None:
    made = Seen(card_html("[x](https://example.org/a?b=1&c) <http://example.org> [me](mailto:me@example.org)"))
    assert [link["href"] for link in made.links] == [
        "https://example.org/a?b=1&c", "http://example.org", "mailto:me@example.org",
    ]  # fmt: skip
    assert {link["rel"] for link in made.links} == {"nofollow noopener noreferrer ugc"}


def test_of_a_picture_its_words_are_left() -> None:
    made = card_html("![a <b> **plot**](https://example.org/x.png) ![](https://example.org/y.png)")
    assert made == "<p><em>[picture: a &lt;b&gt; plot]</em> <em>[picture: ]</em></p>\n"


def test_what_slows_parsers_down_is_read_to_its_end() -> None:
    for piece in ("[", "![", "*a_ ", "> ", "- ", "`a``", "<a ", "[x](", "|a", "**a ~~", "1. ", "&#0;"):
        Seen(card_html(piece * (4_000 // len(piece))))
    # A table whose short rows would be filled up to the width of its head.
    assert len(card_html("|a" * 1_000 + "\n" + "|-" * 1_000 + "\n" + "|a\n" * 1_000)) < 2_000_000


def test_a_card_too_long_to_lay_out_is_shown_as_it_is() -> None:
    assert card_html("![<b>" * 20_000).startswith("<pre>![&lt;b&gt;")
