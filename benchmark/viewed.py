"""Views from Python: what ``cmbench report`` and ``cmbench compare`` show, as objects that a notebook shows too."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import unknown_name
from ..terminal import console

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from .views.base import View
    from .views.changes import Found
    from .views.transfer import Transfer

T = TypeVar("T")

Place = str | os.PathLike[str]

WIDTH = 140
"""Columns of what is shown in a notebook."""


@dataclass(frozen=True, repr=False)
class ViewResult(Generic[T]):
    """What a view made of records, most often one thing for each edition, split and protocol.

    It is read like a sequence, and prints as the command does, in the terminal and in notebooks.
    """

    view: View[T]  # that made it
    found: tuple[T, ...]  # what it made

    def __getitem__(self, place: int) -> T:
        """Return one of what the view made."""
        return self.found[place]

    def __len__(self) -> int:
        """How many things the view made."""
        return len(self.found)

    def __repr__(self) -> str:
        """Return what the command prints."""
        return self._printed().export_text().rstrip() or f"{self.view.name}: nothing to show"

    def _repr_html_(self) -> str:
        return self._printed().export_html(inline_styles=True, code_format=_PRE)

    def _printed(self) -> Console:
        screen = console(record=True, file=io.StringIO(), width=WIDTH, force_jupyter=False)
        for one in self.found:
            self.view.print(one, screen)
        return screen

    def frame(self) -> pd.DataFrame:
        """Return the tidy rows that the view writes as CSV, one below the other; fractions, missing where undefined."""
        import pandas as pd

        return pd.DataFrame([row for one in self.found for rows in self.view.rows(one).values() for row in rows])

    def write(self, folder: Place) -> list[Path]:
        """Write the view's tables (LaTeX, Markdown), rows (CSV) and figures (SVG, PNG), and return their paths."""
        from .views.base import write_view

        return [path for one in self.found for path in write_view(self.view, one, Path(folder))]


_PRE = '<pre style="font-family:monospace;line-height:1.2;white-space:pre;overflow-x:auto">{code}</pre>'


def view(
    name: str,
    *places: Place,
    edition: str | None = None,
    split: str | None = None,
    protocol: str | None = None,
    **options: Any,
) -> ViewResult[Any]:
    """Show records as ``cmbench report NAME`` does.

    Args:
        name: of a view: ``scores``, ``layers``, ``labels``, ``families``, ``calibration``, ``cost`` …
        places: files and folders of records.
        edition: only records of it.
        split: only records on it.
        protocol: only records under it.
        options: of the view, as ``cmbench report NAME --help`` has them.

    Raises:
        UsageError: there is no such view or option, or no such record.
        CmbenchError: predictions are missing, changed or damaged.
    """
    from .views.registry import views

    known = views()
    if name not in known:
        raise unknown_name("view", name, known, "cmbench report --help")
    found = known[name]
    if unknown := options.keys() - found.parameters.keys():
        raise unknown_name(f"option of {name}", min(unknown), found.parameters, f"cmbench report {name} --help")
    return ViewResult(found, found.of([Path(place) for place in places], (edition, split, protocol), **options))


def compare(
    first: Place,
    *others: Place,
    edition: str | None = None,
    split: str | None = None,
    protocol: str | None = None,
    resamples: int = 1000,
    bound: float = 1.0,
    labels: bool = True,
) -> ViewResult[Found]:
    """Compare models on the same tracks: paired differences with intervals, per task, family and label.

    ``compare(a, b)[0].tasks`` has the numbers, ``.frame()`` a row for each. With three models or more the
    last element has the places that each may have.

    Args:
        first: records of the first model, or their folder.
        others: the same of each model to compare with it.
        edition: only records of it.
        split: only records on it.
        protocol: only records under it.
        resamples: of whole groups (bootstrap).
        bound: changes smaller than this many points count as none.
        labels: also every family and label.

    Raises:
        UsageError: the models have no task in common, or were measured differently; the message says how.
        CmbenchError: predictions are missing, changed or damaged.
    """
    which = {"edition": edition, "split": split, "protocol": protocol}
    paths = [Path(place) for place in others]
    return view("changes", **which, first=Path(first), others=paths, resamples=resamples, bound=bound, labels=labels)


def transfer(
    *places: Place,
    base: str | None = None,
    in_culture: Mapping[str, Iterable[str]] | None = None,
    edition: str | None = None,
    split: str | None = None,
    protocol: str | None = None,
    resamples: int = 1000,
) -> ViewResult[Transfer]:
    """Show models by tasks, and what each learnt against a base; without places the paper's table, as reported.

    Args:
        places: files and folders of records.
        base: model to compare with; the first if not given.
        in_culture: model -> traditions that it was trained on; read from its card if not given.
        edition: only records of it.
        split: only records on it.
        protocol: only records under it.
        resamples: of whole groups (bootstrap).

    Raises:
        UsageError: there is no such record or base, or the records were measured differently.
        CmbenchError: predictions are missing, changed or damaged.
    """
    pairs = [f"{model}={','.join(traditions)}" for model, traditions in (in_culture or {}).items()]
    options = {"base": base, "in_culture": pairs or None, "reported": not places, "resamples": resamples}
    return view("transfer", *places, edition=edition, split=split, protocol=protocol, **options)


def list_models() -> list[str]:
    """Return the names of all models; ``cmbench models`` says what each is. Folders and the hub's have no name here."""
    from ..baselines.registry import registry

    return list(registry())


def list_tasks() -> list[str]:
    """Return the names of all tasks, those that other packages add too; ``cmbench tasks`` says what each is."""
    from ..tasks.registry import registry

    return list(registry())
