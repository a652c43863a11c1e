"""``cmbench submit`` and ``cmbench leaderboard …``: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..benchmark.commands.options import Edition, ProtocolName, Split
from ..errors import CmbenchError, UsageError, unknown_name
from ..terminal import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .entry import Entry, Submission, Successor
    from .verification.findings import Verification

BUILD_EXAMPLES = (
    "**Examples**\n\n`cmbench leaderboard build --out site`\n\n`cmbench leaderboard build my-entries --out site`"
)

SERVE_EXAMPLES = "**Example**\n\n`cmbench leaderboard build --out site && cmbench leaderboard serve site`"

COMPARE_EXAMPLES = "**Example**\n\n`cmbench leaderboard compare mfcc/1 chroma/1 --no-labels`"


def build(
    entries: Annotated[
        Path | None, typer.Argument(help="Folder of entries; that of this checkout if not given.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages; a board in it is replaced.")] = Path(
        "site"
    ),
) -> None:
    """Verify and rank the entries, and write the board as static pages: no server, no network, the same bytes always.

    An entry that does not pass `cmbench leaderboard verify` stops it, and nothing is written.
    """
    from ..paths import data_root
    from .entry import ENTRIES
    from .pages.site import build as write
    from .verification.verify import verify

    root = ENTRIES if entries is None else entries
    with console(stderr=True).status("Computing every score again …"):
        refused = [found.entry for found in verify(root, labels=data_root()) if not found.sound]
    if refused:
        named = ", ".join(ascii(name)[1:-1] for name in refused)
        raise CmbenchError(f"Not sound: {named}. `cmbench leaderboard verify {root}` says why; nothing was written.")
    with console(stderr=True).status("Ranking …"):
        site = write(root, out)
    for board in site.boards:
        typer.echo(f"{board.title}: {len(board.places)} ranked, {len(board.incomplete)} without a place")
    typer.echo(f"Entries: {len(site.listed)}, SHA-256 {site.entries_sha256}")
    typer.echo(f"Page: {out / 'index.html'}")


def serve(
    folder: Annotated[Path, typer.Argument(help="That `build` wrote.", metavar="[SITE]")] = Path("site"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0 for any that is free.")] = 8000,
) -> None:
    """Show a built board on this machine until Ctrl-C; nobody else can reach it."""
    from .pages.serving import LOCAL, server

    with server(folder, port) as serving:
        typer.echo(f"http://{LOCAL}:{serving.server_address[1]}/ (Ctrl-C ends it)")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Ended.")


def compare(
    first: Annotated[str, typer.Argument(help="An entry of the board.", metavar="NAME/VERSION")],
    second: Annotated[str, typer.Argument(help="The one to compare with it.", metavar="NAME/VERSION")],
    entries: Annotated[
        Path | None, typer.Option(help="Folder of entries; that of this checkout if not given.", show_default=False)
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the paired bootstrap.")] = 1000,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Also families and labels.")] = True,
) -> None:
    """Compare two entries as `cmbench compare` does: paired differences with intervals, per task, family and label."""
    from ..benchmark.comparing.compare import compare as judge
    from ..benchmark.views.changes import print_comparison
    from .entry import ENTRIES
    from .reading import entry_folders, read_entry

    root = ENTRIES if entries is None else entries
    known = [f"{folder.parent.name}/{folder.name}" for folder in entry_folders(root)]
    for name in (first, second):
        if name not in known:
            raise unknown_name("entry", name, known, f"cmbench leaderboard verify {root}")
    sides = [read_entry(root / name).evidence for name in (first, second)]
    print_comparison(judge(*sides, resamples=resamples, labels=labels), console(), labels=labels)


leaderboard_app = typer.Typer(
    no_args_is_help=True,
    help="A board that nobody has to trust: verify entries, build its pages, reproduce and withdraw entries.",
    epilog="**Examples**\n\n`cmbench leaderboard verify leaderboards/entries`\n\n"
    "`cmbench leaderboard build --out site && cmbench leaderboard serve site`",
)
leaderboard_app.command("build", epilog=BUILD_EXAMPLES)(build)
leaderboard_app.command("serve", epilog=SERVE_EXAMPLES)(serve)
leaderboard_app.command("compare", no_args_is_help=True, epilog=COMPARE_EXAMPLES)(compare)

SUBMIT_EXAMPLES = (
    "**Examples**\n\n"
    "`cmbench submit results/my-mert --model-card my-mert/README.md --contact me@example.org "
    "--contamination 'No test track of any task was heard.' --dry-run`\n\n"
    "`cmbench submit results/mfcc --model-card card.md --edition mini`"
)

TrainedOn = Annotated[
    list[str] | None,
    typer.Option(help="A corpus that the model was trained on; again for each. `none` for none."),
]
Contaminated = Annotated[
    bool,
    typer.Option(
        "--contaminated",
        help="Test tracks were heard: the entry is marked and gets no place. Set by itself where the card, its "
        "folder or the records say so.",
    ),
]
EntryFolder = Annotated[Path, typer.Argument(help="The entry: <name>/<version>.", metavar="ENTRY")]


def register(app: typer.Typer) -> None:
    """Add the commands of the board to the program."""
    app.command("submit", no_args_is_help=True, epilog=SUBMIT_EXAMPLES)(submit)
    app.add_typer(leaderboard_app, name="leaderboard")


def submit(
    places: Annotated[list[Path], typer.Argument(help="Records of one model, or their folder.", metavar="RECORDS…")],
    model_card: Annotated[Path, typer.Option(help="The model's card: Markdown, with YAML front matter or without.")],
    contact: Annotated[str | None, typer.Option(help="An address or account for questions.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the weights; the card's if not given.")] = None,
    parameters: Annotated[int | None, typer.Option(min=0, help="Of the encoder; the record's if not given.")] = None,
    trained_on: TrainedOn = None,
    contamination: Annotated[
        str | None, typer.Option(help="What you know of test tracks among the training data.")
    ] = None,
    contaminated: Contaminated = False,
    name: Annotated[str | None, typer.Option(help="Name on the board; the model's if not given.")] = None,
    version: Annotated[str, typer.Option(help="Of the entry: entries never change, a correction is a new one.")] = "1",
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    entries: Annotated[
        Path | None, typer.Option(help="Folder of the board's entries; that of this checkout if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, write nothing.")] = False,
) -> None:
    """Turn the records of a run into an entry of the board, checked as the board will check it.

    What is missing is asked for. Records of the mini edition make an entry of the mini board, an example that is never
    shown beside real data.
    """
    from .submission import Statements, build_entry, choose_run, complete, corpora, from_card_and_record
    from .untrusted import read_card

    evidence = choose_run(places, edition, split, protocol)
    facts, _ = read_card(model_card)
    heard = None if trained_on is None else corpora(trained_on)
    said = Statements(contact, licence, parameters, heard, contamination, contaminated)
    said = from_card_and_record(said, facts, evidence[0].record)
    said = complete(said, _ask if sys.stdin.isatty() else None)
    # A card in a cache of the hub is a link; its owner may follow it.
    submission, files = build_entry(evidence, said, model_card.resolve(), name, version)
    _submit(submission, files, entries if entries is not None else _own_entries(), dry_run)


def _submit(submission: Submission, files: Mapping[str, bytes], root: Path, dry_run: bool) -> None:
    """Check an entry as the board will, and write it; raise where it would be refused."""
    import tempfile

    from .reading import iter_entries
    from .submission import refuse_taken, write_entry
    from .succession import read_successors

    target = root / submission.name / submission.version
    if target.exists():
        raise UsageError(f"{target} is there already. Entries never change: give --version another value.")
    others = list(iter_entries(root)) if root.is_dir() else []
    refuse_taken(submission, others)
    with tempfile.TemporaryDirectory() as scratch:
        entry = write_entry(files, Path(scratch) / submission.name / submission.version)
        sound = _check(entry, others)
        _print_places(entry, others, read_successors(root))
    size = sum(map(len, files.values())) / 2**20
    typer.echo(f"\n{entry.key}: {len(files)} files, {size:.2f} MiB, {submission.board.edition} board.")
    if not sound:
        raise UsageError("The board would refuse this entry; nothing was written. The errors are above.")
    if dry_run:
        typer.echo(f"Dry run: nothing was written. Without --dry-run it would be {target}.")
        return
    write_entry(files, target)
    _print_commands(target, submission)


def _ask(question: str) -> str:
    answer: str = typer.prompt(question[0].upper() + question[1:])
    return answer


def _own_entries() -> Path:
    """Return the entries' folder of this checkout; raise where cmbench is installed from a package."""
    from .entry import ENTRIES

    if not (ENTRIES.parent.parent / ".git").exists():
        raise UsageError(
            "This cmbench is no git checkout; name the folder with --entries CHECKOUT/leaderboards/entries."
        )
    return ENTRIES


