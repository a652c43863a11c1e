"""What alterations change as a table, in words, and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...comparing.paired import TEST_ONLY
from ...views.tables import ViewTable
from ...views.words import ALL, points
from ..answers import MARKS, Answer, Answers, dots_figure
from .alterations import KINDS, THERE_AND_BACK
from .measuring import APART, NAMED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRANSPOSED = "pitch ±100 cents"

NOT_SHOWN = (
    "On mini no more is shown: modes are played on any tonic, tracks last seconds, what is old or noisy was made so; "
    "what usual tonics, worn records and voices change takes real music."
)


def parts(found: Answers) -> list[str]:
    """Return what is asked about: all labels, families, modes."""
    return sorted(dict.fromkeys(one.on for one in found.answers), key=lambda part: part in (APART, NAMED))


def change_table(found: Answers) -> ViewTable:
    """Return models and kinds of alteration by parts of the labels."""
    rows, columns = [], parts(found)
    for model in found.models:
        for kind in KINDS:
            by_part = found.of(kind, model)
            rows.append((model, kind, _long(by_part[ALL]), *(_short(by_part.get(part)) for part in columns[1:])))
    only = "" if all(one.change.trainings for one in found.answers if one.on != NAMED) else f"; {TEST_ONLY}"
    notes = [
        "Change of the score that is 0 at chance and 100 for a perfect ranking, mean over traditions, paired on the "
        f"same tracks; probes are trained on audio as it is{only}. ↓ lost, ↑ gained, = kept within a point, else it "
        "cannot be told. All intervals: the figure and the CSV, there also direction by direction.",
    ]
    if NAMED in columns:
        notes.append(
            f"{APART}: negative where modes lose more than other labels. {NAMED}: -30 if 70 % keep theirs; {TEST_ONLY}."
        )
    heads = ["model", "alteration", *(part.replace(" ", "\n", 1) for part in columns)]
    return ViewTable.of(found, "Changes by alteration, points", heads, rows, 2, notes)


def _long(one: Answer) -> str:
    return f"{one.words} {MARKS[one.change.verdict]}".rstrip()


def _short(one: Answer | None) -> str:
    return points(one.change.change) + MARKS[one.change.verdict] if one else points(None)


def sentences(found: Answers) -> list[str]:
    """Say what costs most, what transposition does to modes, and how much of that is the processing."""
    mini = [NOT_SHOWN] if found.setting.edition == "mini" else []
    return [_dearest(found), *filter(None, [_transposed(found)]), " ".join([_control(found), *mini])]


def _dearest(found: Answers) -> str:
    said = []
    for model in found.models:
        asked = [found.of(kind, model)[ALL] for kind in KINDS if kind != THERE_AND_BACK]
        lost = sorted((one for one in asked if one.change.verdict == "lost"), key=lambda one: one.change.change or 0.0)
        most = f", most by {'; '.join(f'{one.question} {one.words}' for one in lost[:2])}" if lost else ""
        kept = ", ".join(one.question for one in asked if one.change.verdict == "kept")
        said.append(f"{model} loses by {len(lost)} of {len(asked)} alterations{most}" + f"; kept: {kept}" * bool(kept))
    return f"All labels: {'. '.join(said)}."


def _transposed(found: Answers) -> str:
    said = []
    for model in found.models:
        moved, back = found.of(TRANSPOSED, model), found.of(THERE_AND_BACK, model)
        if APART in moved:
            than = {"lost": "more than", "gained": "less than"}.get(moved[APART].change.verdict, "not surely more than")
            said.append(f"{model}'s modes lose {than} its other labels ({moved[APART].words})")
        if NAMED in moved:
            shares = (points(one[NAMED].change.after).lstrip("+") for one in (moved, back))
            said.append("it names the same mode on {} % of the tracks, there and back on {} %".format(*shares))
    return f"Transposed by 100 cents, {'; '.join(said)}." if said else ""


def _control(found: Answers) -> str:
    costs = ", ".join(f"{model} {_long(found.of(THERE_AND_BACK, model)[ALL])}" for model in found.models)
    return (
        f"Pitch there and back, where only the phase vocoder is heard, and twice, costs {costs}: about so much of a "
        "shift, or less, is no pitch."
    )


def change_figure(found: Answers) -> Figure:
    """Draw a panel for every part of the labels, a line for every kind of alteration."""
    panels = {
        part: {kind: [a for m in found.models if (a := found.of(kind, m).get(part))] for kind in KINDS}
        for part in parts(found)
    }
    return dots_figure(found, "What alterations change, by family of labels", panels, 4 if len(panels) > 6 else 3)
