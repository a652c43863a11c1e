"""``cmbench reproduce …``: the nano family and the paper in miniature. Parse, call, print."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...terminal import console

if TYPE_CHECKING:
    from ...tasks.base import LoadContext

reproduce_app = typer.Typer(
    no_args_is_help=True,
    help="Train the nano family again, and test the paper's claims with it on the mini edition.",
    epilog="**Examples**\n\n`cmbench reproduce nano`\n\n`cmbench reproduce family --out nano`",
)

FAMILY_EXAMPLES = "**Example**\n\n`cmbench reproduce family --out nano`"
NANO_EXAMPLES = (
    "**Examples**\n\n`cmbench reproduce nano --family-only`\n\n`cmbench reproduce nano --out reproduction`\n\n"
    "`cmbench reproduce nano --family nano --mini-seed 5 --mini-scale 2 --out again`"
)

SCALE = 3.0
"""Factor on the tracks of the mini edition: with 240 test tracks a task, changes of one to two points are found (our
choice)."""

Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")]
Workers = Annotated[
    int | None, typer.Option(help="Processes that render mini music; the processors if not given.", show_default=False)
]


@reproduce_app.command("family", epilog=FAMILY_EXAMPLES)
def family(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; gets one for each model.")] = Path("nano"),
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Train MERT-nano and the models that continue from it, and compare them with those that ship.

    About half an hour on two cores. Ctrl-C is safe: the same command goes on. Exit code 1 if a model is not what its
    recipe gave before.
    """
    from ...baselines.nano import NANO_BASE
    from ...pretraining.family import TOLERANCE, Making, deviations, make_family

    making = Making(out, out / NANO_BASE, _context(workers), device)
    screen = console(stderr=True)
    make_family(making, screen, partial(screen.print, markup=False, highlight=False, soft_wrap=True))
    found = list(deviations(out))
    for one in found:
        if one.same:
            words = "the same weights as those that ship"
        elif not one.comparable:
            words = "made by another recipe or from other music than those that ship"
        elif one.largest is None:
            words = "merged from models that differ from those that ship"
        else:
            words = f"held-out losses within {one.largest:.2%} of those that ship (allowed: {TOLERANCE:.0%})"
        typer.echo(f"{one.name:24} {words}")
    if not all(one.within for one in found):
        raise typer.Exit(1)


@reproduce_app.command("nano", epilog=NANO_EXAMPLES)
def nano(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of models, records, tables and figures.")] = Path(
        "reproduction"
    ),
    made: Annotated[
        Path | None,
        typer.Option("--family", help="Folder of `reproduce family`, instead of what ships.", show_default=False),
    ] = None,
    family_only: Annotated[
        bool, typer.Option("--family-only", help="Leave out the models that are trained otherwise (claim e).")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option(help="Seeds of the probes, if not the protocol's five.", show_default=False)
    ] = None,
    mini_seed: Annotated[int, typer.Option(help="Seed of the music that is evaluated on.")] = 0,
    mini_scale: Annotated[
        float, typer.Option(help="Factor on the number of tracks; of 1, changes under three points are seldom found.")
    ] = SCALE,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Test the paper's claims with models of nano size on the mini edition: (a) to (e) of docs/culturemert.md.

    Trains the models of claim e, evaluates all on the six tasks, each with 240 test tracks, and writes the findings
    with paired intervals, the transfer matrix and the figures: about an hour on two cores, twenty minutes with
    --family-only. What is finished is not done again.
    """
    from ...baselines.nano import NANO, NANO_BASE, nano_folder
    from ...pretraining.family import Making, make_member, require_family
    from ..records.evidence import evidence_of
    from ..run import run
    from ..studies.reproduction.claims import VARIATIONS, evaluate_claims
    from ..studies.reproduction.report import print_reproduction, write_reproduction
    from .progress import TerminalObserver

    if made:
        made = made.expanduser().resolve()
        require_family(made)
    folders = {name: made / name if made else nano_folder(name) for name in NANO}
    screen = console(stderr=True)
    say = partial(screen.print, markup=False, highlight=False, soft_wrap=True)
    if not family_only:
        making = Making(out / "models", folders[NANO_BASE], _context(workers), device)
        for variation in VARIATIONS:
            folders[variation.member.name] = make_member(variation.member, making, screen, say)
    named = [name if made is None and name in NANO else str(folder) for name, folder in folders.items()]
    with TerminalObserver(screen) as observer:
        records = run(
            named, "all", edition="mini", out=out / "results", device=device, seeds=seeds, offline=True,
            workers=workers, mini_seed=mini_seed, mini_scale=mini_scale, observer=observer,
        )  # fmt: skip
    found = evaluate_claims(evidence_of(records, out / "results"))
    print_reproduction(found, console())
    trained = {name: folder for name, folder in folders.items() if (folder / "held_out.csv").is_file()}
    for path in write_reproduction(found, trained, out, _command(made, family_only, seeds, mini_seed, mini_scale)):
        typer.echo(f"Written: {path}")


def _context(workers: int | None) -> LoadContext:
    import os

    from ...paths import cache_root
    from ...paths import data_root as find_data_root
    from ...tasks.base import LoadContext

    return LoadContext(data_root=find_data_root(None), cache_root=cache_root(), workers=workers or os.cpu_count() or 1)


def _command(made: Path | None, family_only: bool, seeds: int | None, mini_seed: int, mini_scale: float) -> str:
    """Return the command that gives the same findings; folders by their last part."""
    parts = ["cmbench reproduce nano"]
    parts += [f"--family {made.name}"] if made else []
    parts += ["--family-only"] if family_only else []
    parts += [f"--seeds {seeds}"] if seeds else []
    parts += [f"--mini-seed {mini_seed}"] if mini_seed else []
    parts += [f"--mini-scale {mini_scale:g}"] if mini_scale != SCALE else []
    return " ".join(parts)
