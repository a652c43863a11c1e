"""Carnatic: instruments, forms, talas and ragas of 2,612 Dunya recordings.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/carnatic/*.txt``.
"""

from __future__ import annotations

from .base import Edition, Task
from .dunya.layout import ACCESS, GROUP_SOURCE, LICENCE, NOTES, load_full
from .dunya.prepare import prepare
from .fetching.published import PAPER, families_by_prefix
from .mini import mini_edition

TEST_SUPPORT = {
    "instrument--Voice": 432,
    "instrument--Violin": 437,
    "instrument--Mridangam": 408,
    "form--Kriti": 357,
    "tala--adi": 276,
    "instrument--Ghatam": 165,
    "instrument--Khanjira": 88,
    "tala--rupaka": 60,
    "tala--mishra chapu": 30,
    "form--Varnam - Tana Varnam": 36,
    "form--Alapana": 35,
    "form--Pallavi": 17,
    "raga--ragamalika": 14,
    "tala--khanda chapu": 19,
    "instrument--Morsing": 17,
    "raga--thodi": 12,
    "form--Thillana": 16,
    "form--Mangalam": 13,
    "raga--bhairavi": 8,
    "raga--kalyani": 10,
}
LABELS = tuple(TEST_SUPPORT)

TASK = Task(
    name="carnatic",
    title="Carnatic",
    tradition="carnatic",
    description="Instruments, forms, talas and ragas of Carnatic recordings of the Dunya collection.",
    labels=LABELS,
    families=families_by_prefix(LABELS),
    licence=LICENCE,
    citation=(
        "A. Srinivasamurthy, G. K. Koduri, S. Gulati, V. Ishwar, X. Serra. Corpora for music information research in "
        f"Indian art music. ICMC/SMC 2014. Labels and split: {PAPER}"
    ),
    access=ACCESS,
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("carnatic", LABELS)},
    max_track_seconds=330.0,
    # Mean of the 251 recordings of MTG/saraga; the other nine tenths are not known.
    mean_seconds=755.0,
    counts={"train": 1829, "valid": 261, "test": 522},
    test_support=TEST_SUPPORT,
    notes=(
        "The split is random over recordings and leaks concerts: all 46 test recordings whose concert is known share "
        "it with a training or validation recording.",
        "Only the first 330 s of a recording are used, as in the published evaluation.",
        "raga--ragamalika is a garland of ragas, not one scale.",
        "249 of the 2612 recordings (176 train, 27 valid, 46 test) are openly available as Saraga 1.5 (Zenodo "
        "4301737); form--Alapana and instrument--Morsing never occur in it.",
        *NOTES,
    ),
    prepare=prepare,
    group_kind="concert",
    group_source=GROUP_SOURCE,
)
