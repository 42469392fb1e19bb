"""`parley-sfu`, or `python -m services.sfu`: one worker, or a pod of several."""

import os
import sys

from services.runtime.lifecycle import main
from services.sfu.config import Config, wanted_workers
from services.sfu.pod.config import PodConfig
from services.sfu.pod.wiring import build_pod, build_registry
from services.sfu.wiring import build


def run() -> int:
    """Gives the exit status."""
    if wanted_workers(os.environ) == 1:
        return main("sfu", Config.from_env, build)
    return main("sfu", PodConfig.from_env, build_pod, build_registry)


if __name__ == "__main__":
    sys.exit(run())
