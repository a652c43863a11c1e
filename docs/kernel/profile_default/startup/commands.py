"""How the tutorials' cells run commands: what is printed stands below them, and one that fails ends the build."""

import os
import subprocess
import sys

from IPython import get_ipython

os.environ["COLUMNS"] = "88"
os.environ.pop("FORCE_COLOR", None)


def _run(command: str) -> None:
    done = subprocess.run(  # noqa: S603 - the tutorials' own commands
        ["bash", "-o", "pipefail", "-c", command],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)
    if done.returncode:
        raise RuntimeError(f"{command}: ended with {done.returncode}\n{done.stderr}")


get_ipython().system = _run
