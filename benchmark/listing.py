"""Tables of what there is: tasks, models, stores."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from ..baselines.base import EncoderCard, EncoderEntry
    from ..tasks.base import Task
    from .upkeep import StoreSummary


def print_tasks(tasks: Iterable[Task], console: Console) -> None:
    """Print one line for each task."""
    table = Table("task", "tradition", "labels", "train", "valid", "test", "editions", box=None, header_style="bold")
    for task in tasks:
        counts = [str(task.counts.get(split, "–")) for split in ("train", "valid", "test")]
        table.add_row(task.name, task.tradition, str(len(task.labels)), *counts, ", ".join(sorted(task.editions)))
    console.print(table)
    console.print("`cmbench tasks show NAME` tells more. Tasks of your own: `--tasks path/to/task.yaml`.", markup=False)


def print_task(task: Task, console: Console) -> None:
    """Print a task: labels by family with support, counts, licence, citation, access, notes."""
    console.print(f"[bold]{escape(task.title)}[/] ({task.name}, {task.tradition})", highlight=False)
    if task.description:
        console.print(escape(task.description), highlight=False)
    console.print()
    table = Table("family", "label (positives in the test split)", box=None, header_style="bold")
    families = dict.fromkeys(task.families[label] for label in task.labels)
    for family in families:
        labels = [label for label in task.labels if task.families[label] == family]
        shown = (f"{label} ({task.test_support[label]})" if label in task.test_support else label for label in labels)
        table.add_row(f"{family} ({len(labels)})", escape(", ".join(shown)))
    console.print(table)
    facts = {
        "tracks": ", ".join(f"{split} {count}" for split, count in task.counts.items()) or "as the task's file lists",
        "cap": "whole tracks" if task.max_track_seconds is None else f"first {task.max_track_seconds:g} s of a track",
        "licence": task.licence,
        "citation": task.citation,
        "audio": task.access,
    }
    for edition in task.editions.values():
        if edition.other_splits:
            facts[f"splits of {edition.name}"] = ", ".join((edition.split_name, *edition.other_splits))
        if len(edition.labels) < len(task.labels):
            facts[edition.name] = f"{len(edition.labels)} labels: {', '.join(edition.labels)}"
    console.print()
    for title, text in facts.items():
        if text:
            console.print(f"[bold]{title}[/]  {escape(text)}", highlight=False)
    for note in task.notes:
        console.print(f"[bold]note[/]  {escape(note)}", highlight=False)


VARIANT = "@marble-norm"
"""Ending of the names of encoders that are variants of others; listed once for all."""


def print_models(entries: Iterable[EncoderEntry], console: Console) -> None:
    """Print one line for each model."""
    table = Table(box=None, header_style="bold")
    table.add_column("model", no_wrap=True)
    for title in ("what it is", "licence", "weights"):
        table.add_column(title)
    variants = False
    for entry in entries:
        if entry.name.endswith(VARIANT):
            variants = True
            continue
        table.add_row(*(escape(text) for text in (entry.name, entry.summary, entry.licence, entry.source)))
    console.print(table)
    if variants:
        console.print(f"NAME{VARIANT} normalises the input of a MERT model as MARBLE does.", markup=False)
    console.print("`--model path/to/folder` takes a folder in Hugging Face format, `--model hf:owner/name` the hub's.")


def print_model(card: EncoderCard, console: Console) -> None:
    """Print an encoder's card."""
    facts = {
        "family": card.family,
        "description": card.description,
        "sample rate": f"{card.sample_rate} Hz",
        "hidden states": f"{card.layers} of {card.dim}: {', '.join(card.layer_names)}",
        "shortest window": f"{card.min_seconds:.3g} s",
        "parameters": f"{card.parameters:,}",
        "trained on": ", ".join(card.trained_on) or "nothing",
        "input": card.preprocessing,
        "arithmetic": card.dtype,
        "licence": card.licence,
        "source": card.source,
        "weights": f"sha256 {card.weights_sha256}",
        "fingerprint": card.fingerprint,
    }
    console.print(f"[bold]{escape(card.name)}[/]")
    for title, text in facts.items():
        if text:
            console.print(f"  {title:<16}{escape(text)}", highlight=False, soft_wrap=True)


def print_details(details: Iterable[tuple[str, str]], console: Console) -> None:
    """Print further facts on an encoder, one on a line."""
    for title, text in details:
        console.print(f"  {title:<16}{escape(text)}", highlight=False, soft_wrap=True)


def print_stores(stores: Iterable[StoreSummary], root: Path, console: Console) -> None:
    """Print one line for each store."""
    table = Table("encoder", "task", "edition", "tracks", "windows", "MB", "last used", box=None, header_style="bold")
    total = 0
    for store in stores:
        used = time.strftime("%Y-%m-%d", time.localtime(store.last_used))
        counts = (str(store.tracks), str(store.windows), f"{store.bytes / 1e6:.1f}")
        table.add_row(escape(store.encoder), escape(store.task), store.edition, *counts, used)
        total += store.bytes
    console.print(table)
    console.print(f"{total / 1e6:.1f} MB in {root}", markup=False, soft_wrap=True)
