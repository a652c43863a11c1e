"""Refuse a licence that would bind who installs cmbench: copyleft without an exception for use as a library."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

STRONG = re.compile(r"\b(A?GPL|(Affero )?General Public)", re.IGNORECASE)
WEAK = re.compile(r"LGPL|Lesser|exception", re.IGNORECASE)
"""Of several licences joined with ";" or "OR" one may be chosen."""

rows = list(csv.DictReader(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))
bad = []
for row in rows:
    choices = re.split(r";|\bOR\b", row["License"])
    if all(STRONG.search(one) and not WEAK.search(one) for one in choices):
        bad.append(f"{row['Name']} {row['Version']}: {row['License']}")
unknown = [row["Name"] for row in rows if row["License"].strip().upper() in ("", "UNKNOWN")]
sys.stdout.write(f"{len(rows)} packages; licence not stated: {', '.join(unknown) or 'none'}\n")
if bad:
    sys.exit("Copyleft: " + "; ".join(bad))
