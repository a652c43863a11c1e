"""Records in files and folders: found, read, in an order that a reader expects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ...errors import UsageError
from .record import Record, read_record

T = TypeVar("T")


def iter_records(*places: Path) -> Iterator[Record]:
    """Yield every record in the given files and below the given folders; see :func:`read_records`."""
    return (record for _, record in read_records(*places))


def read_records(*places: Path) -> list[tuple[Path, Record]]:
    """Return every record in the given files and below the given folders with its path, place by place.

    :func:`by_evaluation` has their order.

    Raises:
        UsageError: a place does not exist.
        CmbenchError: a ``.json`` file below a folder is not a record.
    """
    found = ([(path, read_record(path)) for path in record_files(place)] for place in places)
    return [pair for here in found for pair in by_evaluation(here, lambda pair: pair[1])]


def record_files(*places: Path) -> Iterator[Path]:
    """Yield the path of every record in the given files and below the given folders, place by place, there by path.

    Raises:
        UsageError: a place does not exist.
    """
    for place in places:
        if place.is_dir():
            yield from sorted(place.rglob("*.json"))
        elif place.is_file():
            yield place
        else:
            raise UsageError(f"{place} does not exist; name record files, or the folder given to `cmbench run --out`.")


def by_evaluation(found: Iterable[T], record_of: Callable[[T], Record]) -> list[T]:
    """Put the models of one folder into the order in which they were first evaluated.

    ``cmbench run`` evaluates models one after the other as they were named, and the folder's file names have lost that
    order. The records of a model stay in theirs; models that were begun in the same second do too.
    """
    found = list(found)
    begun: dict[tuple[str, str], str] = {}
    for record in map(record_of, found):
        key = (record.model.name, record.model.fingerprint)
        # Moments are written in UTC in one format, so that they sort as texts.
        begun[key] = min(begun.get(key, record.environment.created), record.environment.created)
    order = {key: place for place, key in enumerate(sorted(begun, key=lambda key: begun[key]))}
    return sorted(found, key=lambda one: order[record_of(one).model.name, record_of(one).model.fingerprint])
