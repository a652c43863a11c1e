"""Edition, split and protocol: the same for all numbers that stand side by side, and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass

from ...errors import UsageError
from ...tasks.base import MINI_LABEL
from ...tasks.splits.names import LIMIT_LABEL, is_sample
from .record import Record


@dataclass(frozen=True, order=True)
class Setting:
    """What numbers were measured on and how."""

    edition: str  # ``full``, ``mini`` or ``custom``
    split: str  # ``official``, ``own`` where no publication fixed it, ``group-safe``, or another published one
    protocol: str  # its name

    @classmethod
    def of(cls, record: Record) -> Setting:
        """Return a record's."""
        return cls(record.task.edition, record.task.split, record.protocol.name)

    @property
    def title(self) -> str:
        """Edition, split and protocol in words."""
        return f"{self.edition} edition · {self.split} split · protocol {self.protocol}"

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for the whole of real data."""
        return warning_of(self.edition, self.split)

    @property
    def facts(self) -> dict[str, object]:
        """What a tidy row begins with."""
        return asdict(self) | ({"warning": self.warning} if self.warning else {})


def common_setting(records: Iterable[Record]) -> Setting:
    """Return what all records were measured on and how.

    Raises:
        UsageError: they were not measured alike.
    """
    kinds = {Setting.of(record) for record in records}
    if len(kinds) > 1:
        shown = "; ".join(" / ".join(astuple(kind)) for kind in sorted(kinds))
        raise UsageError(f"The records mix {shown}. Name one with --edition, --split and --protocol.")
    (setting,) = kinds
    return setting


def warning_of(edition: str, split: str = "") -> str:
    """Return what must stand beside every number of an edition and split; empty for the whole of real data."""
    said = (MINI_LABEL if edition == "mini" else "", LIMIT_LABEL if is_sample(split) else "")
    return "; ".join(filter(None, said))
