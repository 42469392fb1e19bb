"""`parley-push`, or `python -m services.push`."""

import sys

from services.push.config import Config
from services.push.wiring import build
from services.runtime.lifecycle import main


def run() -> int:
    """Gives the exit status."""
    return main("push", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
