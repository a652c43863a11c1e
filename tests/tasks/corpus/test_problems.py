from __future__ import annotations

from pathlib import Path

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.corpus.problems import Problem, require_sound


def test_a_problem_that_quotes_a_file_at_length_is_shortened() -> None:
    name = "a" * 30_000
    with pytest.raises(UsageError) as caught:
        require_sound(Path("tracks.csv"), [Problem("columns", f"the column `id` is missing; found are {name}, end", 1)])
    text = str(caught.value)
    assert len(text) < 2000
    assert text.startswith("tracks.csv:1: the column `id` is missing")
    assert text.endswith("a, end.")
