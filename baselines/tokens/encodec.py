"""EnCodec's tokens (Défossez, Copet, Synnaeve, Adi 2022, *High Fidelity Neural Audio Compression*) by transformers.

The encoder of the same model, without its quantiser, is in :mod:`..huggingface.encoder`; here the quantiser is what
matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..base import LoadOptions, ModelFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIECE_FRAMES = 9_000
"""Frames (two minutes of the 24 kHz model) whose convolutions are computed at a time. Their first results have 32
channels at the full rate, 3 MB a second of audio, several at once: an hour in one go would take tens of gigabytes."""

BANDWIDTH = 6.0
"""kbit/s of MERT's tokens (https://github.com/yizhilll/MERT, scripts/prepare_codecs_from_manifest.py)."""


@dataclass(frozen=True, eq=False)
class EncodecTokeniser:
    """A frozen EnCodec model; satisfies :class:`.base.Tokeniser`."""

    name: str  # who it is, with its source and the bandwidth
    fingerprint: str  # SHA-256 of the weights, with the bandwidth
    sample_rate: int  # of the audio that it takes, Hz
    hop: int  # samples between frames
    codebook_size: int  # tokens of each codebook
    levels: int  # codebooks at this bandwidth
    bandwidth: float  # kbit/s
    model: Any  # of transformers

    def tokens(self, audio: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the tokens ``[levels, frames]`` of mono audio ``[samples]``, those of encoding it in one go.

        A model that cuts its input into chunks gives those of all chunks, one after the other.
        """
        import numpy as np
        import torch

        place = next(self.model.parameters()).device
        with torch.inference_mode():
            given = torch.tensor(audio, device=place)[None, None]
            if len(audio) > PIECE_FRAMES * self.hop and _looks_back_only(self.model.config):
                codes = self.model.quantizer.encode(_embedded(self.model, given, self.hop), self.bandwidth)
                return np.asarray(codes[:, 0].cpu(), np.int64)
            # [chunks, 1, codebooks, frames]
            found = self.model.encode(given, bandwidth=self.bandwidth, return_dict=True).audio_codes
        return np.concatenate([np.asarray(chunk[0].cpu(), np.int64) for chunk in found], axis=1)


def _looks_back_only(config: Any) -> bool:
    """Whether a frame depends on nothing after it, so that pieces of a recording give what the whole does."""
    causal = config.use_causal_conv and config.norm_type == "weight_norm"
    return bool(causal and not config.normalize and config.chunk_length_s is None)


def _embedded(model: Any, audio: Any, hop: int) -> Any:
    """Return what the encoder makes of audio ``[1, 1, samples]``, with its convolutions computed piece by piece.

    Each piece begins as many frames earlier as its convolutions look back, and these frames are dropped. The recurrent
    layer, which remembers everything, and what follows run over the whole: at the frames' rate that is little.
    """
    import torch

    layers = list(model.encoder.layers)
    recurrent = [i for i, one in enumerate(layers) if any(isinstance(m, torch.nn.LSTM) for m in one.modules())]
    early, late = (layers[: recurrent[0]], layers[recurrent[0] :]) if recurrent else (layers, [])
    reach, step = 0, 1
    for convolution in (m for one in early for m in one.modules() if isinstance(m, torch.nn.Conv1d)):
        reach += (convolution.kernel_size[0] - 1) * convolution.dilation[0] * step
        step *= convolution.stride[0]
    before = -(-reach // hop)
    parts = []
    for first in range(0, -(-audio.shape[-1] // hop), PIECE_FRAMES):
        earlier = min(before, first)
        states = audio[..., (first - earlier) * hop : (first + PIECE_FRAMES) * hop]
        for one in early:
            states = one(states)
        parts.append(states[..., earlier:])
    states = torch.cat(parts, dim=-1)
    for one in late:
        states = one(states)
    return states


def load_encodec(name: str, options: LoadOptions) -> EncodecTokeniser:
    """Load EnCodec as a tokeniser.

    Raises:
        UsageError: it is no EnCodec model for mono audio, or the quantiser's tensors are not in its weights.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    from ..device import choose_device
    from ..hub.about import has_weights, weights_sha256
    from ..huggingface.encoder import read_whole
    from ..states import listed

    folder = _folder(name, options)
    if folder.config.get("model_type") != "encodec":
        raise UsageError(
            f"{folder.path / 'config.json'}: model_type is {folder.config.get('model_type')!r}; tokens come from "
            "encodec only. Without such a model a stand-in can be fitted: `--tokens stand-in` in a report, "
            "targets.teacher=fit in a recipe."
        )
    if folder.config.get("audio_channels", 1) != 1:
        raise UsageError(f"{folder.path / 'config.json'}: audio_channels is not 1; only mono is read.")
    from transformers import EncodecModel

    if not has_weights(folder.path):
        raise UsageError(f"{folder.path}: there is neither a .safetensors file nor a pytorch_model.bin.")
    model, report = read_whole(EncodecModel, folder.path)
    # The decoder, and what training keeps of its codebooks, make no token.
    absent = [key for key in report["missing_keys"] if key.startswith("encoder.") or key.endswith("codebook.embed")]
    wrong = sorted([*absent, *(str(entry[0]) for entry in report["mismatched_keys"])])
    if wrong:
        raise UsageError(f"{folder.path}: missing or wrongly shaped tensors: {listed(wrong)}. Fetch the model again.")
    config, digest = model.config, weights_sha256(model.state_dict())
    bandwidth = min(map(float, config.target_bandwidths), key=lambda offered: (abs(offered - BANDWIDTH), offered))
    return EncodecTokeniser(
        name=f"EnCodec {folder.name} ({folder.source}, weights {digest[:8]}), {bandwidth:g} kbit/s",
        fingerprint=f"{digest}@{bandwidth:g}",
        sample_rate=int(config.sampling_rate),
        hop=int(config.hop_length),
        codebook_size=int(config.codebook_size),
        levels=int(model.quantizer.get_num_quantizers_for_bandwidth(bandwidth)),
        bandwidth=bandwidth,
        model=model.eval().requires_grad_(False).to(choose_device(options.device)),
    )


def _folder(name: str, options: LoadOptions) -> ModelFolder:
    from ..hub.folders import open_folder, open_repository
    from ..huggingface.encoder import PUBLISHED

    hub = next((hub for hub, _, _ in PUBLISHED if hub.name == name), None)
    return open_folder(name, options) if hub is None else open_repository(hub, options)
