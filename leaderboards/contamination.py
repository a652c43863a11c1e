"""Models that heard test tracks, and say so: marked wherever they are shown, and never ranked.

`cmbench pretrain --allow-contamination` writes the mark into a model's card, as ``pretraining: {contaminated: true}``,
into its ``pretraining.json``, and names the tasks among what the model was trained on. Those names go with the model:
into the card of every encoder, of every merge and of whatever is trained further.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..baselines.cards import contaminated_tasks
from ..errors import CmbenchError
from .untrusted import read_json

FACTS = "pretraining.json"
"""The file beside a card in which `cmbench pretrain` says what was done."""


def marks(card: Mapping[str, object], corpora: Iterable[str]) -> Iterator[str]:
    """Yield in words every mark of contamination that a model carries."""
    trained = card.get("pretraining")
    if card.get("contaminated") is True or (isinstance(trained, Mapping) and trained.get("contaminated") is True):
        yield "its card says that it is contaminated"
    listed = card.get("trained_on")
    named = (*corpora, *(listed if isinstance(listed, list) else [listed]))
    for name in dict.fromkeys(str(one) for one in named):
        if contaminated_tasks([name]):
            yield f"it was trained on {name!a}"


def marks_beside(card: Path) -> Iterator[str]:
    """Yield the mark that `cmbench pretrain` left in the folder of a model card, if it did.

    Raises:
        CmbenchError: the file that would have it cannot be read.
    """
    facts = card.with_name(FACTS)
    if not facts.is_file():
        return
    found = read_json(facts)
    if not isinstance(found, dict):
        raise CmbenchError(f"{facts}: it is no JSON object, so it cannot say whether the model heard test tracks.")
    if found.get("contaminated") is True:
        yield f"{FACTS} beside its card says that it is contaminated"
