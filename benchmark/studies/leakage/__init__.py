"""What shared groups, labels counted twice, rare labels and tracks heard in pre-training are worth."""

from __future__ import annotations

from functools import partial

from ..base import Study
from .measuring import Request, cost, measure
from .report import answer_figure, answer_table, sentences

STUDY = Study(
    name="leakage",
    help="""Say what leaks are worth: shared groups and works, labels counted twice, tracks heard in pre-training.

    Evaluates models on the usual split and on those in which no group (no work, no performer) is in two, and compares
    them on the tracks that both test. The first model is the base of what others may have heard before.
    """,
    request=Request,
    compute=measure,
    cost=cost,
    tables=lambda found: [answer_table(found)],
    sentences=sentences,
    rows=lambda found: {"": found.answers.rows()},
    figures=lambda found: {"": partial(answer_figure, found)},
    stem=lambda found: f"leakage-{found.answers.setting.edition}",
    goes_on=True,
    examples=(
        "cmbench study leakage --model mfcc,CultureMERT-nano --edition mini --out studies",
        "cmbench study leakage --model MERT-v1-95M,CultureMERT-95M --tasks all --heard corpus.txt --plan",
    ),
)
