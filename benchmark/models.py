"""The models of a run: loaded by name or given as objects, at most one of the named ones in memory at a time."""

from __future__ import annotations

import hashlib
import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..baselines.base import Encoder, EncoderCard, LoadOptions
from ..baselines.noted import note_path, read_note, write_note
from ..baselines.registry import load_encoder, registry
from ..errors import CmbenchError, UsageError, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .features.extract import BatchSize


@dataclass(frozen=True)
class GivenEncoder:
    """An encoder that the caller made, known by what it does as well as by what its card says.

    Its card comes from code that may change from one run to the next without a word; so what it makes of a second of
    noise is hashed into its weights' hash, and features of an earlier version are never taken for its own.
    """

    inner: Encoder  # the encoder
    card: EncoderCard  # its card, with that hash

    @classmethod
    def of(cls, encoder: Encoder) -> GivenEncoder:
        """Look at an encoder.

        Raises:
            CmbenchError: it contradicts its card, or returns NaN.
        """
        import numpy as np

        from .features.extract import BatchSize, encode_windows

        card = encoder.card
        seconds = min(max(1.0, 2 * card.min_seconds), card.max_seconds or math.inf)
        samples = round(seconds * card.sample_rate)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
        heard = encode_windows(encoder, [noise], BatchSize(1.0)).tobytes()
        digest = hashlib.sha256(card.weights_sha256.encode() + heard).hexdigest()
        return cls(encoder, replace(card, weights_sha256=digest))

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode as the encoder does."""
        return self.inner.encode(audio)


def batch_seconds(device: str) -> float:
    """Return how much audio one batch has, seconds, where nothing is asked for.

    On a processor the front end of a 95M model already fills its caches with one 30 s window (and needs 0.6 GB for it);
    an accelerator wants more.
    """
    return 30.0 if device == "cpu" else 480.0


class Encoders:
    """Encoders by name, at most one of the named ones in memory at a time; another process loads its own."""

    def __init__(self, options: LoadOptions, noted: bool = False, batch_seconds: float | None = None) -> None:
        self.options = options  # how they are loaded
        self.turn = threading.RLock()  # held while one is loaded or computes, where several threads share them
        self._batch_seconds = batch_seconds  # audio of one batch, seconds; :func:`batch_seconds` if not given
        self._batches: dict[str, BatchSize] = {}
        self._noted = noted  # whether cards are read from the cache where they can be, and noted there
        self._given: dict[str, Encoder] = {}
        self._loaded: dict[str, Encoder] = {}
        self._cards: dict[str, EncoderCard] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to have the same ones."""
        return vars(self) | {"turn": None, "_loaded": {}, "_batches": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be those of another process."""
        vars(self).update(state | {"turn": threading.RLock()})

    @property
    def device(self) -> str:
        """Device that encoders and probes compute on, for example ``cpu`` or ``cuda:0``."""
        from ..baselines.device import choose_device

        return str(choose_device(self.options.device))

    def batch(self, name: str) -> BatchSize:
        """Return how much audio an encoder takes at once: the same object every time, which may shrink."""
        from .features.extract import BatchSize

        if name not in self._batches:
            seconds = self._batch_seconds or batch_seconds(self.device)
            self._batches[name] = BatchSize(seconds, fixed=self.device == "cpu")
        return self._batches[name]

    def add(self, model: str | Encoder) -> str:
        """Add a model and return the name to ask for it by."""
        if isinstance(model, str):
            return model
        name = model.card.name
        if name in self._given or name in registry():
            raise UsageError(
                f"Two models are named {quoted(name)}; give the encoder that you pass another name in its card."
            )
        self._given[name] = GivenEncoder.of(model)
        return name

    def encoder(self, name: str) -> Encoder:
        """Return an encoder, loading it if it is not the one in memory.

        Raises:
            CmbenchError: it is not the one whose card was told, so that its features would get a false name.
        """
        if name in self._given:
            return self._given[name]
        if name not in self._loaded:
            self._loaded.clear()
            loaded = load_encoder(name, self.options)
            if self._cards.setdefault(name, loaded.card).fingerprint != loaded.card.fingerprint:
                raise CmbenchError(f"Model {name} has changed since this began. Start it again.")
            self._loaded[name] = loaded
        return self._loaded[name]

    def card(self, name: str) -> EncoderCard:
        """Return an encoder's card; the encoder is loaded at most once for it, and not at all if the card is noted."""
        if name not in self._cards:
            note = note_path(name, self.options) if self._noted and name not in self._given else None
            card = None if note is None else read_note(note)
            if card is None:
                card = self.encoder(name).card
                if note is not None:
                    write_note(note, card)
            self._cards[name] = card
        return self._cards[name]
