"""The heads of MERT that only its training uses: their names in a checkpoint, and their size."""

from __future__ import annotations

from dataclasses import dataclass

CODEWORDS = "label_embs_concat"

PROJECTION = "final_proj"

CQT_HEAD = "encoder_cqt_model.fc"

CONTRAST_HEAD = "contrast_head"
"""Of our extension: what is compared of two recordings; two layers for each stream."""


@dataclass(frozen=True)
class HeadShape:
    """The size of the heads. Defaults: MERT-95M's, without the four special symbols of fairseq's dictionaries.

    Attributes:
        codebook_size: tokens of each codebook.
        levels: codebooks.
        dim: length of a codeword embedding (``final_dim``; 128 in MERT-330M).
        cqt_bins: values that the CQT head predicts.
        temperature: divides the cosines (``logit_temp``).
        contrast: length of what is compared of two recordings, our extension; 0: no such heads.
        summaries: length of what it is made of, by the name of the stream.
    """

    codebook_size: int = 1024
    levels: int = 8
    dim: int = 64
    cqt_bins: int = 336
    temperature: float = 0.1
    contrast: int = 0
    summaries: tuple[tuple[str, int], ...] = ()

    def tensors(self, hidden: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the heads on hidden states of that length."""
        found: dict[str, tuple[int, ...]] = {
            f"{PROJECTION}.weight": (self.levels * self.dim, hidden),
            f"{PROJECTION}.bias": (self.levels * self.dim,),
            CODEWORDS: (self.levels * self.codebook_size, self.dim),
            f"{CQT_HEAD}.weight": (self.cqt_bins, hidden),
            f"{CQT_HEAD}.bias": (self.cqt_bins,),
        }
        for stream, length in self.summaries if self.contrast else ():
            for i, into, out in ((0, length, 2 * self.contrast), (1, 2 * self.contrast, self.contrast)):
                name = f"{CONTRAST_HEAD}.{stream}.{i}"
                found |= {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
        return found
