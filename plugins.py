"""What is found by name: the files of a folder, then what other distributions offer as entry points.

The one rule for tasks, encoders, views and studies: what is wrong with a plug-in is said in a warning, and it is left
out.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from .errors import CmbenchError, UsageError

logger = logging.getLogger(__name__)


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """What it is asked for by."""


T = TypeVar("T", bound=Named)


def of_folder(package: str, attribute: str) -> Iterator[Any]:
    """Yield what the modules and folders of a package define under a name, in the order of their own names."""
    path = importlib.import_module(package).__path__
    for name in sorted(module.name for module in pkgutil.iter_modules(path)):
        module = importlib.import_module(f"{package}.{name}")
        if hasattr(module, attribute):
            yield getattr(module, attribute)


def of_others(
    group: str, kind: type[T], known: Container[str], adopt: Callable[[T, str], T] = lambda one, _: one
) -> dict[str, T]:
    """Return by name what the entry points of a group give: one of a kind each, or a mapping of them.

    ``adopt`` takes one of them and where it is from (`` of distribution …``), and returns what is kept of it.
    """
    found: dict[str, T] = {}
    for point in entry_points(group=group):
        origin = f" of distribution {point.dist.name}" if point.dist else ""
        try:
            offered = point.load()
            for one in offered.values() if isinstance(offered, Mapping) else (offered,):
                if not isinstance(one, kind):
                    raise UsageError(f"it gives {type(one).__name__}, not {kind.__name__}")
                if one.name in known or one.name in found:
                    raise UsageError(f"there is a {one.name!r} already")
                found[one.name] = adopt(one, origin)
        except Exception as error:
            why = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            place = f"Entry point {point.value!r} of group {group}{origin}"
            logger.warning("%s is left out: %s. Mend or uninstall it.", place, why)
    return found


@contextmanager
def answering(sentence: str) -> Iterator[None]:
    """Let whatever goes wrong in something of another distribution be an error for people.

    ``sentence`` says what cannot be done, and where that is from (``View tempo of distribution … cannot be shown``).

    Raises:
        CmbenchError: what went wrong; errors for people, and a reader that left early, are handed on.
    """
    try:
        yield
    except (CmbenchError, BrokenPipeError):
        raise
    except Exception as error:
        raise CmbenchError(f"{sentence} ({type(error).__name__}: {error}).") from error
