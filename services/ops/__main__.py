"""`python -m services.ops --help`"""

import sys

from services.ops.wiring import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
