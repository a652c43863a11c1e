"""How many examples a model's features need."""

from __future__ import annotations

from functools import partial

from ..base import Study
from .curves import efficiency_figure
from .measuring import Request, cost, measure
from .tables import efficiency_rows, efficiency_table, sentences

STUDY = Study(
    name="efficiency",
    help="""Train the chosen probes on parts of the training tracks: how little suffices, and where models cross.

    1, 5 and 20 positives of every label, and 5, 10, 25, 50 and 100 % of the groups, the same draws for every model.
    """,
    request=Request,
    compute=measure,
    cost=cost,
    tables=lambda found: [efficiency_table(found)],
    sentences=sentences,
    rows=lambda found: {"": efficiency_rows(found)},
    figures=lambda found: {"": partial(efficiency_figure, found)},
    stem=lambda found: f"efficiency-{found.setting.edition}",
    goes_on=True,
    examples=("cmbench study efficiency --model mfcc,CultureMERT-nano --edition mini --out efficiency",),
)
