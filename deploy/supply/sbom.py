"""`make sbom`: CycloneDX documents of the locked packages, a file a lock, in build/sbom. Works without the network.

The images hold the packages of requirements.lock, and the web image what the npm lock builds. What their base brings
(Debian, Python itself) is not in our locks: a scanner of images has to see to that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path("build") / "sbom"
# Who runs with which: services in all Python images; dev and node only while images are built and tested.
LOCKS = ("requirements", "requirements-dev", "requirements-node", "requirements-security")


def main() -> int:
    """Returns 0 when all were made and say what the locks say."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for lock in LOCKS:
        path = FOLDER / f"{lock}.cdx.json"
        # It checks the document by the schema of CycloneDX before it writes it.
        made = [sys.argv[1], "requirements", f"{lock}.lock", "--output-reproducible", "--of", "JSON", "-o", str(path)]
        subprocess.run([*made, "--validate"], check=True)  # noqa: S603 - the lock's own program
        _report(path, json.loads(path.read_text()), len(locked(Path(f"{lock}.lock").read_text())))
    npm = ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"]
    answer = subprocess.run(npm, check=True, capture_output=True, text=True).stdout  # noqa: S603 - npm itself
    path = FOLDER / "web.cdx.json"
    path.write_text(answer)
    _report(path, json.loads(answer), 1)
    return 0


def locked(text: str) -> list[str]:
    """The packages of a lock file, `name==version`."""
    names = (line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#")))
    return [line.split()[0].rstrip(";") for line in names]


def _report(path: Path, document: dict[str, Any], at_least: int) -> None:
    count = len(document["components"])
    if document["bomFormat"] != "CycloneDX" or count < at_least:
        raise SystemExit(f"{path}: {count} components, but the lock has {at_least}")
    sys.stdout.write(f"{path}: {count} components\n")


if __name__ == "__main__":
    sys.exit(main())
