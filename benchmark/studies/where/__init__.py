"""Where in an encoder a family of labels lives, and whether what it learnt of one tradition holds in another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ...views.tables import ViewTable
from ..base import Study
from .maps import across_figure, homes_figure
from .measuring import Request, Where, cost, measure
from .tables import across_rows, across_table, home_rows, home_table, sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _tables(found: Where) -> list[ViewTable]:
    return [home_table(found), *([across_table(found)] if found.across else [])]


def _figures(found: Where) -> dict[str, Callable[[], Figure]]:
    matrix = {"across": partial(across_figure, found)} if found.across else {}
    return {"": partial(homes_figure, found), **matrix}


STUDY = Study(
    name="where",
    help="""Probe every hidden state on the test tracks: where raga lives, where the instrument.

    A linear probe, nearest neighbours and the protocol's perceptron, family by family; and probes for voice, violin and
    percussion of one tradition scored in the others. `cmbench report layers` has what validation saw, without probes.
    """,
    request=Request,
    compute=measure,
    cost=cost,
    tables=_tables,
    sentences=sentences,
    rows=lambda found: {"": home_rows(found), **({"across": across_rows(found)} if found.across else {})},
    figures=_figures,
    stem=lambda found: f"where-{found.setting.edition}",
    goes_on=True,
    examples=("cmbench study where --model mfcc,CultureMERT-nano --edition mini --out where",),
)
