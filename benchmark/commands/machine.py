"""``cmbench doctor`` and ``cmbench cache …``: parse, call, print."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...terminal import console, escape, new_table
from .options import Device, option

if TYPE_CHECKING:
    from rich.console import Console

    from ..features.upkeep import StoreSummary

DOCTOR_EXAMPLES = "**Examples**\n\n`cmbench doctor`\n\n`cmbench doctor --benchmark --device cuda`"

cache_app = typer.Typer(no_args_is_help=True, help="Look at, check and clean the feature store.")


def print_stores(stores: Iterable[StoreSummary], root: Path, console: Console) -> None:
    """Print one line for each store."""
    grid = new_table("encoder", "task", "edition", "tracks", "windows", "MB", "last used")
    total = 0
    for store in stores:
        used = time.strftime("%Y-%m-%d", time.localtime(store.last_used))
        counts = (str(store.tracks), str(store.windows), f"{store.bytes / 1e6:.1f}")
        grid.add_row(escape(store.encoder), escape(store.task), store.edition, *counts, used)
        total += store.bytes
    console.print(grid)
    console.print(f"{total / 1e6:.1f} MB in {root}", markup=False, soft_wrap=True)


def doctor(
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Also check a device against the processor, and measure it.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Say what this machine has for a run; with `--benchmark`, whether a device computes right, and how fast.

    That compares the device with the processor in float32 and bfloat16, repeats itself, runs out of memory on purpose,
    and measures the 95M network against the device's matrix products. The end of the output is made to be pasted into
    an issue: no figure of a GPU is known to us yet. Speeds are kept for `cmbench run --plan`. Exit code 1 if anything
    is not as a run needs it.
    """
    from ..checks.check import print_checks
    from ..checks.machine import examine, measure, print_speeds

    well = print_checks(examine(), console(), "ok ", "BAD", 24)
    if benchmark:
        from ...baselines.device import choose_device
        from ...paths import cache_root
        from ..checks.device import check_device, report
        from ..rates import keep_speeds

        place = str(choose_device(device))
        with console(stderr=True).status(f"Checking {place} …"):
            checks = list(check_device(device))
        with console(stderr=True).status(f"Measuring {place} …"):
            speeds = list(measure(device))
        print_speeds(iter(speeds), console())
        typer.echo(f"Kept: {keep_speeds(speeds, cache_root())}")
        typer.echo(f"\nTo paste into an issue:\n\n{report(checks, speeds, place)}")
        well &= all(one.well is not False for one in checks)
    if not well:
        raise typer.Exit(1)


@cache_app.command("ls")
def cache_ls() -> None:
    """List the stores: which encoder, which task, how large."""
    from ...paths import cache_root
    from ..features.upkeep import list_stores

    print_stores(list_stores(cache_root()), cache_root(), console())


@cache_app.command("verify")
def cache_verify() -> None:
    """Hash every shard again; exit code 1 if one is broken."""
    from ...paths import cache_root
    from ..features.upkeep import store_folders, verify_store

    stores = store_folders(cache_root())
    problems = [problem for folder in stores for problem in verify_store(folder)]
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{len(stores)} stores, {len(problems)} problems.")
    if problems:
        typer.echo("`cmbench cache gc` removes broken shards; the next run makes their features again.")
        raise typer.Exit(1)


@cache_app.command("push", epilog="**Example**\n\n`cmbench cache push s3://our-bucket/features`")
def cache_push(url: Annotated[str, typer.Argument(help="Where to: a folder, or a URL that fsspec knows.")]) -> None:
    """Copy every shard that is not there yet to a URL, for others to use without encoding anything.

    No audio goes along, and no path of this machine: of each recording its file's name, size and hash.
    """
    from ...paths import cache_root
    from ..features.remote import push

    done = push(url, cache_root())
    typer.echo(
        f"{done.stores} stores: {done.shards} shards copied, {done.bytes / 1e6:.1f} MB; {done.there} were there."
    )


@cache_app.command("pull", epilog="**Example**\n\n`cmbench cache pull s3://our-bucket/features`")
def cache_pull(url: Annotated[str, typer.Argument(help="Where from: a folder, or a URL that fsspec knows.")]) -> None:
    """Copy shards that are not here yet from a URL, each compared with its hash before it is used.

    They serve recordings with the same content, wherever these lie. The hash tells damage, not whether who pushed the
    features computed them as they say.
    """
    from ...paths import cache_root
    from ..features.remote import pull

    done = pull(url, cache_root())
    typer.echo(f"{done.stores} stores: {done.shards} shards copied, {done.bytes / 1e6:.1f} MB; {done.there} were here.")


@cache_app.command("gc", epilog="**Example**\n\n`cmbench cache gc --unused-days 30 --dry-run`")
def cache_gc(
    unused_days: Annotated[float | None, option(help="Also remove stores not used for this many days.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove broken shards, leavings of killed runs and, if asked, stores long unused."""
    from ...paths import cache_root
    from ..features.upkeep import collect_garbage

    paths, size = collect_garbage(cache_root(), unused_days=unused_days, dry_run=dry_run)
    for path in paths:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {path}")
    typer.echo(f"{len(paths)} files or folders, {size / 1e6:.1f} MB.")
