"""MERT as classes of transformers; :mod:`.registration` makes them known. Importing this loads transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import HubertConfig, HubertModel

from .checkpoint import TRAINING_ONLY
from .shape import read_shape


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
        read_shape(config.to_dict(), Path(config.name_or_path or "a MERT model") / "config.json")
        super().__init__(config)
