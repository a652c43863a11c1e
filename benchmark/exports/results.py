"""``cmbench export results``: the main table as LaTeX and Markdown, tidy CSV, formats of other result stores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import safe_name, write_atomically, write_folder_files
from ..records.sections import Section, sections
from ..views.scores.results import main_tables, tidy_csv
from ..views.tables import latex_tables, markdown_tables

if TYPE_CHECKING:
    from ..records.record import Record


def result_files(
    records: Sequence[Record], form: str, *, dataset: str | None, organisation: str, relationship: str
) -> dict[str, bytes]:
    """Return the files of an export, by relative path; a single one for ``latex``, ``csv`` and ``markdown``.

    ``form`` is ``latex``, ``csv``, ``markdown``, ``eee`` or ``eval-results``; ``dataset`` is for the latter.

    Raises:
        UsageError: there are no records, the format has nothing to say of any, two contradict each other, or
            ``dataset`` is missing.
    """
    from .every_eval_ever import eee_files

    found = sections(records)
    if form == "latex":
        return {"results.tex": latex_tables(main_tables(found)).encode()}
    if form == "markdown":
        return {"results.md": markdown_tables(main_tables(found)).encode()}
    if form == "csv":
        return {"results.csv": tidy_csv(found).encode()}
    if form == "eee":
        made = eee_files(found, organisation, relationship)
        files = {p: json.dumps(e, ensure_ascii=False, allow_nan=False, indent=1) + "\n" for p, e in made.items()}
    elif dataset is None:
        raise UsageError("--format eval-results refers to a data set on the hub; name it with --dataset owner/name.")
    else:
        files = _eval_results(found, dataset)
    if not files:
        raise UsageError(
            f"Nothing to export: --format {form} takes scores, and none of the {len(records)} records has one that is "
            "defined. `cmbench report` shows why; --format csv writes the reasons."
        )
    return {path: text.encode() for path, text in files.items()}


def write_results(files: Mapping[str, bytes], out: Path, *, folder: bool) -> list[Path]:
    """Write an export and return the paths.

    Raises:
        UsageError: ``out`` is a file where a folder is needed, or the other way round.
    """
    if folder == out.is_file() and out.exists():
        raise UsageError(f"{out} is a {'file; name a folder' if folder else 'folder; name a file'}.")
    if folder:
        write_folder_files(out, files)
        return [out / name for name in files]
    for content in files.values():
        write_atomically(out, content)
    return [out]


def _eval_results(found: Sequence[Section], dataset: str) -> dict[str, str]:
    """One file for each model and section: what was measured differently never shares one."""
    import yaml

    from .cards import eval_results

    files = {}
    for section in found:
        for row in section.rows:
            entries = eval_results([record for _, record in section.records_of(row)], dataset)
            if entries:
                path = PurePosixPath(safe_name(row.name)) / ".eval_results" / f"cmbench-{safe_name(section.slug)}.yaml"
                files[str(path)] = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    return files
