"""`python -m deploy.observability.check`: promtool checks the rules and runs their tests.

PARLEY_PROMTOOL says where it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from deploy.observability.queries import FOLDER, groups

BUILD = Path("build") / "observability"


def main() -> int:
    """Returns promtool's own status."""
    promtool = os.environ.get("PARLEY_PROMTOOL", "promtool")
    BUILD.mkdir(parents=True, exist_ok=True)
    # The files hold the operator's objects; promtool wants what is inside.
    (BUILD / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    shutil.copy(FOLDER / "rules.test.yaml", BUILD)
    for command in ("check rules rules.yaml", "test rules rules.test.yaml"):
        status = subprocess.run([promtool, *command.split()], cwd=BUILD).returncode  # noqa: S603 - promtool
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
