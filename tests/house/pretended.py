"""What runs on a device that is not there: tensors without numbers on one of a type of its own.

Torch's ``FakeTensorMode`` works out shapes, types and devices, and raises where an operation mixes devices. The device
is torch's spare one, which every build knows; a build for processors alone does not let even fake tensors be on
``cuda``. It stays registered, so this is a process of its own: it prints a JSON object of what every case asked of the
processor, or the error.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend


class Backend(_DummyBackendModule):
    """What autocast asks of a device, too."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("pretended", backend_module=Backend())
DEVICE = torch.device("pretended:0")
aten = torch.ops.aten

WAITS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten._unique2.default,
}
"""Operations whose result, or its size, the processor has to know."""


class Waiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations on the device, and names those that make the processor wait for it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        there = any(one.device == DEVICE for one in given)
        masks = func is aten.index.Tensor and any(one.dtype == torch.bool for one in given)
        self.operations += there
        if there and (func in WAITS or masks):
            self.waits.append(str(func))
        out = func(*args, **(kwargs or {}))
        back = [one for one in tree_leaves(out) if isinstance(one, torch.Tensor) and one.device.type == "cpu"]
        if there and back and func is not aten.copy_.default:
            self.waits.append(f"{func} to the processor")
        return out


class Made(TorchFunctionMode):
    """Makes what fake tensors cannot: ``torch.tensor`` on the device, and the rows of a mask whose number is known.

    Args:
        masked: rows that every mask leaves.
    """

    def __init__(self, masked: int = 0) -> None:
        super().__init__()
        self.masked = masked

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and (place := kwargs.pop("device", None)) is not None:
            made = torch.tensor(*args, **kwargs)
            made.constant = None  # or what is done to it is done to numbers, on a device that is not there
            return made.to(place)
        if func is torch.Tensor.__getitem__ and self.masked:
            before = args[1] if isinstance(args[1], tuple) else (args[1],)
            if isinstance(before[-1], torch.Tensor) and before[-1].dtype == torch.bool:
                at = len(before) - 1
                rows = torch.zeros(self.masked, dtype=torch.int64, device=before[-1].device)
                return args[0].flatten(at, at + before[-1].ndim - 1).index_select(at, rows)
        return func(*args, **kwargs)


def without_numbers(self: FakeTensor, *given: Any, **named: Any) -> Any:
    """Return zeros of a fake tensor's shape, if it is where numpy can read it."""
    if self.device.type != "cpu":
        raise TypeError(f"can't convert {self.device} tensor to numpy")
    kind = torch.empty(0, dtype=self.dtype).detach()
    return np.zeros(tuple(self.shape), str(kind.dtype).removeprefix("torch.").replace("bool", "bool_"))


FakeTensor.numpy = without_numbers  # type: ignore[method-assign,assignment]
FakeTensor.__array__ = without_numbers  # type: ignore[assignment]

Case = Callable[[], Any]
NETWORK: dict[str, Any] = {"conv_dim": (16,) * 7, "hidden": 32, "layers": 2, "heads": 2, "intermediate": 64}
NETWORK |= {"position_groups": 4, "position_kernel": 16}


def a_batch_of_mert(mixed: bool = False) -> Case:
    from cmbench.baselines.base import EncoderCard
    from cmbench.baselines.mert.encoder import HubertEncoder
    from cmbench.baselines.mert.network import HubertShape, prepare, random_weights

    shape = HubertShape(**NETWORK)
    weights = prepare(random_weights(shape, 0), shape, DEVICE)
    if mixed:
        weights |= {name: tensor.cpu() for name, tensor in weights.items() if name.endswith("layers.1.layer_norm.bias")}
    card = EncoderCard("a", "mert", 24000, 3, 32, ("a", "b", "c"), 0.1, 0, "MIT", (), "0", "1", "none")
    encoder = HubertEncoder(card, shape, True, DEVICE, weights)
    audio = np.ones((3, 8000), np.float32)
    return lambda: encoder.encode(audio)


def a_clip_of_wav2vec2() -> Case:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    from cmbench.baselines.huggingface.encoder import _states
    from cmbench.baselines.huggingface.kinds import KINDS

    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    config = Wav2Vec2Config(**sizes, conv_dim=(16,) * 7, num_conv_pos_embedding_groups=4)
    model = Wav2Vec2Model(config).eval()  # type: ignore[no-untyped-call]
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(parameter.detach().to(DEVICE))

    class Extractor:
        do_normalize = True

    return lambda: _states(KINDS["wav2vec2"], model, Extractor(), np.ones(8000, np.float32))


def a_clip_of_musicnn() -> Case:
    from cmbench.baselines.musicnn.network import _expected, convert, run_network

    weights = convert({name: np.ones(size, np.float32) for name, size in _expected().items()})
    there = {name: torch.ones(tensor.shape, device=DEVICE) for name, tensor in weights.items()}
    return lambda: run_network(there, np.ones((2, 187, 96), np.float32))


