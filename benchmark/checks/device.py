"""Does a device compute what the processor computes: parity, determinism, memory. For a report that can be pasted.

Weights and sounds are the same on every machine, so that two reports can be set side by side. Nothing here was ever
run on an accelerator by the authors: the report is how they would like to hear of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .check import Check
from .machine import Speed, speed_line, windows_together

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from ...baselines.mert.network import HubertShape

FLOAT32_TOLERANCE = 1e-3
"""Largest deviation in float32 that counts as parity, as a share of the spread between sounds (our choice): a probe
does not see it. Another order of additions alone gives about 1e-6."""

SAMPLE_RATE = 24_000
HELD_BACK = 1.5
"""Memory that the refusal leaves, as a multiple of what is in use: enough for the weights, too little for a batch."""


Forward = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]
"""``forward(sounds [batch, samples]) -> [batch, layers, dim]``."""


def check_device(device: str = "auto", shape: HubertShape | None = None) -> Iterator[Check]:
    """Compare a device with the processor, in float32 and, where it has such units, in bfloat16.

    The network is of the 95M size if no other shape is given.

    Raises:
        UsageError: there is no such device.
    """
    import torch

    from ...baselines.device import choose_device, gains_from_bfloat16
    from ...baselines.mert.encoder import BFLOAT16_TOLERANCE, eight_sounds
    from ...baselines.mert.network import HubertShape, prepare, random_weights

    place, shape = choose_device(device), shape or HubertShape()
    sounds = eight_sounds(SAMPLE_RATE)
    drawn = random_weights(shape, 0)
    exact = prepare(drawn, shape, torch.device("cpu"))
    truth = forward_on(exact, shape, torch.device("cpu"))(sounds)
    here = exact if place.type == "cpu" else prepare(drawn, shape, place)
    forward = forward_on(here, shape, place)
    if place.type == "cpu":
        yield Check("float32 against the processor", "this is the processor, which others are compared with", None)
    else:
        yield parity("float32 against the processor", forward(sounds), truth, FLOAT32_TOLERANCE)
    if gains_from_bfloat16(place):
        rough = {name: tensor.to(torch.bfloat16) for name, tensor in here.items()}
        yield parity(
            "bfloat16 against the processor", forward_on(rough, shape, place)(sounds), truth, BFLOAT16_TOLERANCE
        )
    else:
        yield Check("bfloat16 against the processor", "no bfloat16 units: a run refuses it", None)
    yield repeated(forward, sounds)
    yield batched(forward, sounds)
    yield from memory(place, here, shape)


def forward_on(ready: Mapping[str, Tensor], shape: HubertShape, place: torch.device) -> Forward:
    """Return the network as a function of arrays."""
    import numpy as np
    import torch

    from ...baselines.mert.network import pooled_states

    def forward(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(pooled_states(ready, shape, torch.tensor(sounds, device=place)).cpu(), np.float32)

    return forward


def deviation(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Largest over hidden states: root mean square of the deviation by the spread between sounds.

    Both are ``[sounds, layers, dim]``.
    """
    import numpy as np

    spread = np.sqrt(truth.var(axis=0).mean(axis=-1))
    off = np.sqrt(((found - truth) ** 2).mean(axis=(0, -1)))
    return float((off / np.maximum(spread, 1e-12)).max())


def parity(subject: str, found: NDArray[np.float32], truth: NDArray[np.float32], bound: float) -> Check:
    """Say how far a device's features are from the processor's."""
    off = deviation(found, truth)
    # NaN is not below any bound.
    return Check(subject, f"deviation {off:.2g} of the spread between sounds (bound {bound:g})", off <= bound)


def repeated(forward: Forward, sounds: NDArray[np.float32]) -> Check:
    """Say whether the same sounds give the same bits three times."""
    runs = {forward(sounds).tobytes() for _ in range(3)}
    same = len(runs) == 1
    text = "the same bits three times" if same else f"{len(runs)} different results of three passes"
    return Check("determinism", text, same)


