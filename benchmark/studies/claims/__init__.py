"""The paper's claims in miniature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ....baselines.nano import NANO, NANO_BASE, nano_folder
from ....pretraining.card import CURVE
from ....pretraining.family import Making, make_member, require_family
from ...commands.options import Device, MiniSeed, Seeds, Workers
from ...observer import Observer
from ...records.evidence import evidence_of
from ..base import Study, load_context, screen_of
from .claims import VARIATIONS, Reproduction, evaluate_claims
from .report import findings_figure, findings_json, findings_table, print_reproduction, sentences, write_beside

SCALE = 3.0
"""Factor on the tracks of the mini edition: with 240 test tracks a task, changes of one to two points are found (our
choice)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which models are tested, and on how much music; its fields are the options of the command."""

    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of models, records, tables and figures.")] = Path(
        "reproduction"
    )
    family: Annotated[
        Path | None,
        typer.Option(help="Folder of `cmbench study family`, instead of what ships.", show_default=False),
    ] = None
    family_only: Annotated[
        bool, typer.Option("--family-only", help="Leave out the models that are trained otherwise (claim e).")
    ] = False
    seeds: Seeds = None
    mini_seed: MiniSeed = 0
    mini_scale: Annotated[
        float, typer.Option(help="Factor on the number of tracks; of 1, changes under three points are seldom found.")
    ] = SCALE
    device: Device = "auto"
    workers: Workers = None

    @property
    def command(self) -> str:
        """The command that gives the same findings; folders by their last part."""
        parts = ["cmbench reproduce nano"]
        parts += [f"--family {self.family.name}"] if self.family else []
        parts += ["--family-only"] if self.family_only else []
        parts += [f"--seeds {self.seeds}"] if self.seeds else []
        parts += [f"--mini-seed {self.mini_seed}"] if self.mini_seed else []
        parts += [f"--mini-scale {self.mini_scale:g}"] if self.mini_scale != SCALE else []
        return " ".join(parts)


def _cost(request: Request) -> str:
    if request.family_only:
        return f"Evaluates {len(NANO)} models on six tasks: twenty minutes on two cores at --mini-scale {SCALE:g}."
    models = f"Trains {len(VARIATIONS)} models and evaluates {len(NANO) + len(VARIATIONS)} on six tasks: "
    return models + f"an hour on two cores at --mini-scale {SCALE:g}, twenty minutes with --family-only."


def _compute(request: Request, observer: Observer) -> Reproduction:
    from ...run import run

    made = request.family.expanduser().resolve() if request.family else None
    if made:
        require_family(made)
    folders = {name: made / name if made else nano_folder(name) for name in NANO}
    if not request.family_only:
        screen, context = screen_of(observer), load_context(observer, workers=request.workers)
        making = Making(request.out / "models", folders[NANO_BASE], context, request.device)
        say = partial(screen.print, markup=False, highlight=False, soft_wrap=True)
        folders |= {member.name: make_member(member, making, screen, say) for member in VARIATIONS}
    named = [name if made is None and name in NANO else str(folder) for name, folder in folders.items()]
    records = run(
        named, "all", edition="mini", out=request.out / "results", device=request.device, seeds=request.seeds,
        offline=True, workers=request.workers, mini_seed=request.mini_seed, mini_scale=request.mini_scale,
        observer=observer,
    )  # fmt: skip
    found = evaluate_claims(evidence_of(records, request.out / "results"))
    trained = {name: folder for name, folder in folders.items() if (folder / CURVE).is_file()}
    return replace(found, command=request.command, trained=trained)


STUDY = Study(
    name="claims",
    help="""Test the paper's claims with models of nano size on the mini edition: (a) to (e) of docs/culturemert.md.

    Trains the models of claim e, evaluates all on the six tasks, each with 240 test tracks, and writes the findings
    with paired intervals, the transfer matrix and the figures. What is finished is not done again.
    """,
    request=Request,
    compute=_compute,
    cost=_cost,
    tables=lambda found: [findings_table(found)],
    sentences=sentences,
    figures=lambda found: {"": partial(findings_figure, found)},
    texts=lambda found: {"json": findings_json(found)},
    further=write_beside,
    stem=lambda found: "findings",
    show=print_reproduction,
    goes_on=True,
    examples=(
        "cmbench reproduce nano --family-only",
        "cmbench study claims --out reproduction",
        "cmbench study claims --family nano --mini-seed 5 --mini-scale 2 --out again",
    ),
)
