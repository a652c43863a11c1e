"""Servers that were never reached: told at once, with what to do, because asking again would only cost minutes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ...errors import CmbenchError

if TYPE_CHECKING:
    import requests


class UnreachableError(CmbenchError):
    """No connection to a server came about at all: its name is unknown here, or nobody answers at its address."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} cannot be reached: {why}. Look after the network (or HTTPS_PROXY) and run the same command again, "
            "which goes on from what is there; or put the data there by hand (docs/data.md)."
        )


def never_connected(error: requests.RequestException) -> str:
    """Return why no connection came about; empty if one did, or if the server let us wait, which may pass."""
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    inner = _inner(error)
    if not isinstance(inner, NewConnectionError):
        return ""
    cause = inner.__cause__ or inner.__context__
    if isinstance(cause, socket.gaierror):
        return "its name cannot be resolved"
    said = cause.strerror if isinstance(cause, OSError) else None
    return f"no connection ({said or type(inner).__name__})"


def reason(error: requests.RequestException) -> str:
    """Say in a few words why a connection failed: the name of the innermost error that requests wraps."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return type(_inner(error)).__name__


def _inner(error: requests.RequestException) -> BaseException:
    inner: object = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    return inner if isinstance(inner, Exception) else error
