"""``cmbench doctor`` as a user types it."""

from __future__ import annotations

import re

from cmbench.tests.conftest import Cmbench


def test_the_doctor_finds_what_is_installed(cmbench: Cmbench) -> None:
    assert re.search(r"^ok +torch +\d", cmbench("doctor").out, re.MULTILINE)
