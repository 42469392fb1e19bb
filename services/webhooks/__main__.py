"""`parley-webhooks`, or `python -m services.webhooks`."""

import sys

from services.runtime.lifecycle import main
from services.webhooks.config import Config
from services.webhooks.wiring import build


def run() -> int:
    """Gives the exit status."""
    return main("webhooks", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
