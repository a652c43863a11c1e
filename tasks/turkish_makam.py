"""Turkish-makam: instruments, usuls and makams of 5,297 Dunya recordings.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/makam/*.txt``.
"""

from __future__ import annotations

from .base import Edition, Task
from .dunya.layout import ACCESS, GROUP_SOURCE, LICENCE, NOTES, load_full
from .dunya.prepare import prepare
from .fetching.published import PAPER, families_by_prefix
from .mini import mini_edition

TEST_SUPPORT = {
    "instrument--Voice": 650,
    "instrument--Kanun": 321,
    "instrument--Tanbur": 314,
    "instrument--Ney": 309,
    "instrument--performing orchestra": 250,
    "instrument--Oud": 247,
    "instrument--Classical kemençe": 254,
    "instrument--Cello": 171,
    "instrument--Violin": 177,
    "usul--Aksak": 106,
    "makam--Hicaz": 126,
    "instrument--Percussion": 112,
    "usul--Düyek": 94,
    "usul--Aksaksemai": 84,
    "makam--Nihavent": 73,
    "makam--Hüzzam": 65,
    "instrument--Clarinet": 60,
    "usul--Curcuna": 58,
    "makam--Kürdilihicazkar": 50,
    "instrument--Bendir": 65,
    "makam--Uşşak": 60,
    "makam--Rast": 42,
    "instrument--Kudüm": 49,
    "instrument--Viola": 42,
    "usul--Yürüksemai": 44,
    "usul--Sofyan": 49,
    "makam--Segah": 41,
    "usul--Ağıraksak": 41,
    "makam--Hüseyni": 29,
    "usul--Devr-i Kebir": 28,
}
LABELS = tuple(TEST_SUPPORT)

TASK = Task(
    name="turkish_makam",
    title="Turkish-makam",
    tradition="turkish",
    description="Instruments, usuls and makams of Turkish makam recordings of the Dunya collection.",
    labels=LABELS,
    families=families_by_prefix(LABELS),
    licence=LICENCE,
    citation=(
        "B. Uyar, H. S. Atlı, S. Şentürk, B. Bozkurt, X. Serra. A corpus for computational research of Turkish makam "
        f"music. Digital Libraries for Musicology 2014. Labels and split: {PAPER}"
    ),
    access=ACCESS,
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("turkish_makam", LABELS)},
    max_track_seconds=150.0,
    # Mean of the 931 recordings of the lists whose length MTG/otmm_makam_recognition_dataset at 55ce75a states.
    mean_seconds=223.0,
    counts={"train": 3709, "valid": 529, "test": 1059},
    test_support=TEST_SUPPORT,
    notes=(
        "The split is random over recordings and leaks releases: of the 326 test recordings whose release is known, "
        "318 share it with a training or validation recording.",
        "Only the first 150 s of a recording are used, as in the published evaluation.",
        *NOTES,
    ),
    prepare=prepare,
    group_kind="release",
    group_source=GROUP_SOURCE,
)
