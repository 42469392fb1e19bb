"""`python -m services.presence`"""

import sys

from services.presence.config import Config
from services.presence.wiring import build
from services.runtime.lifecycle import main

if __name__ == "__main__":
    sys.exit(main("presence", Config.from_env, build))
