"""Hindustani: instruments, forms, talas and ragas of 1,204 Dunya recordings.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/hindustani/*.txt``.
"""

from __future__ import annotations

from .base import Edition, Task
from .dunya.layout import ACCESS, GROUP_SOURCE, LICENCE, NOTES, load_full
from .dunya.prepare import prepare
from .fetching.published import PAPER, families_by_prefix
from .mini import mini_edition

TEST_SUPPORT = {
    "instrument--Voice": 206,
    "instrument--Tabla": 128,
    "form--Khayal": 98,
    "instrument--Harmonium": 96,
    "tala--Teentaal": 84,
    "instrument--Tambura": 62,
    "tala--Ektaal": 40,
    "instrument--Sarangi": 18,
    "instrument--Pakhavaj": 19,
    "form--Dhrupad": 18,
    "tala--Jhaptaal": 9,
    "form--Thumri": 16,
    "form--Bhajan": 8,
    "instrument--Sitar": 12,
    "raga--Bhairabi": 9,
    "form--Tarana": 6,
    "instrument--Bansuri": 2,
    "raga--Yaman kalyan": 8,
    "tala--Rupak": 6,
    "raga--Bageshree": 4,
}
LABELS = tuple(TEST_SUPPORT)

TASK = Task(
    name="hindustani",
    title="Hindustani",
    tradition="hindustani",
    description="Instruments, forms, talas and ragas of Hindustani recordings of the Dunya collection.",
    labels=LABELS,
    families=families_by_prefix(LABELS),
    licence=LICENCE,
    citation=(
        "A. Srinivasamurthy, G. K. Koduri, S. Gulati, V. Ishwar, X. Serra. Corpora for music information research in "
        f"Indian art music. ICMC/SMC 2014. Labels and split: {PAPER}"
    ),
    access=ACCESS,
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("hindustani", LABELS)},
    max_track_seconds=780.0,
    # Mean of the 108 recordings of MTG/saraga; the other nine tenths are not known.
    mean_seconds=1453.0,
    counts={"train": 844, "valid": 120, "test": 240},
    test_support=TEST_SUPPORT,
    notes=(
        "The split is random over recordings and leaks concerts: all 26 test recordings whose release is known share "
        "it with a training or validation recording.",
        "Label 16 is instrument--Bansuri here, as in the published evaluation files; a later label list of the same "
        "authors (LC-Protonets) has instrument--Sarod in its place and orders the tail differently. The cause is not "
        "known.",
        "Six labels have fewer than 9 test recordings (instrument--Bansuri has 2): read their scores with their "
        "intervals.",
        "Only the first 780 s of a recording are used, as in the published evaluation.",
        "108 of the 1204 recordings (75 train, 7 valid, 26 test) are openly available as Saraga 1.5 (Zenodo "
        "4301737); Sitar, Dhrupad, Tambura, Pakhavaj and Bansuri never occur in it.",
        *NOTES,
    ),
    prepare=prepare,
    group_kind="release",
    group_source=GROUP_SOURCE,
)
