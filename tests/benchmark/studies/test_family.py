"""The family beside the models that ship: what is said, and when it is not as it should be."""

from __future__ import annotations

import io

from rich.console import Console

from cmbench.benchmark.studies.family import STUDY
from cmbench.pretraining.family import Deviation

SAME = Deviation("MERT-nano", True, None, True)
NEAR = Deviation("GreekMERT-nano", False, 0.01, True)
FAR = Deviation("TurkishMERT-nano", False, 0.5, True)
MERGED = Deviation("CultureMERT-TA-nano", False, None, True)
OTHER = Deviation("CultureMERT-nano", False, None, False)


def test_every_model_is_named_with_what_it_is() -> None:
    out = io.StringIO()
    STUDY.print([SAME, NEAR, MERGED, OTHER], Console(file=out, width=140))
    text = out.getvalue()
    for words in (
        "the same weights as those that ship",
        "held-out losses within 1.00% of those that ship (allowed: 2%)",
        "merged from models that differ from those that ship",
        "made by another recipe or from other music than those that ship",
    ):
        assert words in text


def test_a_model_that_is_not_what_its_recipe_gave_is_a_failure() -> None:
    assert not STUDY.failed([SAME, NEAR, MERGED])
    assert STUDY.failed([SAME, FAR])
    assert STUDY.failed([OTHER])
