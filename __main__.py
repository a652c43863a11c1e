"""``cmbench`` and ``python -m cmbench``: quiet at Ctrl-C from the first import on."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing had begun.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
