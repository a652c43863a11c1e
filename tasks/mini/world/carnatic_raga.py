"""Carnatic music of one raga a track, as in :mod:`..carnatic`."""

from __future__ import annotations

from .. import carnatic
from ..corpus import of_one_mode

RAGAS = {
    "raga--Bhairavi": "bhairavi",
    "raga--Kalyāṇi": "kalyani",
    "raga--Karaharapriya": "karaharapriya",
    "raga--Kāmavardani": "kamavardani",
    "raga--Kāṁbhōji": "kamboji",
    "raga--Mōhanaṁ": "mohanam",
    "raga--Tōḍi": "thodi",
    "raga--Śankarābharaṇaṁ": "sankarabharanam",
}
TRADITION = of_one_mode(carnatic.TRADITION, RAGAS)
render = carnatic.render
