"""MERT as classes of transformers; :mod:`.registration` makes them known. Importing this loads transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import HubertConfig, HubertModel

from .checkpoint import TRAINING_ONLY
from .planting import plant
from .shape import read_shape
from .streams import hear, placed


class MertConfig(HubertConfig):  # type: ignore[no-untyped-call]
    """HuBERT's configuration, under the name that released MERT and CultureMERT models have."""

    model_type = "mert_model"

    def __init__(self, **settings: Any) -> None:
        # MERT's configurations lack it, and releases of transformers differ in what they do without.
        super().__init__(**{"conv_pos_batch_norm": False, **settings})


class MertModel(HubertModel):  # type: ignore[no-untyped-call]
    """HuBERT with MERT's configuration; what would change the network is refused, tensors of training are left out."""

    config_class = MertConfig
    _keys_to_ignore_on_load_unexpected = [rf"^{name.replace('.', '[.]')}" for name in TRAINING_ONLY]  # noqa: RUF012

    def __init__(self, config: Any) -> None:
        shape = read_shape(config.to_dict(), Path(config.name_or_path or "a MERT model") / "config.json")
        super().__init__(config)
        self._streams = shape.streams
        for stream in self._streams:
            for name, size in stream.tensors().items():
                plant(self, name, torch.zeros(size))
        self._heard: Any = None
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_values: Any, *others: Any, **settings: Any) -> Any:
        """Run the network; what its streams hear stands in every frame that enters the Transformer."""
        if self._streams:
            ready = dict(self.named_parameters())
            self._heard = hear(ready, self._streams, input_values)
        return super().forward(input_values, *others, **settings)

    def _mask_hidden_states(self, hidden_states: Any, *others: Any, **settings: Any) -> Any:
        states = super()._mask_hidden_states(hidden_states, *others, **settings)
        return placed(states, self._heard) if self._streams else states
