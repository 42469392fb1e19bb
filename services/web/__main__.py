"""`parley-web`, or `python -m services.web`."""

import sys

from services.runtime.lifecycle import main
from services.web.config import Config
from services.web.wiring import build


def run() -> int:
    """Gives the exit status."""
    return main("web", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
