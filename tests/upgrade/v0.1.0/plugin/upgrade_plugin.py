"""A task and an encoder of another distribution."""

from typing import TYPE_CHECKING

from cmbench.baselines.base import Encoder, EncoderCard, EncoderEntry, LoadOptions
from cmbench.errors import Missing, MissingError
from cmbench.tasks.base import Edition, LoadContext, Splits, Task, Track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("makam--low", "makam--high")


def _load_task(task: Task, context: LoadContext) -> Splits:
    folder = context.data_root / "corpus" / "audio" if context.data_root else None
    if folder is None or not folder.is_dir():
        raise MissingError([Missing(what="tones", where=str(folder), source="none", licence="CC0-1.0", command="none")])
    found: dict[str, list[Track]] = {"train": [], "valid": [], "test": []}
    for path in sorted(folder.iterdir()):
        split, number = path.stem.split("-")
        label = LABELS[int(number) % 2]
        found[split].append(Track(id=path.stem, path=path, labels=(label,), group=f"{split}-{int(number) // 2}"))
    return found


TASK = Task(
    name="upgrade_plugin", title="Plug-in", tradition="turkish", description="Low and high tones.",
    labels=LABELS, families={label: "makam" for label in LABELS},
    licence="CC0-1.0", citation="none", access="It is there.",
    editions={"full": Edition("full", LABELS, _load_task)},
)


class Loudness:
    card = EncoderCard(
        name="upgrade-loudness", family="upgrade", sample_rate=8000, layers=1, dim=2, layer_names=("level",),
        min_seconds=0.1, parameters=0, licence="MIT", trained_on=(), weights_sha256="0" * 64, code_version="1",
        preprocessing="none",
    )

    def encode(self, audio: "NDArray[np.float32]") -> "NDArray[np.float32]":
        import numpy as np

        crossings = np.diff(np.signbit(audio), axis=1).mean(axis=1)
        return np.stack([np.abs(audio).mean(1), crossings], axis=1)[:, None].astype(np.float32)


def _load(options: LoadOptions) -> Encoder:
    return Loudness()


ENTRY = EncoderEntry(
    name="upgrade-loudness", summary="Level and crossings.", licence="MIT", source="built in", load=_load
)
