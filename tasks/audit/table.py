"""How an audit looks in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ..base import MINI_LABEL
from ..splits.names import SPLITS
from .audit import NOT_COMPARED, Audit, summary

if TYPE_CHECKING:
    from rich.console import Console

    from .sound import AudioFindings, NearCopy, TrackInSplit

SHOWN = 10
"""Findings of one kind that are printed; the file has them all."""


def print_audit(found: Audit, console: Console) -> None:
    """Print an audit: counts by split, then what was found, the first of each kind by name."""
    console.print(f"[bold]{escape(found.task)}[/] · {found.edition} edition · {found.split} split", highlight=False)
    if found.edition == "mini":
        console.print(f"[yellow]{MINI_LABEL}[/]", highlight=False)
    console.print(_counts(found))
    lists = found.lists
    _list(
        console,
        f"{found.group_kind}s in several splits",
        [f"{g.group}: {', '.join(f'{s} {n}' for s, n in g.tracks.items())}" for g in lists.shared],
    )
    _list(console, f"{found.group_kind}s that differ only in case or spaces", [" = ".join(n) for n in lists.alike])
    _list(console, "labels that no track tells apart", [" = ".join(names) for names in lists.identical])
    _list(console, "labels undefined in a split", [f"{u.label}: {u.reason} in {u.split}" for u in lists.undefined])
    if found.audio is None:
        console.print(f"[bold]{NOT_COMPARED}[/]: {escape(found.reason or '')}", highlight=False)
    else:
        _print_audio(found.audio, console)
    console.print(f"\n{escape(summary(found))}.", highlight=False)


def _counts(found: Audit) -> Table:
    table = Table(box=None, header_style="bold")
    kind, lists, audio = found.group_kind, found.lists, found.audio
    headings = ("split", "tracks", f"{kind} known", f"{kind}s", f"share a {kind}\nwith an earlier split", "no label")
    for title in (*headings, *(("audio\ncompared", "copy in an\nearlier split") if audio else ())):
        table.add_column(title, justify="left" if title == "split" else "right")
    for split in SPLITS:
        groups = lists.groups[split]
        cells = [groups.tracks, groups.known, groups.groups, groups.leaking_tracks, lists.unlabelled[split]]
        if audio:
            cells += [audio.compared[split], audio.leaking_tracks[split]]
        table.add_row(split, *map(str, cells))
    return table


def _print_audio(audio: AudioFindings, console: Console) -> None:
    _list(console, "tracks with the same samples", [" = ".join(map(_name, copies)) for copies in audio.exact])
    _list(
        console,
        "tracks with the same sound",
        [
            f"{_name(c.first)} ~ {_name(c.second)}: {100 * c.share:.0f} % of the landmarks, {c.shift:+.2f} s{_bent(c)}"
            for c in audio.near
        ],
    )
    _list(console, "tracks not compared", [f"{_name(u.track)}: {u.reason}" for u in audio.unheard])
    _list(console, "tracks too plain for a fingerprint", list(map(_name, audio.plain)))


def _bent(copy: NearCopy) -> str:
    factors = {"pitch": copy.pitch, "speed": copy.speed}
    return "".join(f", {what} {100 * (factor - 1):+.1f} %" for what, factor in factors.items() if factor != 1.0)


def _name(member: TrackInSplit) -> str:
    return f"{member.id} ({member.split})"


def _list(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(f"[bold]{title}[/] ({len(lines)})", highlight=False)
    for line in lines[:SHOWN]:
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    if len(lines) > SHOWN:
        console.print(f"  … and {len(lines) - SHOWN} more", highlight=False)
