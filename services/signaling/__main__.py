"""`python -m services.signaling`"""

import sys

from services.runtime.lifecycle import main
from services.signaling.config import Config
from services.signaling.wiring import build

if __name__ == "__main__":
    sys.exit(main("signaling", Config.from_env, build))
