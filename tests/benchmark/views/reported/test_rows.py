"""Reported figures are shown apart, marked, with their source, and only beside real data."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from rich.console import Console

from cmbench.baselines.published import published
from cmbench.benchmark.pages.page import write_page
from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.reported.rows import WARNING, reported_blocks, reported_tables
from cmbench.benchmark.views.scores.table import print_table
from cmbench.benchmark.views.tables import print_tables


def printed(*tasks: str) -> str:
    out = StringIO()
    print_tables(reported_tables(tasks or None), Console(file=out, width=160))
    return out.getvalue()


def test_every_row_is_in_one_block_with_its_source() -> None:
    blocks = reported_blocks()
    assert [row for block in blocks for row in block.rows] == list(published())
    assert all("arXiv" in block.citation and "Not stated" in block.summary for block in blocks)
    assert blocks[0].tasks[0] == "turkish_makam"


def test_the_terminal_marks_them_and_shows_the_papers_averages() -> None:
    text = printed()
    assert WARNING in text
    assert re.search(r"CultureMERT-95M +89\.6 / 60\.6 .* 69\.3\n", text)
    assert re.search(r"MERT-v1-95M +83\.2 / 53\.3 .* 66\.1\n", text)


def test_only_the_tasks_asked_for() -> None:
    text = printed("lyra")
    assert "85.7 / 56.5" in text
    assert "83.2" not in text
    assert reported_blocks(["my_corpus"]) == ()


def test_the_page_shows_them_beside_real_data_only(build_record: Callable[..., Record], tmp_path: Path) -> None:
    real, mini = build_record("mfcc", "lyra"), build_record("mfcc", "lyra", edition="mini", split="own")
    page = write_page(sections([real, mini]), tmp_path / "page.html").read_text()
    assert page.count('class="reported"') == 1
    assert page.count("CultureMERT-95M (reported)") == 1
    only_mini = write_page(sections([mini]), tmp_path / "mini.html").read_text()
    assert "(reported)" not in only_mini


def test_they_are_never_among_ours(build_record: Callable[..., Record]) -> None:
    out = StringIO()
    print_table(sections([build_record("mfcc", "lyra"), build_record("chroma", "lyra")]), Console(file=out, width=120))
    assert "CultureMERT" not in out.getvalue()
