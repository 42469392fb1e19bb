"""`python -m services.sfu`: one worker, or a pod of several."""

import os
import sys

from services.runtime.lifecycle import main
from services.sfu.config import Config, wanted_workers
from services.sfu.pod.config import PodConfig
from services.sfu.pod.wiring import build_pod, build_registry
from services.sfu.wiring import build

if __name__ == "__main__":
    if wanted_workers(os.environ) == 1:
        sys.exit(main("sfu", Config.from_env, build))
    sys.exit(main("sfu", PodConfig.from_env, build_pod, build_registry))
