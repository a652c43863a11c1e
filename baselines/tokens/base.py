"""What turns audio into the tokens that MERT predicts: EnCodec, or what stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tokeniser(Protocol):
    """Audio in, tokens out."""

    @property
    def name(self) -> str:
        """Who it is, in words."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of everything that its tokens follow from."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of the audio that it takes, Hz."""
        ...

    @property
    def hop(self) -> int:
        """Samples between frames."""
        ...

    @property
    def levels(self) -> int:
        """Codebooks."""
        ...

    @property
    def codebook_size(self) -> int:
        """Tokens of each codebook."""
        ...

    def tokens(self, audio: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the tokens ``[levels, frames]`` of mono audio ``[samples]``, encoded in one go."""
        ...