def batched(forward: Forward, sounds: NDArray[np.float32]) -> Check:
    """Say how far a sound in a batch is from the sound alone."""
    import numpy as np

    together = forward(sounds)
    alone = np.concatenate([forward(sounds[i : i + 1]) for i in range(len(sounds))])
    if together.tobytes() == alone.tobytes():
        return Check("batch of 8 against single sounds", "the same bits", True)
    off = deviation(together, alone)
    text = f"deviation {off:.2g} of the spread between sounds (bound {FLOAT32_TOLERANCE:g})"
    return Check("batch of 8 against single sounds", text, off <= FLOAT32_TOLERANCE)


def memory(place: torch.device, ready: Mapping[str, Tensor], shape: HubertShape) -> Iterator[Check]:
    """Try the batch that a run takes, then one that is refused, and what is left after the refusal."""
    import numpy as np
    import torch

    if place.type != "cuda":
        text = "only CUDA tells how much memory is in use, and can be made to refuse more"
        yield Check("out of memory", text, None)
        return
    windows = windows_together(place)
    sounds = np.random.default_rng(0).uniform(-0.5, 0.5, (windows, 30 * SAMPLE_RATE)).astype(np.float32)
    forward = forward_on(ready, shape, place)
    torch.cuda.reset_peak_memory_stats(place)

    def peak() -> float:
        return torch.cuda.max_memory_allocated(place) / 2**30

    def short(share: float) -> None:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(share, place)

    total = torch.cuda.get_device_properties(place).total_memory
    scarce = min(1.0, HELD_BACK * torch.cuda.memory_allocated(place) / total)
    yield from refused(forward, sounds, peak, short, scarce)


def refused(
    forward: Forward,
    sounds: NDArray[np.float32],
    peak: Callable[[], float],
    limit: Callable[[float], None],
    scarce: float,
) -> Iterator[Check]:
    """Yield whether the batch of a run fits, and whether a refusal leaves the device as it was.

    ``peak`` GiB were in use at most; ``limit`` lets the process have the share ``scarce`` of the memory only.
    """
    import torch

    try:
        first = forward(sounds)
    except torch.OutOfMemoryError as error:
        text = f"{len(sounds)} windows of 30 s do not fit: {str(error).splitlines()[0]}"
        yield Check("a run's batch", text, False)
        return
    yield Check("a run's batch", f"{len(sounds)} windows of 30 s fit, {peak():.1f} GiB at most", True)
    limit(scarce)
    try:
        forward(sounds)
        outcome = "was not refused"
    except torch.OutOfMemoryError:
        outcome = "was refused"
    finally:
        limit(1.0)
    again = forward(sounds).tobytes() == first.tobytes()
    bits = f"{'' if again else 'NOT '}the same bits"
    text = f"the batch {outcome} with {scarce:.1%} of the memory; afterwards it gives {bits}"
    yield Check("out of memory", text, outcome == "was refused" and again)


def report(checks: Iterable[Check], speeds: Iterable[Speed], device: str) -> str:
    """Return everything as Markdown for an issue."""
    from ..records.environment import describe_environment, device_words

    about = describe_environment(device)
    marks = {True: "ok", False: "**NOT OK**", None: "not tried"}
    lines = [
        f"### cmbench on {device_words(about)}",
        "",
        f"cmbench {about.cmbench}, Python {about.python}, torch {about.packages['torch']}{_drivers(device)}, "
        f"{about.platform}, {about.created}",
        "",
        "| check | | |",
        "|---|---|---|",
        *(f"| {one.subject} | {marks[one.well]} | {one.text} |" for one in checks),
        "",
        *(f"- {speed_line(one)}" for one in speeds),
    ]
    return "\n".join(lines) + "\n"


def _drivers(device: str) -> str:
    """Versions that decide what a CUDA device computes."""
    import torch

    if not device.startswith("cuda"):
        return ""
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    kind = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    return f" ({kind}, cuDNN {cudnn})"
