"""The one model card of every folder that is written, and the licences of weights: which of several binds a mixture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

TEMPLATE = """\
---
{{ card_data }}
---

# {{ title }}

{% for part in parts %}{{ part }}

{% endfor %}## Use

```python
{% if streams %}import cmbench  # the network has streams, which HubertModel lacks
from transformers import AutoModel

cmbench.register()
model = AutoModel{% else %}from transformers import HubertModel

model = HubertModel{% endif %}.from_pretrained("path/to/this/folder", dtype="float32").eval()
states = model(audio, output_hidden_states=True).hidden_states  # audio: [batch, samples] at {{ rate }} Hz
```

`cmbench run --model path/to/this/folder --tasks all` evaluates it. No remote code is needed.
"""

_HEARD = "validation and test tracks of "

SEE_SOURCES = "see sources"
"""Where no single licence is known to cover all of several."""

# Each covers the terms of those before it. Share-alike without non-commercial is not here: it contradicts NC.
_CHAIN = ("cc0-1.0", "isc", "mit", "apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")


def hub_licence(licence: str) -> str:
    """Return the hub's identifier of a licence; ``other`` if it has none."""
    plain = "-".join(licence.lower().split())
    return plain if plain in _CHAIN else "other"


def most_restrictive(licences: Iterable[str]) -> str:
    """Return the licence, of those given, whose terms cover all the others.

    :data:`SEE_SOURCES` where one is not stated, or where several are given and it is not known which covers which.
    """
    given = sorted(set(licences))
    ranks = {licence: _CHAIN.index(hub) for licence in given if (hub := hub_licence(licence)) != "other"}
    if given and len(ranks) == len(given):
        return max(ranks, key=lambda licence: ranks[licence])
    alone = len(given) == 1 and given[0] not in ("not stated", "other")
    return given[0] if alone else SEE_SOURCES


def heard(task: str) -> str:
    """Return the corpus that a model lists if it was trained on validation or test tracks of a task."""
    return f"{_HEARD}{task}"


def contaminated_tasks(trained_on: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that a model with these corpora cannot be judged by, sorted."""
    return tuple(sorted({corpus[len(_HEARD) :] for corpus in trained_on if corpus.casefold().startswith(_HEARD)}))


def model_card(
    title: str,
    parts: Sequence[str],
    rate: int,
    *,
    licence: str,
    trained_on: Sequence[str] | None,
    base_model: str | list[str] | None = None,
    relation: str | None = None,
    tags: Sequence[str] = (),
    streams: bool = False,
    **more: Any,
) -> str:
    """Return ``README.md`` of a model folder: front matter as the hub reads it, what the model is, how to load it.

    ``rate`` is in Hz; ``trained_on`` is ``None`` where the corpora are not stated; ``streams`` says that the network
    has what plain HuBERT lacks; ``more`` goes into the front matter.
    """
    from huggingface_hub import ModelCard, ModelCardData

    known = hub_licence(licence)
    front = ModelCardData(
        license=known,
        license_name="-".join(licence.lower().split()) if known == "other" else None,
        base_model=base_model,
        base_model_relation=relation,
        library_name="transformers",
        pipeline_tag="audio-classification",
        tags=["music", "feature-extraction", *tags, "cmbench"],
        trained_on=None if trained_on is None else list(trained_on),
        **more,
    )
    card = ModelCard.from_template(front, template_str=TEMPLATE, title=title, parts=parts, rate=rate, streams=streams)
    return f"{str(card).rstrip()}\n"


def hub_name(source: str, name: str) -> str:
    """Return ``owner/name`` where a model came from the hub, else its own name."""
    return source.removeprefix("hf:").partition("@")[0].partition(" ")[0] if source.startswith("hf:") else name


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
