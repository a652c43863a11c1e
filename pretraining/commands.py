"""``cmbench pretrain``: parse, call, print."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..tasks.base import LoadContext
    from .pretrain import PretrainOptions
    from .recipes.reading import OpenedRecipe

EPILOG = (
    "**Examples**\n\n"
    "`cmbench pretrain mert-nano --out mert-nano --max-steps 20`\n\n"
    "`cmbench pretrain culturemert-nano --out culturemert-nano`\n\n"
    "`cmbench pretrain culturemert-95m --rehearse --out rehearsal`\n\n"
    "`cmbench pretrain culturemert-95m --dry-run --data-root ~/corpora`\n\n"
    "`torchrun --nproc-per-node 8 -m cmbench pretrain culturemert-95m --out culturemert-95m`\n\n"
    "A recipe's keys, and what each value comes from, are in docs/pretraining.md."
)

Rehearse = Annotated[
    bool,
    typer.Option(
        "--rehearse",
        help="Two updates of the recipe's own size on mini music from random weights: needs no corpora or models.",
    ),
]
AllowContamination = Annotated[
    bool,
    typer.Option(
        "--allow-contamination", help="Let validation and test tracks in; the model's card is marked for good."
    ),
]


def pretrain_command(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe, or a .yaml file; none lists them.")] = None,
    changes: Annotated[list[str] | None, typer.Argument(help="Changes: key=value, key.sub=value …")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the model; the recipe's name if not given.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print values, hours, memory and time; train nothing.")
    ] = False,
    max_steps: Annotated[
        int | None, typer.Option(help="Stop after so many updates in all.", show_default=False)
    ] = None,
    rehearse: Rehearse = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    allow_contamination: AllowContamination = False,
    dtype: Annotated[str, typer.Option(help="Of the stored weights: `float32` or `float16`.")] = "float32",
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of the real data sets; or set CMBENCH_DATA.", show_default=False)
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the log as event files too, into training/tensorboard.")
    ] = False,
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that render mini music; the processors if not given.")
    ] = None,
    mini_seed: Annotated[int, typer.Option(help="Seed of the mini edition.")] = 0,
) -> None:
    """Pre-train a model by a recipe: MERT's objective, in stages that re-warm and re-decay.

    Writes a folder that `cmbench run --model` and transformers load. Ctrl-C is safe: `--resume` goes on.
    """
    from ..baselines.mert.folder import require_dtype
    from .recipes.reading import open_recipe, shipped_recipes

    if recipe is None:
        for name in shipped_recipes():
            typer.echo(f"{name:28} {open_recipe(name).recipe.summary}")
        return
    opened = open_recipe(recipe, changes or ())
    require_dtype(dtype)
    if rehearse:
        from .planning.rehearsal import STEPS, rehearsed

        opened, max_steps = rehearsed(opened), STEPS if max_steps is None else max_steps
    context = _context(data_root, workers, mini_seed)
    if dry_run:
        _dry_run(opened, context, device, max_steps, allow_contamination)
        return
    from .pretrain import PretrainOptions

    named = out or Path(opened.recipe.name)
    _pretrain(
        opened,
        PretrainOptions(named, context, device, offline, max_steps, resume, allow_contamination, tensorboard, dtype),
    )


def _context(data_root: Path | None, workers: int | None, mini_seed: int) -> LoadContext:
    from ..paths import cache_root
    from ..paths import data_root as find_data_root
    from ..tasks.base import LoadContext

    found = find_data_root(data_root)
    return LoadContext(found, cache_root(), workers=workers or _processors(), mini_seed=mini_seed)


def _pretrain(opened: OpenedRecipe, options: PretrainOptions) -> None:
    from ..terminal import console
    from .pretrain import pretrain
    from .start import TRAINING
    from .training.group import launched

    if options.resume and not (options.out / TRAINING).is_dir():
        raise UsageError(f"{options.out}: there is no run to resume there. Leave out --resume to begin one.")
    screen = console(stderr=True, quiet=launched()[0] > 0)
    model = pretrain(opened, options, screen, partial(screen.print, markup=False, highlight=False, soft_wrap=True))
    if launched()[0] == 0:
        typer.echo(f"{model.steps} of {opened.recipe.steps} updates. Licence: {model.licence}")
        typer.echo(f"Peak memory of this process: {_peak_memory()}.\nWritten: {options.out}")


def _peak_memory() -> str:
    import torch

    from ..processes import peak_memory_mib

    memory = f"{peak_memory_mib() / 1024:.2f} GiB"
    if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
        memory += f", and {used / 2**30:.2f} GiB of the GPU's"
    return memory


def _processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _dry_run(
    opened: OpenedRecipe, context: LoadContext, device: str, max_steps: int | None, allow_contamination: bool
) -> None:
    """Print what a run would do; what is missing for it is said, not fetched."""
    from rich.console import Console

    from .planning.dry_run import print_estimate, print_music, print_values

    if max_steps is not None and max_steps < 0:
        raise UsageError(f"--max-steps {max_steps} should be 0 or more.")
    screen = Console()
    print_values(opened, screen)
    print_music(opened.recipe, context, screen, allow_contamination)
    print_estimate(opened.recipe, screen, device, max_steps)
