"""Tables of views: nothing lost between terminal, LaTeX, Markdown and CSV; mini labelled everywhere."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cmbench.benchmark.views.base import View, write_view
from cmbench.benchmark.views.figures import empty_figure
from cmbench.benchmark.views.tables import (
    ViewTable,
    csv_cell,
    csv_text,
    escaped,
    latex_tables,
    markdown_tables,
    print_tables,
)
from cmbench.benchmark.views.words import of_defined, with_interval
from cmbench.tasks.base import MINI_LABEL

WIDE = ViewTable(
    title="scores",
    source="mini edition",
    warning=MINI_LABEL,
    columns=("label", *(f"model {k}\nROC-AUC" for k in range(12))),
    rows=tuple((f"label {i}", *(f"{i}.{k:02d} [{i}.0, {i}.9]" for k in range(12))) for i in range(3)),
    notes=("a note",),
)


def printed(table: ViewTable, width: int) -> str:
    out = io.StringIO()
    print_tables([table], Console(file=out, width=width))
    return out.getvalue()


def test_a_wide_table_is_continued_with_its_keys() -> None:
    for width in (60, 90, 400):
        text = printed(WIDE, width)
        assert max(map(len, text.splitlines())) <= width
        for row in WIDE.rows:
            assert [text.count(cell) for cell in row[1:]] == [1] * 12
        assert text.count("label 2") == text.count("label 0")
        assert (text.count("label 0") == 1) == (width == 400)
        assert MINI_LABEL in " ".join(text.split())
        assert "scores (mini)" in text
        assert "a note" in text


def test_no_column_is_dropped_where_even_one_does_not_fit() -> None:
    text = printed(WIDE, 24)
    assert text.count("model 11") == 1
    assert text.count("label 0") == 12


def test_every_form_is_labelled_mini() -> None:
    assert MINI_LABEL.partition(":")[0] in latex_tables([WIDE]).split("\\bottomrule")[1]
    assert f"**{MINI_LABEL}**" in markdown_tables([WIDE])


def test_latex_cannot_be_broken_by_names() -> None:
    table = ViewTable("50 %\nof it", "a", "", ("m", "x"), (("[a]_b&c%", "1 – 2"), ("\\input{x}", "3")))
    text = latex_tables([table])
    body = text.split("\\midrule")[1]
    assert "{[}a]\\_b\\&c\\% & 1 -- 2 \\\\" in body
    assert "\\textbackslash{}input\\{x\\}" in body
    assert all(line.startswith("%") for line in text.splitlines() if "of it" in line)


def test_latex_fits_a_column_and_has_the_best_bold() -> None:
    table = ViewTable("t", "a", "", ("m", "a_b\n(n=5)"), (("x", "1"), ("y", "2")), best=frozenset({(1, 1)}))
    text = latex_tables([table])
    assert "\\usepackage{booktabs,adjustbox}" in text
    assert "\nm & \\shortstack[r]{a\\_b \\\\ (n=5)} \\\\\n" in text
    assert "\nx & 1 \\\\\ny & \\textbf{2} \\\\\n" in text
    assert text.index("\\begin{adjustbox}{max width=\\linewidth}") < text.index("\\begin{tabular}")
    assert text.index("\\end{tabular}") < text.index("\\end{adjustbox}")


@given(st.text())
def test_escaped_text_has_no_bare_special(text: str) -> None:
    shown = escaped(text)
    for known in ("\\textbackslash{}", "\\textasciitilde{}", "\\textasciicircum{}", "\\textless{}", "\\dots{}",
                  "\\textgreater{}", "$\\rightarrow$", "$\\leq$", "$\\pm$", "$\\cdot$",
                  *(f"\\{c}" for c in "&%$#_{}")):  # fmt: skip
        shown = shown.replace(known, "")
    assert not set(shown) & set("&%$#_{}\\~^")


def test_markdown_cells_cannot_end_early() -> None:
    text = markdown_tables([ViewTable("t", "s", "", ("a\nb", "c"), (("x|y", "z"),))])
    assert "| a b | c |" in text
    assert "| x\\|y | z |" in text


words = st.text(st.characters(exclude_characters="\r"))
cells = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words)


@given(st.lists(st.fixed_dictionaries({"a": cells, "b, c": cells}), min_size=1))
def test_csv_reads_back(rows: list[dict[str, object]]) -> None:
    read = list(csv.DictReader(io.StringIO(csv_text(rows), newline="")))
    expected = [{k: "" if v is None else str(csv_cell(v)) for k, v in row.items()} for row in rows]
    assert read == expected


def test_numbers_in_words() -> None:
    assert with_interval(0.7128, (0.68, 0.74)) == "71.3 [68.0, 74.0]"
    assert with_interval(0.7128, None) == "71.3"
    assert with_interval(None, (0.1, 0.2)) == "–"
    assert (of_defined(1, 1), of_defined(2, 3)) == ("1 label", "2/3 labels")


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    view = View[None](
        name="view",
        help="Show it.",
        compute=lambda: [None],
        tables=lambda _: [WIDE],
        rows=lambda _: {"": [{"x": 1}], "../../c": [{"x": 2}]},
        figures=lambda _: {"../d": lambda: empty_figure(1, 1)},
        stem=lambda _: "a/../b",
    )
    paths = write_view(view, None, tmp_path / "out")
    assert {p.suffix for p in paths} == {".tex", ".md", ".csv", ".svg", ".png"}
    assert len(paths) == len(set(paths)) == 6
    assert {p.parent for p in paths} == {tmp_path / "out"}
    first = {p: p.read_bytes() for p in paths}
    assert {p: p.read_bytes() for p in write_view(view, None, tmp_path / "out")} == first


def test_texts_are_escaped_for_where_they_go() -> None:
    cells = ("=HYPERLINK(1)", "+1+1", "-0.5", "@x", "<script>", "[a](b)", "a|b\x1b", "minus -1")
    rows = list(csv.reader(io.StringIO(csv_text([{str(i): cell for i, cell in enumerate(cells)}]))))
    assert rows[1] == ["'=HYPERLINK(1)", "'+1+1", "-0.5", "'@x", "<script>", "[a](b)", "a|b\x1b", "minus -1"]
    table = ViewTable("<img>", "s", "", cells, (cells,), notes=("<b>",))
    text = markdown_tables([table])
    assert "<" not in text
    assert "](" not in text
    assert "\x1b" not in text
    assert "a\\|b\\u001b" in text
