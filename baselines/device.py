"""Where torch encoders compute: the device, and the settings of the processor's side of torch."""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    import torch

# Parameters of glibc's mallopt(3), from malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is this machine's accelerator if it has one.

    On the CPU this also raises glibc's allocator thresholds, see :func:`keep_freed_memory`. On CUDA convolutions are
    kept from TF32, which would leave float32 in name only.

    Raises:
        UsageError: there is no such device on this machine.
    """
    import torch

    if name == "auto":
        here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        name = here.type if here is not None else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"Device {name!r} cannot be used here ({reason}). Try --device cpu or --device auto."
        ) from error
    if device.type == "cpu":
        keep_freed_memory()
    elif device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return device


def gains_from_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware.

    True of CUDA devices that say so. Elsewhere bfloat16 is emulated or its gain is not known: on a processor without
    such units it was measured 32 times slower than float32.
    """
    import torch

    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep the memory of freed tensors for the next window, once per process.

    By default every large tensor is a fresh mapping whose pages the kernel must clear again: a sixth to a third of the
    time of a forward pass on a CPU. Nothing is changed where the user has set an allocator variable or preloads
    another allocator.

    Returns:
        Whether the thresholds were raised.
    """
    chosen = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD")
    if platform.libc_ver()[0] != "glibc" or any(os.environ.get(name) for name in chosen):
        return False
    import ctypes

    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
