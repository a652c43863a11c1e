"""Brazilian percussion: five rhythms as parts of surdo, tamborim, pandeiro, caixa and agogo.

The patterns are this project's own choice from general knowledge of samba's instruments, sixteen sixteenths of two bars
of 2/4; tempi lie about those at which public code reads BRID's rhythms (80, 100, 130, 120 and 65 beats a minute), so
widely that they overlap.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..corpus import Cast, Draw, Need, TrackSpec, Tradition, of_one_mode
from ..oscillator import Audio
from ..rhythms import Cycle
from ..stage import open_stage

# Accents 1-9, "." none, of each part.
RHYTHMS: Mapping[str, Mapping[str, str]] = {
    "samba": {
        "surdo": "4...9...4...9..5",
        "tamborim": "8.8.88.8.8.8.88.",
        "pandeiro": "7446744674467446",
        "agogo": "9.9..99.9.9.99..",
    },
    "partido alto": {
        "surdo": "....9.......9...",
        "tamborim": "..8..8.8..8.8..8",
        "pandeiro": "8..67.7.68.67.7.",
        "agogo": "9..9..9.9...9.9.",
    },
    "samba-enredo": {
        "surdo": "9...7...9..6.77.",
        "tamborim": "8448844884488448",
        "caixa": "9446944694469446",
        "agogo": "9.99.9.99.99.9.9",
    },
    "marcha": {
        "surdo": "9...5...9...5...",
        "caixa": "8..8.88.8..8.88.",
        "pandeiro": "7.6.7.6.7.6.7.6.",
        "agogo": "9...9...9.9.9...",
    },
    "capoeira": {
        "surdo": "9.....7.9.....7.",
        "pandeiro": "7.44..7.7.44..7.",
        "agogo": "9.9...9.9.9.6.9.",
    },
}
_BEATS = {"samba": 80.0, "partido alto": 100.0, "samba-enredo": 130.0, "marcha": 120.0, "capoeira": 65.0}


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw who is in the room; who has no part in a rhythm is silent in it."""
    players = ("surdo", "tamborim", "pandeiro", "caixa", "agogo")
    return Cast("batucada", tuple(str(name) for name in rng.permutation(players)[: int(rng.integers(2, 5))]))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw nothing besides the rhythm, which :func:`of_one_mode` does."""
    return Draw("batucada", "", (), "", cast.pool, ())


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    stage = open_stage(spec, old=0.1)
    rng, rhythm = stage.rng, spec.content.modes[0]
    parts = RHYTHMS[rhythm]
    playing = [part for part in spec.content.parts if part in parts] or ["surdo"]
    pulse = 15.0 / (_BEATS[rhythm] * float(np.exp(rng.uniform(-0.25, 0.25))))
    offset = float(rng.integers(0, 16)) * pulse
    for part in playing:
        strokes = tuple((float(at), part, int(c) / 9.0) for at, c in enumerate(parts[part]) if c != ".")
        stage.drums("batucada", Cycle(f"{rhythm} {part}", 16, strokes, (pulse, pulse)), pulse, offset, 0.0, fill=0.0)
    return stage.finish()


TRADITION = of_one_mode(Tradition(cast, draw), {f"rhythm--{name}": name for name in RHYTHMS})
