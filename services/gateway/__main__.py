"""`python -m services.gateway`"""

import sys

from services.gateway.config import Config
from services.gateway.wiring import build
from services.runtime.lifecycle import main

if __name__ == "__main__":
    sys.exit(main("gateway", Config.from_env, build))
