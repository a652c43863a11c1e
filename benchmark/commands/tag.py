"""``cmbench tag``: new recordings, with the heads of a record. Parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError
from ...terminal import console, escape, new_table
from .options import Device, Offline

if TYPE_CHECKING:
    from rich.console import Console

    from ..probing.tagging import Tagged, Tagger
    from ..records.record import Record

TAG_EXAMPLES = (
    "**Examples**\n\n"
    "`cmbench tag new/*.wav --record results/mfcc/my_corpus.custom.own.cmbench-1.json`\n\n"
    "`cmbench tag ~/new --record results/mfcc --top 1 --out tags.csv`"
)


def tag(
    files: Annotated[list[str], typer.Argument(help="Recordings, or folders of recordings.", metavar="FILE…")],
    record: Annotated[Path, typer.Option("--record", "-r", help="A record, or a folder with one record in it.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model's folder, if its name does not say where it is.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write every probability here, as CSV.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Labels of each family that are shown.")] = 3,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Tag new recordings with the trained heads that lie beside a record.

    Probabilities are calibrated on the validation split of the record's task. Exit code 1 if a recording cannot be
    used.
    """
    from ...baselines.base import LoadOptions
    from ...files import write_atomically
    from ..models import Encoders
    from ..probing.heads import heads_path
    from ..probing.tagging import open_tagger
    from ..probing.tagging import tag as tag_files
    from ..records.record import read_record

    path = _one_record(record)
    made = read_record(path)
    tagger = open_tagger(heads_path(path), made)
    paths = _recordings(files)
    low = made.model.name.endswith("@bfloat16")
    encoders = Encoders(LoadOptions(device, offline, "bfloat16" if low else "float32"))
    name = model or made.model.name.removesuffix("@bfloat16")
    encoder = encoders.encoder(name)
    if encoder.card.fingerprint != made.model.fingerprint:
        raise UsageError(
            f"The heads were trained on features of {made.model.name} ({made.model.fingerprint}); {name} here is "
            f"another ({encoder.card.fingerprint}): other weights, or another version of its code. Run it again."
        )
    found: list[Tagged] = []
    screen = console()
    for one in tag_files(tagger, encoder, paths, encoders.device, encoders.batch(name)):
        found.append(one)
        _print_one(one, tagger, top, screen)
    for sentence in about(made, tagger):
        screen.print(sentence, highlight=False, markup=False)
    if out is not None:
        write_atomically(out, csv_of(found, tagger, made).encode("utf-8-sig"))
        typer.echo(f"Written: {out}")
    if any(one.probabilities is None for one in found):
        raise typer.Exit(1)


def about(record: Record, tagger: Tagger) -> list[str]:
    """Return what must be said of the probabilities."""
    from ...tasks.base import MINI_LABEL

    task, calibration = record.task, tagger.heads.calibration
    where = f"{record.model.name} on {task.name} ({task.edition}, {task.split}, {record.protocol.name})"
    heading = (
        f"Uncalibrated: the validation split has too few answers. Heads of {where}."
        if calibration is None
        else f"Probabilities calibrated on {calibration.tracks} validation tracks (one slope and offset for all "
        f"labels). Heads of {where}."
    )
    return [heading, *([MINI_LABEL] if task.edition == "mini" else [])]


def csv_of(found: Sequence[Tagged], tagger: Tagger, record: Record) -> str:
    """Return a row for each recording and label; the column of probabilities says whether they are calibrated."""
    import csv
    import io

    column = "calibrated_probability" if tagger.heads.calibration else "uncalibrated_probability"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "task", "edition", "file", "seconds", "known_from", "family", "label", column, "note"])
    for one in found:
        facts = [record.model.name, record.task.name, record.task.edition, one.path, f"{one.seconds:.2f}", one.known]
        note = "; ".join(one.notes)
        if one.probabilities is None:
            writer.writerow([*facts, "", "", "", note])
            continue
        for family, label, value in zip(tagger.families, tagger.labels, one.probabilities, strict=True):
            writer.writerow([*facts, family, label, f"{value:.4f}", note])
    return text.getvalue()


def _one_record(place: Path) -> Path:
    from ..records.folder import record_files

    found = list(record_files(place))
    if len(found) != 1:
        listed = "".join(f"\n  {path}" for path in found[:20])
        raise UsageError(f"{place}: one record is needed, and there are {len(found)}; name one of them.{listed}")
    return found[0]


def _recordings(files: Sequence[str]) -> list[Path]:
    from ...tasks.own.recordings import find_recordings
    from ...written import find_path

    found: list[Path] = []
    for path in (find_path(file) for file in files):
        if path.is_dir():
            inside = find_recordings(path)
            found += [path / name for name in inside.paths]
            if not inside.paths:
                raise UsageError(f"{path}: no file in this folder has the ending of a recording.")
        else:
            found.append(path)
    return found


def _print_one(one: Tagged, tagger: Tagger, top: int, screen: Console) -> None:
    said = f"  [dim]{one.seconds:.0f} s[/]" if one.probabilities is not None else "  [red]cannot be used[/]"
    screen.print(f"[bold]{escape(str(one.path))}[/]{said}", highlight=False, soft_wrap=True)
    if one.known:
        screen.print(f"  in the {one.known} split of the heads: they know this recording", highlight=False)
    for note in one.notes:
        screen.print(f"  {escape(note)}", highlight=False)
    if one.probabilities is None:
        return
    grid = new_table(show_header=False, padding=(0, 2))
    for family in dict.fromkeys(tagger.families):
        mine = [i for i, name in enumerate(tagger.families) if name == family]
        best = sorted(mine, key=lambda i: -one.probabilities[i])[:top]  # type: ignore[index]
        cells = (f"{escape(tagger.labels[i].removeprefix(f'{family}--'))} {one.probabilities[i]:.2f}" for i in best)
        grid.add_row(escape(family), *cells)
    screen.print(grid)
