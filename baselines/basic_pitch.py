"""Basic Pitch: a transcriber of notes of any instrument, whose ONNX model comes in the package basic-pitch.

Bittner, Bosch, Rubinstein, Meseguer-Brocal and Ewert, *A lightweight instrument-agnostic model for polyphonic note
transcription and multipitch estimation* (ICASSP 2022); package basic-pitch 0.4.0 (Apache-2.0). ``onnxruntime`` computes
the model (``pip install "cmbench[basic-pitch]"``); the package and the TensorFlow it asks for are not installed. Names
of inputs and outputs, and how audio is cut, were read in ``basic_pitch/inference.py`` and ``constants.py`` there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import write_atomically
from ..paths import models_root
from .base import EncoderCard, EncoderEntry, LoadOptions, Preparer, finite, require_audio
from .wheels import Wheel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "basic-pitch"
CODE_VERSION = "1"
COMMAND = "cmbench models prepare basic-pitch"
WHEEL = Wheel(NAME, "0.4.0", "basic_pitch-0.4.0-py2.py3-none-any.whl", COMMAND, "Apache-2.0")
# Size and hash: those of the file in the wheel.
MODEL = ("basic_pitch/saved_models/icassp_2022/nmp.onnx", 230444,
         "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec")  # fmt: skip

SAMPLE_RATE, FFT_HOP = 22_050, 256
SAMPLES = 2 * SAMPLE_RATE - FFT_HOP
"""Of the stretch that the model takes."""
OVERLAP = 30
"""Frames that neighbouring stretches share; half of them are left out at each end."""
FRAMES_PER_SECOND = SAMPLE_RATE // FFT_HOP
CONTOURS = 264
"""Pitches of a third of a semitone from the lowest key of a piano; notes and onsets have 88."""
PARAMETERS = 16_782
"""As counted in the package's TensorFlow variables without those of the optimiser."""

STATES = {
    "contours": "StatefulPartitionedCall:0",
    "notes": "StatefulPartitionedCall:1",
    "onsets": "StatefulPartitionedCall:2",
}
_INPUT = "serving_default_input_2:0"


def stretches(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut ``[samples]`` as the package does: overlapping stretches ``[stretches, 43844, 1]``, the last with silence."""
    import numpy as np

    padded = np.concatenate([np.zeros(OVERLAP // 2 * FFT_HOP, np.float32), window])
    hop = SAMPLES - OVERLAP * FFT_HOP
    found = np.zeros((-(-len(padded) // hop), SAMPLES, 1), np.float32)
    for row, start in zip(found, range(0, len(padded), hop), strict=True):
        part = padded[start : start + SAMPLES]
        row[: len(part), 0] = part
    return found


@dataclass(frozen=True)
class BasicPitchEncoder:
    """A frozen Basic Pitch; satisfies :class:`cmbench.baselines.base.Encoder`."""

    card: EncoderCard  # who it is
    session: Any  # of ``onnxruntime``

    def posteriors(self, window: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Return contours, notes and onsets of ``[samples]`` over time, ``[frames, pitches]`` each, in [0, 1]."""
        import numpy as np

        half = OVERLAP // 2
        # One at a time: what a stretch gives must not depend on how many are computed with it.
        outputs = [self.session.run(list(STATES.values()), {_INPUT: one[None]}) for one in stretches(window)]
        frames = int(len(window) * (FRAMES_PER_SECOND / SAMPLE_RATE))
        kinds = zip(*outputs, strict=True)
        return tuple(np.concatenate([one[0, half:-half] for one in kind])[:frames] for kind in kinds)

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return contours, notes and onsets averaged over time; the 88 of the latter are filled up with zeros."""
        import numpy as np

        require_audio(audio, self.card)
        features = np.zeros((len(audio), len(STATES), CONTOURS), np.float32)
        for row, window in zip(features, audio, strict=True):
            for state, values in zip(row, self.posteriors(window), strict=True):
                state[: values.shape[1]] = values.mean(0)
        return finite(features, self.card)


def prepare(source: Path | None) -> Path:
    """Put the model into ``<models folder>/basic-pitch``.

    Without ``source``, the wheel is fetched with pip.

    Raises:
        CmbenchError: it cannot be fetched, or its hash is not that of the published package.
    """
    if source is None:
        return WHEEL.fetched(prepare)
    content = WHEEL.content(source, *MODEL)
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(), content)
    return _file().parent


def _file() -> Path:
    return models_root() / NAME / "nmp.onnx"


def _load(options: LoadOptions) -> BasicPitchEncoder:
    file = _file()
    if not file.is_file():
        raise WHEEL.missing(NAME, file)
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != MODEL[2]:
        raise UsageError(f"{file}: this is not the model of {WHEEL.requirement}. Again: {COMMAND}")
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f'{NAME} is computed by onnxruntime: `pip install "cmbench[basic-pitch]"`.') from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # A processor, whatever the device: a model of this size gains nothing elsewhere.
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    return BasicPitchEncoder(_card(), session)


def _card() -> EncoderCard:
    return EncoderCard(
        name=NAME,
        family=NAME,
        sample_rate=SAMPLE_RATE,
        layers=len(STATES),
        dim=CONTOURS,
        layer_names=tuple(STATES),
        min_seconds=0.1,
        parameters=PARAMETERS,
        licence="Apache-2.0",
        trained_on=("MAESTRO, GuitarSet, iKala, Slakh, MedleyDB-Pitch (supervised, notes and pitch)",),
        weights_sha256=MODEL[2],
        code_version=CODE_VERSION,
        preprocessing="stretches of 2 s that overlap by 30 frames, as the package cuts them; 88 notes and onsets are "
        "filled up with zeros to 264",
        source=f"{WHEEL.requirement} (Python package)",
        description=_SUMMARY,
    )


_SUMMARY = (
    "Basic Pitch, a transcriber of notes of any instrument: strength of every third of a semitone, note and onset."
)

ENCODERS = {NAME: EncoderEntry(NAME, _SUMMARY, "Apache-2.0", COMMAND, _load)}
PREPARERS = {
    NAME: Preparer(
        NAME,
        f"Takes the ONNX model out of the Python package {WHEEL.requirement} (0.8 MB, fetched, not installed).",
        "Apache-2.0",
        prepare,
    )
}
