"""Every study by name: the files and folders of this folder, then the entry points of other distributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ...plugins import of_folder, of_others
from ..commands.plain import command_of
from .base import Study

ENTRY_POINTS = "cmbench.studies"


@cache
def studies() -> Mapping[str, Study[Any, Any]]:
    """Return every study: those of this folder, then what :func:`...plugins.of_others` finds."""
    own = {study.name: study for study in of_folder(__package__, "STUDY")}
    return {**own, **of_others(ENTRY_POINTS, Study, own, _adopt)}


def _adopt(study: Study[Any, Any], origin: str) -> Study[Any, Any]:
    """Take a study of another distribution; one whose options make no command is left out here, with a warning."""
    command_of(study.name, print, study.options.values(), study.help)
    return replace(study, origin=origin)
