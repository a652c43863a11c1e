"""What Dunya answers: refusals and pages; and the token kept out of all that is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ...errors import CmbenchError, UsageError
from ..fetching.resumed import TryAgain

if TYPE_CHECKING:
    from requests import Response

DUNYA = "https://dunya.compmusic.upf.edu"

PROFILE = f"{DUNYA}/user/profile/"
"""Where a registered user finds the token (MTG/dunya: ``API_README.md``)."""

TOKEN_VARIABLE = "CMBENCH_DUNYA_TOKEN"  # noqa: S105  (the variable's name, not a token)

HIDDEN = "[token]"
"""What stands where a server repeats the token."""

_CHUNK = 1 << 13

_LARGEST_ANSWER = 1 << 26
"""Bytes of a page of details at most; 100 recordings take about 0.2 MB."""


class TokenRefusedError(UsageError):
    """Dunya does not accept the token, or not for this."""


class DunyaUnavailableError(CmbenchError):
    """Dunya did not give something after every attempt."""


class _NotFoundError(Exception):
    """The answer is 404."""


def _accepted(answer: Response, path: str) -> Response:
    """Return an answer that has what was asked for.

    Raises:
        _NotFoundError: 404.
        TokenRefusedError: 401 or 403.
        DunyaUnavailableError: another status that asking again would not change.
    """
    status = answer.status_code
    if status == 404:
        raise _NotFoundError
    if status in (401, 403):
        audio = path.startswith("/document/")
        raise TokenRefusedError(
            f"Dunya refused the token for {path.partition('?')[0]} (HTTP {status}). "
            + ("Ask Dunya for access to this collection's audio, or check" if audio else "Check")
            + f" the token on your profile page ({PROFILE}) and set it as {TOKEN_VARIABLE}."
        )
    if status not in (200, 206, 416):
        raise DunyaUnavailableError(
            f"Dunya answered {path.partition('?')[0]} with HTTP {status}; asking again would not help."
        )
    return answer


def _hiding(token: str) -> Callable[[str], str]:
    """Return what puts :data:`HIDDEN` in place of the token in a text, as it is and as it stands in an address."""
    forms = sorted({token, quote(token, safe=""), quote(token)}, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in forms:
            text = text.replace(form, HIDDEN)
        return text

    return hide


def _hide_headers(answer: Response, hide: Callable[[str], str]) -> None:
    for name, value in list(answer.headers.items()):
        answer.headers[name] = hide(value)


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, list):
        return [_hidden(one, hide) for one in value]
    if isinstance(value, dict):
        return {hide(name): _hidden(one, hide) for name, one in value.items()}
    return value


def _object(answer: Response, hide: Callable[[str], str]) -> dict[str, Any]:
    """Return the JSON object that an answer holds, without the token; raise :class:`TryAgain` if there is none."""
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise TryAgain(f"an answer of more than {_LARGEST_ANSWER} bytes")
    try:
        value = _hidden(json.loads(body), hide)
    except (ValueError, RecursionError):
        raise TryAgain("an answer that is not JSON") from None
    if not isinstance(value, dict):
        raise TryAgain("an answer that is no JSON object")
    return value


def _page(answer: Response, hide: Callable[[str], str]) -> tuple[tuple[dict[str, Any], ...], str | None]:
    """Return the entries of a page of a list, and the query of the next page's address; ``None`` after the last.

    Only the query is taken: the token must not follow an address that an answer names.

    Raises:
        TryAgain: the answer is no page.
    """
    value = _object(answer, hide)
    results, following = value.get("results"), value.get("next")
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise TryAgain("an answer without a list of results")
    if following is not None and not isinstance(following, str):
        raise TryAgain("an answer whose next page has no address")
    if following is not None and HIDDEN in following:
        raise TryAgain("an answer whose next page has the token in its address")
    try:
        return tuple(results), urlsplit(following).query if following else None
    except ValueError:
        raise TryAgain("an answer whose next page has no address") from None
