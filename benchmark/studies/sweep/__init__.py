"""Which scale a merge should have."""

from __future__ import annotations

from functools import partial

from ..base import Study
from .curves import sweep_figure
from .sweep import Request, cost, sweep_scales
from .tables import sentences, sweep_rows, sweep_table

STUDY = Study(
    name="sweep",
    help="""Evaluate a range of scales for a merge of models, and choose one on validation.

    Finished cells are not computed again, and a wider range adds to what is there.
    """,
    request=Request,
    compute=sweep_scales,
    cost=cost,
    tables=lambda found: [sweep_table(found)],
    sentences=sentences,
    rows=lambda found: {"": sweep_rows(found)},
    figures=lambda found: {"": partial(sweep_figure, found)},
    stem=lambda found: "sweep",
    goes_on=True,
    examples=(
        "cmbench study sweep --base B --add M1 --add M2 --scales 0.05:0.5:0.05 --tasks all --edition mini --out sweep",
    ),
)
