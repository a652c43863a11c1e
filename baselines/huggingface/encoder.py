"""Audio encoders of ``transformers``: by folder, from the hub, and a few of them by name.

Only classes that ship with ``transformers`` are used; code in a repository is never executed. What each kind of model
hears and answers is in :mod:`.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..base import EncoderCard, LoadOptions, ModelFolder, finite, require_audio
from ..hub.folders import folder_reader, hub_entry
from ..hub.repository import Repository
from ..states import equal_parts, listed
from .kinds import KINDS, Kind

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CODE_VERSION = "1"

# Tensors outside the encoder: heads of the pre-training and of the For... classes, and the mask vector of training.
HEADS = (
    "classifier.",
    "lm_head.",
    "logit_scale_",
    "masked_spec_embed",
    "proj_out.",
    "projector.",
    "project_hid.",
    "project_q.",
    "quantizer.",
    "dropout_features.",
    "feature_extractor_cqt",
    "final_proj.",
    "layer_weights",
    "speaker_proj.",
    "label_embeddings_concat",
)


@dataclass(frozen=True)
class TransformersEncoder:
    """A frozen encoder of transformers; satisfies :class:`cmbench.baselines.base.Encoder`."""

    card: EncoderCard  # who it is
    kind: Kind  # how it is run
    model: Any  # the encoder's module
    extractor: Any  # its front end
    longest: int | None  # samples of the longest window that it takes at once, or ``None``

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over time of every hidden state, clip by clip.

        A window longer than the model takes is cut into equal parts, each as long as the others (they overlap by a few
        samples if need be), whose features are averaged. States shorter than the longest are filled up with zeros.
        """
        import numpy as np

        require_audio(audio, self.card)
        features = np.zeros((len(audio), self.card.layers, self.card.dim), np.float32)
        for row, window in zip(features, audio, strict=True):
            parts = [_states(self.kind, self.model, self.extractor, part) for part in equal_parts(window, self.longest)]
            for layer, values in enumerate(np.mean(states, axis=0) for states in zip(*parts, strict=True)):
                row[layer, : len(values)] = values
        return finite(features, self.card)


