"""Every view by name: the files and folders of this folder, then the entry points of other distributions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, wraps
from typing import Any

from ...plugins import answering, of_folder, of_others
from .base import Block, Scope, View

ENTRY_POINTS = "cmbench.views"

logger = logging.getLogger(__name__)


@cache
def views() -> Mapping[str, View[Any]]:
    """Return every view: those of this folder, then what :func:`...plugins.of_others` finds."""
    own = {view.name: view for view in of_folder(__package__, "VIEW")}
    return {**own, **of_others(ENTRY_POINTS, View, own, _adopt)}


def _adopt(view: View[Any], origin: str) -> View[Any]:
    """Take a view of another distribution: what goes wrong in it is said to be wrong there, and spoils no page."""

    def blocks(scope: Scope) -> Iterator[Block]:
        try:
            yield from list(view.page(scope))
        except Exception as error:
            logger.warning(
                "View %s%s is left out of the page (%s: %s).", view.name, origin, type(error).__name__, error
            )

    return replace(view, compute=_named(view.compute, f"View {view.name}{origin}"), blocks=blocks)


def _named(compute: Callable[..., Iterable[Any]], name: str) -> Callable[..., Iterable[Any]]:
    @wraps(compute)
    def computed(**given: object) -> list[Any]:
        with answering(f"{name} cannot be shown"):
            return list(compute(**given))

    return computed
