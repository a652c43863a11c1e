from __future__ import annotations

import pytest

from cmbench.tasks.own.label_cells import read_cells


@pytest.mark.parametrize(
    ("cells", "labels", "sign"),
    [
        (["a|b", "a"], [("a", "b"), ("a",)], "|"),
        (["a; b", "a"], [("a", "b"), ("a",)], ";"),
        (["low, high", "low", "high"], [("low", "high"), ("low",), ("high",)], ","),
        (["['low', 'high']", "['low']"], [("low", "high"), ("low",)], "|"),
        # A comma that never parts what recurs belongs to the label.
        (["Crete, Greece", "Thrace", "Crete, Greece"], [("Crete, Greece",), ("Thrace",), ("Crete, Greece",)], ""),
        (["Ney  solo", " Ney solo", ""], [("Ney solo",), ("Ney solo",), ()], ""),
        (["a|a", "é"], [("a",), ("é",)], "|"),
    ],
)
def test_labels_of_cells(cells: list[str], labels: list[tuple[str, ...]], sign: str) -> None:
    assert read_cells(cells) == (labels, sign)


@pytest.mark.parametrize("mark", ["-", "–", "n/a", "None", "NaN", "?", " null "])
def test_a_cell_that_says_nothing_has_no_label(mark: str) -> None:
    assert read_cells(["Rast", mark, "Hicaz"]) == ([("Rast",), (), ("Hicaz",)], "")
    assert read_cells(["Rast|Hicaz", mark]) == ([("Rast", "Hicaz"), ()], "|")
