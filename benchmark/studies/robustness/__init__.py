"""What pitch, speed, codecs, narrow bands and noise change of a model's scores."""

from __future__ import annotations

from functools import partial

from ..base import Study
from .measuring import Request, cost, measure
from .report import change_figure, change_table, sentences

STUDY = Study(
    name="robustness",
    help="""Alter the test tracks (pitch, speed, mp3, an old disc's band, noise) and say what every family loses.

    Probes are trained on audio as it is; changes are paired on the same tracks, with intervals and a verdict. Features
    of altered audio are kept apart. Needs librosa: pip install "cmbench[librosa]".
    """,
    request=Request,
    compute=measure,
    cost=cost,
    tables=lambda found: [change_table(found)],
    sentences=sentences,
    rows=lambda found: {"": found.rows()},
    figures=lambda found: {"": partial(change_figure, found)},
    stem=lambda found: f"robustness-{found.setting.edition}",
    goes_on=True,
    examples=(
        "cmbench study robustness --model mfcc,CultureMERT-nano --edition mini --out studies",
        "cmbench study robustness --model CultureMERT-95M --tasks turkish_makam --plan",
    ),
)