def _states(kind: Kind, model: Any, extractor: Any, window: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    import numpy as np
    import torch

    # Whoever holds the module may have called train(); dropout and SpecAugment stay off all the same.
    model.eval()
    with torch.inference_mode():
        states = [state.float() for state in kind.states(model, extractor, window)]
        # One copy, because each waits for the device.
        whole = torch.cat(states).cpu()
    return [np.asarray(state, np.float32) for state in torch.split(whole, [len(state) for state in states])]


def _load(
    folder: ModelFolder, options: LoadOptions, licence: str, trained_on: tuple[str, ...], description: str
) -> TransformersEncoder:
    import numpy as np

    from ..device import choose_device
    from ..hub.about import read_licence, weights_sha256

    kind = KINDS.get(str(stated := folder.config.get("model_type")))
    if kind is None:
        raise UsageError(f"{folder.path}: this is not {folder.name}: model_type is {stated!r}.")
    place = choose_device(options.device)
    extractor, model, settings = _open(kind, folder.path, folder.config)
    model = model.to(place)
    rate = int(extractor.sampling_rate)
    try:
        shortest, limit = kind.shortest(settings, extractor), kind.seconds(extractor)
        # What comes out of the shortest window tells the states' number and lengths, whatever the kind of model.
        heard = _states(kind, model, extractor, np.zeros(shortest, np.float32))
    except Exception as error:
        raise UsageError(
            f"{folder.path}: config.json and preprocessor_config.json do not make a working model ({_told(error)})."
        ) from error
    sizes = [len(state) for state in heard]
    names = tuple(f"L{i}" for i in range(len(sizes)))
    words = kind.words(extractor)
    if limit is not None:
        words += f"; longer windows are cut into equal parts of at most {limit:g} s and averaged"
    if len(set(sizes)) > 1:
        words += f"; states of {', '.join(map(str, sizes))} numbers are filled up with zeros"
    card = EncoderCard(
        name=folder.name,
        family="huggingface",
        sample_rate=rate,
        layers=len(sizes),
        dim=max(sizes),
        layer_names=names,
        min_seconds=shortest / rate,
        parameters=sum(tensor.numel() for tensor in model.parameters()),
        licence=read_licence(folder.path) if licence == "not stated" else licence,
        trained_on=trained_on,
        weights_sha256=weights_sha256({name: tensor.cpu() for name, tensor in model.state_dict().items()}),
        code_version=f"{CODE_VERSION}, {folder.config['model_type']}",
        preprocessing=words,
        source=folder.source,
        description=description,
    )
    longest = None if limit is None else round(limit * rate)
    return TransformersEncoder(card, kind, model, extractor, longest)


def _open(kind: Kind, folder: Path, config: Mapping[str, object]) -> tuple[Any, Any, Any]:
    """Return front end, frozen encoder and configuration; every tensor of the encoder comes from the folder."""
    import transformers

    from ..hub.about import HIGHEST_RATE, has_weights
    from ..hub.layout import front_end

    if not has_weights(folder):
        raise UsageError(f"{folder}: there is neither a .safetensors file nor a pytorch_model.bin.")
    if config.get("audio_channels", 1) != 1:
        raise UsageError(f"{folder / 'config.json'}: audio_channels is {config['audio_channels']}; only mono is read.")
    found = front_end(folder)
    needed = f"A preprocessor_config.json or processor_config.json is needed, as {kind.extractor} writes it"
    if found is None:
        raise UsageError(f"{folder}: the front end cannot be read: there is no file of it. {needed}.")
    try:
        extractor = getattr(transformers, kind.extractor).from_dict(found[0])
    except Exception as error:
        raise UsageError(f"{found[1]}: the front end cannot be read ({_told(error)}). {needed}.") from error
    if type(extractor.sampling_rate) is not int or not 1 <= extractor.sampling_rate <= HIGHEST_RATE:
        raise UsageError(
            f"{folder}: the sample rate {extractor.sampling_rate!r} should be an integer from 1 to {HIGHEST_RATE} Hz."
        )
    model, report = read_whole(getattr(transformers, kind.model), folder)
    wrong = {
        "missing": [n for n in report["missing_keys"] if not n.startswith(HEADS)],
        "unexpected": [n for n in report["unexpected_keys"] if not n.startswith(HEADS)],
        "wrongly shaped": [str(entry[0]) for entry in report["mismatched_keys"]],
    }
    told = "; ".join(f"{what} tensors: {listed(sorted(names))}" for what, names in wrong.items() if names)
    if told:
        raise UsageError(f"{folder}: {told}. The weights do not belong to this config.json.")
    part = getattr(model, kind.part) if kind.part else model
    for name, tensor in part.named_parameters():
        if not bool(tensor.isfinite().all()):
            raise UsageError(f"{folder}: tensor {name!r} is not made of finite numbers.")
    return extractor, part.eval().requires_grad_(False).float(), model.config


def _told(error: Exception) -> str:
    first = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
    return first if isinstance(error, OSError | ValueError | RuntimeError) else f"{type(error).__name__}: {first}"


# Settings of how to compute, not of the network. A name of a repository in the first two makes transformers fetch
# that repository's kernel and run it.
_NOT_THE_NETWORK = ("attn_implementation", "_attn_implementation", "_experts_implementation", "auto_map", "dtype")


def _network_only(config: Mapping[str, object]) -> dict[str, object]:
    """Leave out of a configuration, and of those inside it, what could choose code that is run."""
    return {
        key: _network_only(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not key.startswith(_NOT_THE_NETWORK) and key not in ("use_kernels", "torch_dtype")
    }


def read_whole(model_class: Any, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Load a model of transformers from a folder, in float32, and return it with the report on its tensors.

    Nothing in the folder is executed or unpickled but tensors.

    Raises:
        UsageError: the weights are damaged or hold more than tensors, the configuration cannot be honoured, or the
            folder is one of an adapter or of quantised weights.
    """
    import pickle

    import torch
    from transformers.utils import logging as untyped

    from ...files import read_json
    from .stored import unwrapped_tensors

    unwrapped = unwrapped_tensors(folder)
    config = _network_only(read_json(folder / "config.json"))
    if "quantization_config" in config:
        raise UsageError(f"{folder / 'config.json'}: quantization_config is set; only weights in full are read.")
    if (folder / "adapter_config.json").exists():
        raise UsageError(f"{folder}: adapter_config.json says that this is an adapter; merge it into its model first.")
    # What it has to say of the tensors is in the report, and is said once.
    chatter: Any = untyped
    level, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        return model_class.from_pretrained(  # type: ignore[no-any-return]
            folder if unwrapped is None else None,
            state_dict=unwrapped,
            config=model_class.config_class.from_dict(config),
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{folder}: its pickle holds more than tensors, or is damaged. Its code was not run. "
            "Ask for a .safetensors file, or fetch it again from a source that you trust."
        ) from error
    except Exception as error:
        # Whatever a foreign configuration or file brings about in transformers.
        raise UsageError(f"{folder}: this model cannot be read ({_told(error)}).") from error
    finally:
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()


# Corpora and licences: the model cards on the hub.
PUBLISHED = (
    (
        Repository("wav2vec2-base", "facebook/wav2vec2-base", None, "Apache-2.0"),
        "wav2vec 2.0 base, self-supervised on read English speech.",
        ("LibriSpeech 960 h",),
    ),
    (
        Repository("wavlm-base-plus", "microsoft/wavlm-base-plus", None, "see the model card"),
        "WavLM base plus, self-supervised on speech.",
        ("Libri-Light 60,000 h", "GigaSpeech 10,000 h", "VoxPopuli 24,000 h"),
    ),
    (
        Repository("data2vec-audio-base", "facebook/data2vec-audio-base", None, "Apache-2.0"),
        "data2vec base, self-supervised on read English speech.",
        ("LibriSpeech 960 h",),
    ),
    (
        Repository("ast-audioset", "MIT/ast-finetuned-audioset-10-10-0.4593", None, "BSD-3-Clause"),
        "Audio spectrogram Transformer, supervised on sound events.",
        ("ImageNet (initialisation)", "AudioSet"),
    ),
    (
        Repository("clap-music", "laion/larger_clap_music", None, "Apache-2.0"),
        "CLAP audio tower, trained with captions of music.",
        ("see the model card",),
    ),
    (
        Repository("encodec-24khz", "facebook/encodec_24khz", None, "see the model card"),
        "EnCodec's encoder at 24 kHz: the codec whose tokens MERT predicts.",
        ("see the model card",),
    ),
    (
        Repository("whisper-small", "openai/whisper-small", None, "Apache-2.0"),
        "Whisper's encoder, supervised on transcribed speech of many languages.",
        ("680,000 h of speech (not published)",),
    ),
)


ENCODERS = {hub.name: hub_entry(hub, summary, trained_on, _load) for hub, summary, trained_on in PUBLISHED}
FOLDER_READERS = dict.fromkeys(KINDS, folder_reader(_load, "An encoder of transformers read from a folder."))
