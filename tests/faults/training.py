"""A pre-training run in the middle, without the minutes that one takes: an old one, written again by this version."""

from __future__ import annotations

import json
from pathlib import Path

from cmbench.baselines.hub.about import NOT_STATED
from cmbench.pretraining.card import Origin
from cmbench.pretraining.recipes.reading import open_recipe
from cmbench.pretraining.start import begun
from cmbench.pretraining.training.checkpoints import Checkpoints
from cmbench.pretraining.training.log import FILE, with_check

RECIPE = Path(__file__).parents[1] / "upgrade" / "v0.1.0" / "recipe.yaml"


def as_written_now(training: Path) -> Path:
    """Give a run of version 0.1.0 the hashes that this version writes."""
    checkpoints = Checkpoints(training / "checkpoints")
    loaded = checkpoints.load()
    assert loaded is not None
    checkpoints.save(*loaded, best=True)
    was = json.loads((training / "start.json").read_text())["weights_sha256"]
    with begun(training, open_recipe(str(RECIPE)).recipe, Origin("start", "here", "mit", NOT_STATED, was)):
        pass
    lines = [json.loads(line) for line in (training / FILE).read_text(encoding="utf-8").splitlines()]
    (training / FILE).write_text("".join(with_check(line) + "\n" for line in lines), encoding="utf-8")
    return training
