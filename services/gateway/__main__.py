"""`parley-gateway`, or `python -m services.gateway`."""

import sys

from services.gateway.config import Config
from services.gateway.wiring import build
from services.runtime.lifecycle import main


def run() -> int:
    """Gives the exit status."""
    return main("gateway", Config.from_env, build)


if __name__ == "__main__":
    sys.exit(run())
