"""`parley-signaling`, or `python -m services.signaling`."""

import sys

from services.runtime.lifecycle import main
from services.signaling.config import Config
from services.signaling.wiring import build


def run() -> int:
    """Gives the exit status."""
    return main("signaling", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
