"""How a preparation looks in a terminal: what it would do, at what size, under what terms; then how far it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.markup import escape

from ...tasks.fetching.download import announced_size
from ...tasks.fetching.room import spoken_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rich.console import Console

    from ...tasks.preparing import Download, Plan, PrepareContext
    from ...terminal import ProgressBar


def with_announced_sizes(plan: Plan, context: PrepareContext) -> Plan:
    """Return the plan with the sizes that the servers announce, where the plan states none.

    A server that does not say is not asked again: one that is down would cost a long wait for each file.
    """
    silent_servers: set[str] = set()
    downloads = []
    for one in plan.downloads:
        server = urlsplit(one.url).netloc
        if one.size is None and not one.path.is_file() and server not in silent_servers:
            size = announced_size(one, context)
            if size is None:
                silent_servers.add(server)
            downloads.append(replace(one, size=size))
        else:
            downloads.append(one)
    return replace(plan, downloads=tuple(downloads))


def print_plan(plan: Plan, console: Console) -> None:
    """Print what would be fetched and done, and what would still be missing."""
    for download in plan.downloads:
        terms = f"{_size(download)} · {_check(download)} · {download.licence}"
        _print(console, "fetch", f"{download.url}\nto {download.path}\n{terms}")
    for step in plan.steps:
        size = spoken_bytes(step.size) if step.size else f"about {spoken_bytes(step.estimate)}" if step.estimate else ""
        terms = " · ".join(part for part in (size, step.licence) if part)
        _print(console, "then", f"{step.what}{f' ({terms})' if terms else ''}")
    for one in plan.missing:
        _print(console, "not here", f"{one.what}: only you can get it, from {one.source}")
    console.print(_sum(plan), highlight=False, soft_wrap=True)


def _sum(plan: Plan) -> str:
    """Say how much is fetched in all, and what part of that is worked out or not known."""
    sizes = [one.size for one in plan.downloads if not one.path.is_file()]
    sizes += [step.size for step in plan.steps if step.fetches and step.estimate is None]
    stated, unknown = sum(size or 0 for size in sizes), sum(size is None for size in sizes)
    if worked_out := sum(step.estimate or 0 for step in plan.steps):
        files = sum(step.files for step in plan.steps) + len([one for one in plan.downloads if not one.path.is_file()])
        return (
            f"To fetch: {files} files, about {spoken_bytes(worked_out + stated)} ({spoken_bytes(stated)} of it stated, "
            f"the rest worked out). On the disk in the end: about {spoken_bytes(worked_out + plan.known_bytes)}."
        )
    rough = f", about {spoken_bytes(plan.estimate)} in all" if unknown and plan.estimate else ""
    more = f" and {unknown} of unknown size" if unknown else ""
    in_the_end = f"{'about ' if rough else ''}{spoken_bytes(plan.known_bytes)}"
    or_more = " or more" if unknown and not rough else ""
    return f"To fetch: {spoken_bytes(stated)}{more}{rough}. On the disk in the end: {in_the_end}{or_more}."


def _print(console: Console, title: str, text: str) -> None:
    first, *more = escape(text).splitlines()
    console.print(f"[bold]{title:<9}[/] {first}", highlight=False, soft_wrap=True)
    for line in more:
        console.print(f"{'':<9} {line}", highlight=False, soft_wrap=True)


def print_notes(plan: Plan, console: Console) -> None:
    """Print the sentences to read before agreeing."""
    for note in plan.notes:
        console.print(f"[bold]note[/]  {escape(note)}", highlight=False, soft_wrap=True)


def _size(download: Download) -> str:
    if download.path.is_file():
        return "there already"
    size = spoken_bytes(download.size) if download.size is not None else "size not stated"
    part = download.path.with_name(f"{download.path.name}.part")
    return f"{size}, {spoken_bytes(part.stat().st_size)} of it there" if part.is_file() else size


def _check(download: Download) -> str:
    if download.digest is None:
        return "no hash published, so not checked"
    return f"checked by {download.digest.partition(':')[0]}"


def shown_on(bars: ProgressBar, downloads: Collection[str] = ()) -> Callable[[str, int, int], None]:
    """Return a ``progress`` that shows downloads, by name, in bytes and all else in files; a total of 0 is unknown."""

    def progress(what: str, done: int, total: int) -> None:
        if what in downloads:
            detail = f"{spoken_bytes(done)} of {spoken_bytes(total)}" if total else spoken_bytes(done)
        else:
            detail = f"{done}/{total}"
        bars.show(what, done, total or None, detail)

    return progress
