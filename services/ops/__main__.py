"""`parley-ops --help`, or `python -m services.ops --help`."""

import sys

from services.ops.wiring import main


def run() -> int:
    """Gives the exit status."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
