"""The processes of a run: one, or as many as ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other. Torch's own 10 minutes (NCCL) are less than the first process may take to fit
a teacher, or one of them to make the tokens of a long recording. One that ends takes the others with it anyway."""


@dataclass(frozen=True)
class Group:
    """One process among those of a run.

    Attributes:
        rank: its number.
        size: number of them.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes."""
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()


def launched() -> tuple[int, int, int]:
    """Return rank, number of processes and local rank as ``torchrun`` sets them; 0, 1, 0 without it."""
    given = os.environ
    return int(given.get("RANK", 0)), int(given.get("WORLD_SIZE", 1)), int(given.get("LOCAL_RANK", 0))


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Join the processes that ``torchrun`` started, with gloo on a CPU and NCCL on CUDA.

    Raises:
        UsageError: this torch cannot.
    """
    rank, size, _ = launched()
    if size == 1:
        yield Group()
        return
    import torch.distributed as dist

    if not dist.is_available():
        raise UsageError("This build of torch cannot run several processes; start one, without torchrun.")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Group(rank, size)
    finally:
        dist.destroy_process_group()
