"""`python -m services.sfu`"""

import sys

from services.runtime.lifecycle import main
from services.sfu.config import Config
from services.sfu.wiring import build

if __name__ == "__main__":
    sys.exit(main("sfu", Config.from_env, build))
