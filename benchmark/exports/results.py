"""``cmbench export results``: the main table as LaTeX and Markdown, tidy CSV, formats of other result stores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import safe_name, write_atomically, write_folder_files
from ..records.folder import records_frame
from ..records.sections import ABSENT, HEADLINE, METRIC_TITLES, Column, Row, Section, sections
from ..views.tables import ViewTable, csv_cell, latex_tables, markdown_tables, not_run, not_scored
from ..views.words import percent, with_interval

if TYPE_CHECKING:
    from ..records.record import Record


def result_files(
    records: Sequence[Record], form: str, *, dataset: str | None, organisation: str, relationship: str
) -> dict[str, bytes]:
    """Return the files of an export, by relative path; a single one for ``latex``, ``csv`` and ``markdown``.

    Args:
        records: what to export.
        form: ``latex``, ``csv``, ``markdown``, ``eee`` or ``eval-results``.
        dataset: for ``eval-results``: ``owner/name`` of the benchmark's data set on the hub.
        organisation: for ``eee``: who evaluated.
        relationship: for ``eee``: of who evaluated to the models.

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
        files = eee_files(found, organisation, relationship)
        return _something({path: (json.dumps(e, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
                           for path, e in files.items()}, form, len(records))  # fmt: skip
    if dataset is None:
        raise UsageError("--format eval-results refers to a data set on the hub; name it with --dataset owner/name.")
    return _something(_eval_results(found, dataset), form, len(records))


def _something(files: dict[str, bytes], form: str, records: int) -> dict[str, bytes]:
    if not files:
        raise UsageError(
            f"Nothing to export: --format {form} takes scores, and none of the {records} records has one that is "
            "defined. `cmbench report` shows why; --format csv writes the reasons."
        )
    return files


def write_results(files: Mapping[str, bytes], out: Path, *, folder: bool) -> list[Path]:
    """Write an export and return the paths.

    Args:
        files: by relative path.
        out: the folder, or the one file.
        folder: which of the two.

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


def main_tables(found: Sequence[Section]) -> list[ViewTable]:
    """Return, for each section, models by tasks: ROC-AUC / AP with their mean, then each with its interval, percent."""
    tables = []
    for section in found:
        notes = [note for column in section.columns for note in not_run(section, column)]
        notes += [note for record in section.cells.values() for note in not_scored(record)]
        tables.append(
            ViewTable(
                title="ROC-AUC / AP, percent, mean over labels and seeds; mean: of all cells",
                source=section.title,
                warning=section.warning,
                columns=("model", *(_head(column) for column in section.columns), "mean"),
                rows=tuple(_both(section, row) for row in section.rows),
                notes=tuple(dict.fromkeys(notes)),
            )
        )
        tables += [
            ViewTable(
                title=f"{METRIC_TITLES[metric]}, percent [{section.interval_name}]",
                source=section.title,
                warning=section.warning,
                columns=("model", *(_head(column) for column in section.columns)),
                rows=tuple(_one(section, row, metric) for row in section.rows),
            )
            for metric in HEADLINE
        ]
    return tables


def _head(column: Column) -> str:
    return f"{column.name}\n(n={column.test_tracks}, {column.label_count})"


def _both(section: Section, row: Row) -> tuple[str, ...]:
    cells = []
    for column in section.columns:
        found = [section.metric(row, column, name) for name in HEADLINE]
        cells.append(" / ".join(percent(m.value) for m in found if m) or ABSENT)
    mean = section.mean(row, *HEADLINE)
    shown = percent(mean.value) if mean.value is not None else f"{ABSENT} ({mean.present}/{mean.total})"
    return (row.name, *cells, shown)


def _one(section: Section, row: Row, name: str) -> tuple[str, ...]:
    found = [section.metric(row, column, name) for column in section.columns]
    return (row.name, *(with_interval(m.value, m.interval) if m else ABSENT for m in found))


def tidy_csv(found: Sequence[Section]) -> str:
    """Return one row for each record and metric, as fractions; what is not defined is empty, with the reason."""
    records = [record for section in found for record in section.cells.values()]
    frame = records_frame(records)
    warnings = [section.warning for section in found for record in section.cells.values() for _ in record.metrics]
    frame["reason"] = [metric.reason or "" for record in records for metric in record.metrics.values()]
    frame["model_fingerprint"] = [r.model.fingerprint for r in records for _ in r.metrics]
    frame["split_sha256"] = [r.task.split_sha256 for r in records for _ in r.metrics]
    frame["label_sha256"] = [r.task.label_sha256 for r in records for _ in r.metrics]
    frame["protocol_sha256"] = [r.protocol.sha256 for r in records for _ in r.metrics]
    frame["warning"] = warnings
    return frame.map(csv_cell).to_csv(index=False, lineterminator="\n")


def _eval_results(found: Sequence[Section], dataset: str) -> dict[str, bytes]:
    """One file for each model and section: what was measured differently never shares one."""
    import yaml

    from .cards import eval_results

    files = {}
    for section in found:
        for row in section.rows:
            entries = eval_results([record for _, record in section.records_of(row)], dataset)
            if entries:
                path = PurePosixPath(safe_name(row.name)) / ".eval_results" / f"cmbench-{safe_name(section.slug)}.yaml"
                files[str(path)] = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True).encode()
    return files
