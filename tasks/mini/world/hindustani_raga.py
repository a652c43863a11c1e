"""Hindustani music of one raga a track, as in :mod:`..hindustani`."""

from __future__ import annotations

from .. import hindustani
from ..corpus import of_one_mode

RAGAS = {
    "raga--Ahira bhairav": "Ahir Bhairav",
    "raga--Bhairav": "Bhairav",
    "raga--Bhūp": "Bhupali",
    "raga--Bāgēśrī": "Bageshree",
    "raga--Jōg": "Jog",
    "raga--Mālkauns": "Malkauns",
    "raga--Tōḍī": "Todi",
    "raga--Yaman kalyāṇ": "Yaman kalyan",
    "raga--Śrī": "Shree",
}
TRADITION = of_one_mode(hindustani.TRADITION, RAGAS)
render = hindustani.render
