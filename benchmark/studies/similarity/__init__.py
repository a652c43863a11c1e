"""How far apart the traditions are, on features or tokens, and whether that goes with transfer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ...views.tables import ViewTable
from ..base import Study
from .file import Similarity, similarity_json
from .maps import distance_map, relation_figure
from .measuring import Request, cost, measure
from .tables import distance_rows, distance_tables, relation_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _tables(found: Similarity) -> list[ViewTable]:
    related = [relation_table(relation) for relation in found.relations if relation.rho is not None]
    return [*(table for distances in found.distances for table in distance_tables(distances)), *related]


def _sentences(found: Similarity) -> list[str]:
    """Say what a correlation lacks, which is the same for most distances, and which models are in none."""
    lacking = [relation.words for relation in found.relations if relation.rho is None]
    left_out = [f"Left out: {name}." for relation in found.relations for name in relation.left_out]
    return list(dict.fromkeys([*lacking, *left_out]))


def _figures(found: Similarity) -> dict[str, Callable[[], Figure]]:
    maps = {d.slug: partial(distance_map, d) for d in found.distances}
    known = [relation for relation in found.relations if relation.rho is not None]
    return {**maps, **{f"transfer-{one.distances.slug}": partial(relation_figure, one) for one in known}}


STUDY = Study(
    name="similarity",
    help="Measure how far apart the tasks' traditions are, on features or tokens, and relate that to transfer.",
    request=Request,
    compute=measure,
    cost=cost,
    tables=_tables,
    sentences=_sentences,
    rows=lambda found: {"": [row for d in found.distances for row in distance_rows(d)]},
    figures=_figures,
    texts=lambda found: {"json": similarity_json(found)},
    stem=lambda found: f"similarity-{found.edition}",
    examples=(
        "cmbench study similarity --model mfcc --edition mini --out similarity",
        "cmbench study similarity --tokens hf:facebook/encodec_24khz --tracks 100",
        "cmbench study similarity results --model MERT-v1-95M --tokens stand-in --base MERT-v1-95M",
    ),
)
