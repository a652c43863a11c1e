"""The log of a run for TensorBoard: every number of ``log.jsonl`` as a scalar, and nothing that is not in it.

The log is what counts: when a run begins, is resumed, or is given a board half-way, the board is written anew from the
lines of the log, so that it never shows an update that a resumed run does again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...errors import UsageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
"""Of the event files, beside the log."""

_EVENTS = "events.out.tfevents.*"
_BY_CODEBOOK = ("token_loss", "accuracy")
_OF_A_PASS = ("loss", "mean_accuracy", "cqt_error", "feature_penalty")
_OF_AN_UPDATE = ("learning_rate", "gradient_norm", "seconds")
_FLUSH_SECONDS = 10


def require_tensorboard() -> None:
    """Check that boards can be written, before anything slow.

    Raises:
        UsageError: the package ``tensorboard`` is absent.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'A board needs the package tensorboard: pip install "cmbench[tensorboard]". Without --tensorboard the same '
            "numbers are in training/log.jsonl."
        ) from error


def scalars(line: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    """Yield tag and value of every number in a line of the log.

    Curves of one quantity are side by side: ``loss/train`` beside ``loss/held_out/greek``, and by codebook, from 1 on,
    ``accuracy/held_out/greek/codebook_3``.
    """
    held_out = line["kind"] == "held-out"
    whose = f"held_out/{line['tradition']}" if held_out else "train"
    for name in _OF_A_PASS:
        yield f"{name}/{whose}", cast(float, line[name])
    for name in _BY_CODEBOOK:
        for number, value in enumerate(cast(list[float], line[name]), 1):
            yield f"{name}/{whose}/codebook_{number}", value
    if not held_out:
        for name in _OF_AN_UPDATE:
            yield name, cast(float, line[name])


class EventFiles:
    """The event files of a run.

    Args:
        folder: where they are; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, lines: Iterable[Mapping[str, object]]) -> None:
        """Write what a log holds, in place of what was here.

        Args:
            lines: of the log.
        """
        self.close()
        for file in self._folder.glob(_EVENTS):
            file.unlink()
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, object]) -> None:
        """Write the numbers of a line of the log."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), flush_secs=_FLUSH_SECONDS)
        step, moment = cast(int, line["step"]), cast("float | None", line.get("time"))
        for tag, value in scalars(line):
            self._writer.add_scalar(tag, value, step, walltime=moment)

    def close(self) -> None:
        """Write what is not on disk yet."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