def _check(entry: Entry, others: Sequence[Entry]) -> bool:
    from ..paths import data_root
    from .succession import version_order
    from .verification.identity import claim
    from .verification.verify import verify_entry

    before = [one for one in others if one.submission.name == entry.submission.name]
    said = [claim(entry, max(before, key=lambda one: version_order(one.submission.version)))] if before else []
    found = verify_entry(entry, others, labels=data_root(), further=said)
    _print_verification(found)
    return found.sound


def _print_places(entry: Entry, others: Sequence[Entry], confirmed: Sequence[Successor]) -> None:
    from ..benchmark.views.words import percent
    from ..tasks.base import MINI_LABEL
    from .submission import board_with

    board = board_with(entry, others, confirmed)
    typer.echo(
        f"\n{board.edition} edition, {board.split} split, {board.protocol}: "
        "mean over traditions, 0 at chance, 100 a perfect ranking"
    )
    if board.edition == "mini":
        typer.echo(f"{MINI_LABEL}. This board is an example; nothing on it is a result.")
    for place in board.places:
        rank = str(place.first) if place.first == place.last else f"{place.first}-{place.last}"
        mine = "  <- this entry" if place.name == entry.key else ""
        typer.echo(f"  {rank:>5}  {percent(place.equity.mean.value):>5}  {place.name}{mine}")
    for one in board.incomplete:
        if one.name == entry.key:
            typer.echo(f"It would be listed apart, without a place: {one.why}")


