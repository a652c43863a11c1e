"""MERT folders in transformers: ``AutoConfig`` and ``AutoModel`` read them without the code of their repository."""

from __future__ import annotations

from functools import cache


@cache
def register() -> None:
    """Let transformers read folders and repositories whose ``model_type`` is ``mert_model``, without remote code.

    ``AutoConfig`` gives a kind of ``HubertConfig``, ``AutoModel`` a kind of ``HubertModel``, from files with the halves
    of the weight norm under their old names (``weight_g``, ``weight_v``) or their new ones. The means over time of its
    ``hidden_states`` are what ``cmbench.load_model(...).encode`` gives.

    .. code-block:: python

        import cmbench
        from transformers import AutoModel

        cmbench.register()
        model = AutoModel.from_pretrained("m-a-p/MERT-v1-95M")

    A second call changes nothing.
    """
    from transformers import AutoConfig, AutoModel

    from .automodel import MertConfig, MertModel

    AutoConfig.register(MertConfig.model_type, MertConfig)
    AutoModel.register(MertConfig, MertModel)
