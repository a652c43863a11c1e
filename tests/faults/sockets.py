"""The socket counter: how often a run asks the network for anything."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from cmbench.tests.faults.setting import Figures, corpus, evaluate


def count_sockets(folder: Path) -> Figures:
    """Run with every way out watched; asking for a name or connecting is wrong."""
    figures = Figures("sockets", cases=1)

    def asked(*given: Any, **named: Any) -> Any:
        figures.wrong.append(str(given)[:200])
        raise OSError("no network here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", asked)
        patch.setattr(socket.socket, "connect", asked)
        patch.setattr(socket.socket, "connect_ex", asked)
        corpus(folder)
        evaluate(folder)
    figures.unused = 1 - bool(figures.wrong)
    return figures
