"""The labels of the ``mini`` edition: those of the real task, in their order, but for what a few short tracks lack.

Left out are labels that nothing in a synthetic signal can carry (a form told apart only by its words, a mood), labels
that mean what another does, and labels too rare for the validation tracks.
Nothing heavy is imported here: every task file reads this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "turkish_makam": ("instrument--Viola", "usul--Devr-i Kebir"),
    "carnatic": ("form--Pallavi", "instrument--Morsing", "form--Mangalam"),
    "hindustani": ("form--Thumri", "form--Bhajan"),
    "lyra": (
        "genres--Aegean", "place--Asia-minor", "genres--Laiko", "instruments--Piano", "genres--Macedonian",
        "genres--Peloponnesian", "place--Peloponnese", "instruments--Mandolin",
    ),
    "fma_medium": ("Garage", "IDM", "Downtempo", "Soundtrack", "Chiptune", "Hardcore"),
    "magnatagatune": (
        "opera", "singing", "vocals", "loud", "quiet", "woman", "male vocal", "no vocal", "soft", "man", "classic",
        "voice", "new age", "dance", "male voice", "female vocal", "beats", "no voice", "weird", "country",
        "female voice", "choral",
    ),
}  # fmt: skip
"""By task."""

HAS_SCALE: Mapping[str, tuple[str, ...]] = {
    "carnatic_raga": (
        "Bhairavi", "Kalyāṇi", "Karaharapriya", "Kāmavardani", "Kāṁbhōji", "Mōhanaṁ", "Tōḍi", "Śankarābharaṇaṁ",
    ),
    "hindustani_raga": (
        "Ahira bhairav", "Bhairav", "Bhūp", "Bāgēśrī", "Jōg", "Mālkauns", "Tōḍī", "Yaman kalyāṇ", "Śrī",
    ),
}  # fmt: skip
"""Of the tasks of ragas, by task: those whose scale :mod:`.modes` has from a source; the others are left out."""

WHOLE = ("chinese_modes", "brazilian_rhythms")
"""Tasks whose ``mini`` edition has every label."""


def kept(task: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a task that its ``mini`` edition has, in their order."""
    if task in HAS_SCALE:
        return tuple(label for label in labels if label.partition("--")[2] in HAS_SCALE[task])
    return tuple(label for label in labels if label not in LEFT_OUT.get(task, ()))


def mini_labels(task: str) -> tuple[str, ...]:
    """Return the labels of a built-in task's ``mini`` edition."""
    from ..registry import built_in

    return built_in()[task].editions["mini"].labels
