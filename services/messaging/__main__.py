"""`python -m services.messaging`"""

import sys

from services.messaging.config import Config
from services.messaging.wiring import build
from services.runtime.lifecycle import main

if __name__ == "__main__":
    sys.exit(main("messaging", Config.from_env, build))
