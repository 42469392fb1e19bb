"""`parley-messaging`, or `python -m services.messaging`."""

import sys

from services.messaging.config import Config
from services.messaging.wiring import build
from services.runtime.lifecycle import main


def run() -> int:
    """Gives the exit status."""
    return main("messaging", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
