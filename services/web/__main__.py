"""`python -m services.web`"""

import sys

from services.runtime.lifecycle import main
from services.web.config import Config
from services.web.wiring import build

if __name__ == "__main__":
    sys.exit(main("web", Config.from_env, build))