def _print_commands(target: Path, submission: Submission) -> None:
    from .submission import git_commands

    typer.echo(f"Written: {target}\n\nTo open a pull request, in the checkout:\n")
    for command in git_commands(target, submission):
        typer.echo(f"  {command}")
    typer.echo("\nand follow the link that git prints, or open it on the repository's page.")


@leaderboard_app.command(
    "verify",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench leaderboard verify leaderboards/entries/my-mert/1`\n\n"
    "`cmbench leaderboard verify leaderboards/entries --base origin/main --labels ~/labels --json report.json`",
)
def verify_command(
    place: Annotated[Path, typer.Argument(help="An entry, or a folder of entries.", metavar="PATH")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the labels of the data sets, laid out as a data root; audio is not needed. "
            "CMBENCH_DATA if not given.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Git revision whose entries may not change.", show_default=False)
    ] = None,
    report: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
) -> None:
    """Verify entries: hashes, tracks, labels, every score from the predictions, history. Exit code 1 on an error.

    Nothing of an entry is executed or unpickled. Flags ask for a maintainer's run; they are no errors.
    """
    import json

    from ..files import write_atomically
    from ..paths import data_root
    from .claims import UNVERIFIED, WAY_OUT
    from .verification.findings import report_json
    from .verification.verify import verify

    if labels is not None and not labels.is_dir():
        raise UsageError(f"--labels: {labels} is not a folder.")
    found = verify(place, labels=labels if labels is not None else data_root(), base=base)
    for one in found:
        _print_verification(one)
    typer.echo(f"{sum(one.sound for one in found)} of {len(found)} sound.")
    if remaining := dict.fromkeys(claim for one in found for claim in one.unverified):
        typer.echo(f"{UNVERIFIED}, claims of the submitters: {'; '.join(remaining)}. {WAY_OUT}")
    if report is not None:
        text = json.dumps(report_json(found), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        write_atomically(report, text.encode())
    if not all(one.sound for one in found):
        raise typer.Exit(1)


def _print_verification(found: Verification) -> None:
    """Print one result; names and messages of strangers without markup."""
    typer.echo(f"{ascii(found.entry)[1:-1]}: {found.badge or 'refused'}")
    for task, status in found.tasks.items():
        typer.echo(f"  {ascii(task)[1:-1]}: {status}")
    for f in found.findings:
        if f.severity != "unverified":
            where = "" if f.where == found.entry else f" {ascii(f.where)[1:-1]}:"
            typer.echo(f"  {f.severity} ({f.check}){where} {f.message}")


@leaderboard_app.command(
    "reproduce",
    no_args_is_help=True,
    epilog="**Example**\n\n`cmbench run --model ./my-mert --tasks all --out own`, then\n\n"
    "`cmbench leaderboard reproduce leaderboards/entries/my-mert/1 --run own --maintainer 'A. Maintainer'`",
)
def reproduce_command(
    entry: EntryFolder,
    run: Annotated[list[Path], typer.Option(help="Records of your own run of the model, or their folder.")],
    maintainer: Annotated[str, typer.Option(help="Who ran it.")],
) -> None:
    """Compare your own run of a model with its entry; if they agree, the entry gets the badge `reproduced`.

    Your records and predictions are kept beside the entry, so the badge can be checked by anyone.
    """
    from .verification.reproduce import reproduce, signing_commands

    made = reproduce(entry, run, maintainer)
    for task, agreement in made.tasks.items():
        changes = ", ".join(
            f"{metric} {'undefined in both' if value is None else f'{100 * value:+.3f} points'}"
            for metric, value in agreement.differences.items()
        )
        typer.echo(f"{task}: {changes}")
    typer.echo(f"Reproduced: {entry / 'reproduction'}\n\nSign it, so that anyone can see who vouches for it:\n")
    for command in signing_commands(entry, maintainer):
        typer.echo(f"  {command}")


@leaderboard_app.command(
    "confirm",
    no_args_is_help=True,
    epilog="**Example**\n\n`cmbench leaderboard confirm leaderboards/entries/my-mert/2`",
)
def confirm_command(entry: EntryFolder) -> None:
    """Confirm that a new version is by those who sent the version before: it then takes that version's place.

    For maintainers: it is written into `successors.json` beside the folder of entries, which no entry can write.
    """
    from .succession import confirm, successors_file

    made = confirm(entry)
    typer.echo(
        f"Confirmed: {made.entry} takes the place of {made.after} ({successors_file(entry.resolve().parents[1])})"
    )


@leaderboard_app.command(
    "withdraw",
    no_args_is_help=True,
    epilog="**Example**\n\n"
    "`cmbench leaderboard withdraw leaderboards/entries/my-mert/1 --reason 'Test tracks in the mix.'`",
)
def withdraw_command(
    entry: EntryFolder,
    reason: Annotated[str, typer.Option(help="Why; shown on the board.")],
) -> None:
    """Take an entry off the board: it keeps its place in the history, with the reason."""
    from .verification.reproduce import withdraw

    made = withdraw(entry, reason)
    typer.echo(f"Withdrawn on {made.withdrawn}: {entry / 'withdrawal.json'}")
