"""The built board on this machine, for a local look."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ...errors import UsageError
from .site import DATA

LOCAL = "127.0.0.1"
"""Nobody but this machine reaches it."""


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, always read anew, never guessed to be something else."""

    def end_headers(self) -> None:
        """Let a browser keep nothing, and guess no other type than is said."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for the address."""


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a built board, not yet serving.

    Port 0 is any free one.

    Raises:
        UsageError: there is no board in the folder, or the port is taken.
    """
    if not (folder / DATA).is_file():
        raise UsageError(f"{folder} holds no board; `cmbench leaderboard build --out {folder}` makes one.")
    try:
        return ThreadingHTTPServer((LOCAL, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used ({error.strerror}); choose another --port.") from error
