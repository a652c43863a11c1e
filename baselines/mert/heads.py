"""The heads of MERT that only its training uses: their names in a checkpoint, and their size."""

from __future__ import annotations

from dataclasses import dataclass

CODEWORDS = "label_embs_concat"

PROJECTION = "final_proj"

CQT_HEAD = "encoder_cqt_model.fc"


@dataclass(frozen=True)
class HeadShape:
    """The size of the heads. Defaults: MERT-95M's, without the four special symbols of fairseq's dictionaries.

    Attributes:
        codebook_size: tokens of each codebook.
        levels: codebooks.
        dim: length of a codeword embedding (``final_dim``; 128 in MERT-330M).
        cqt_bins: values that the CQT head predicts.
        temperature: divides the cosines (``logit_temp``).
    """

    codebook_size: int = 1024
    levels: int = 8
    dim: int = 64
    cqt_bins: int = 336
    temperature: float = 0.1

    def tensors(self, hidden: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the heads on hidden states of that length."""
        return {
            f"{PROJECTION}.weight": (self.levels * self.dim, hidden),
            f"{PROJECTION}.bias": (self.levels * self.dim,),
            CODEWORDS: (self.levels * self.codebook_size, self.dim),
            f"{CQT_HEAD}.weight": (self.cqt_bins, hidden),
            f"{CQT_HEAD}.bias": (self.cqt_bins,),
        }
