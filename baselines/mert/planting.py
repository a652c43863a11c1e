"""Parameters of a module under the names that they have in a file."""

from __future__ import annotations

from torch import Tensor, nn


def plant(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Register a parameter under a dotted name."""
    *path, last = name.split(".")
    for step in path:
        if step not in module._modules:
            module.add_module(step, nn.Module())
        child = module._modules[step]
        assert child is not None
        module = child
    module.register_parameter(last, nn.Parameter(tensor.detach().clone()))