def a_step_of_the_bank() -> Case:
    from cmbench.benchmark.probing.bank import FUSED, Batch, Probe, Shape, Trainer
    from cmbench.benchmark.protocol import get_protocol

    members = [Probe(layer, rate, seed) for layer in (0, 1, FUSED) for rate in (1e-3, 1e-2) for seed in (1, 2)]
    trainer = Trainer(members, Shape(32, 16, 5, (0, 1, 2)), get_protocol("cmbench-1").probe, str(DEVICE))
    sizes = (2, 3, 8, 32), (2, 8, 5), (2, 8, 16)
    batch = Batch(*(torch.ones(size, device=DEVICE) for size in sizes))
    rates = [member.learning_rate for member in members]
    return lambda: trainer.step(batch, rates)


def all_probes_and_scores() -> Case:
    from cmbench.benchmark.probing.search import ProbeSplit, run_probes
    from cmbench.benchmark.protocol import ProbeSettings

    class Features:
        layers, dim = 3, 32
        track_of_window = np.repeat(np.arange(8), 2)

        def take(self, rows: Any) -> Any:
            return np.random.default_rng(0).standard_normal((len(rows), 3, 32)).astype(np.float16)

    split = ProbeSplit(Features(), np.arange(8)[:, None] % 2 == np.arange(2))
    settings = ProbeSettings(hidden=16, learning_rates=(1e-3, 1e-2), max_epochs=3, patience=2, seeds=(1, 2))
    return lambda: run_probes(split, split, split, settings, ("a", "b", "c"), str(DEVICE), lambda done, total: None)


MASKED = 92
"""Frames that the masks of the next step leave."""


def a_step_of_pretraining() -> Case:
    """Return a pass and its gradients; AdamW counts steps on the processor, whose numbers are pretended."""
    from cmbench.baselines.mert.heads import HeadShape
    from cmbench.baselines.mert.network import HubertShape
    from cmbench.pretraining.objective.loss import pretraining_loss
    from cmbench.pretraining.objective.masking import SpanMasking, span_masks
    from cmbench.pretraining.objective.model import PretrainingModel, from_shape
    from cmbench.pretraining.recipes.recipe import Loss

    drawn = from_shape(HubertShape(**NETWORK), HeadShape(8, 2, 4), 0)
    weights = {name: tensor.detach().to(DEVICE) for name, tensor in drawn.named_parameters()}
    model = PretrainingModel(drawn.shape, drawn.heads, weights, drawn.preprocessor).train()
    model.dropout = replace(model.dropout, layer=0.0)  # drawn on the processor, whose numbers are pretended, too
    mask = span_masks(2, model.shape.frames(24000), SpanMasking(), np.random.default_rng(0))
    assert mask.sum() == MASKED, f"the masks leave {mask.sum()}"

    def step() -> None:
        audio, masked = torch.ones(2, 24000).to(DEVICE), torch.from_numpy(mask).to(DEVICE)
        tokens = torch.zeros((2, 2, mask.shape[1]), dtype=torch.int64).to(DEVICE)
        said = model(audio, masked)
        # The CQT makes its kernels from numbers, which are pretended on the processor, too.
        cqt = torch.zeros((2, mask.shape[1], 336), device=DEVICE)
        pretraining_loss(said, tokens, cqt, masked, Loss()).total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return step


def all_merges() -> Case:
    from cmbench.pretraining.merging.task_vectors import drop_and_rescale, elected_mean, trim, weighted_sum

    vectors = [torch.ones((4, 5), dtype=torch.float64, device=DEVICE) for _ in range(3)]

    def merge() -> None:
        weighted_sum(vectors, (0.2, 0.2, 0.2))
        elected_mean([trim(vector, 0.5) for vector in vectors])
        weighted_sum([drop_and_rescale(vector, 0.1, (0, i)) for i, vector in enumerate(vectors)], (0.2, 0.2, 0.2))

    return merge


def mixed_devices() -> Case:
    return a_batch_of_mert(mixed=True)


def an_item() -> Case:
    return lambda: torch.ones(3, device=DEVICE).sum().item()


CASES = (
    *(a_batch_of_mert, a_clip_of_wav2vec2, a_clip_of_musicnn, a_step_of_the_bank, all_probes_and_scores),
    *(a_step_of_pretraining, all_merges, mixed_devices, an_item),
)


def observed(case: Callable[[], Case]) -> dict[str, Any]:
    waiting = Waiting()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), Made(MASKED):
            run = case()
            with waiting:
                run()
    except Exception as error:
        where = [f"{one.filename}:{one.lineno} {one.line}" for one in traceback.extract_tb(error.__traceback__)][-8:]
        return {"error": f"{type(error).__name__}: {error}", "where": where, "waits": waiting.waits}
    return {"operations": waiting.operations, "waits": waiting.waits}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({case.__name__: observed(case) for case in CASES}))
