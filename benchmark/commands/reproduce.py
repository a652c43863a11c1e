"""``cmbench reproduce …``: the studies of the nano family and of the paper in miniature, under their older names."""

from __future__ import annotations

import typer

from .plain import examples
from .study import group_of, study_commands

reproduce_app = typer.Typer(
    cls=group_of(lambda: study_commands(family="family", nano="claims")),
    no_args_is_help=True,
    help="Train the nano family again, and test the paper's claims with it on the mini edition.",
    epilog=examples("cmbench reproduce nano", "cmbench reproduce family --out nano"),
)
