"""`parley-previews`, or `python -m services.previews`."""

import sys

from services.previews.config import Config
from services.previews.wiring import build
from services.runtime.lifecycle import main


def run() -> int:
    """Gives the exit status."""
    return main("previews", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
