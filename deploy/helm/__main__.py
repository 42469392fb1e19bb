"""`python -m deploy.helm [FOLDER]`: writes the chart into build/helm/parley. Needs kubectl, and no cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.helm import chart
from deploy.helm.places import ChartError
from deploy.k8s import check

# What is written by hand.
OWN = Path(__file__).parent / "parley"
CHART = Path("build") / "helm" / "parley"


def write(folder: Path, files: Mapping[str, str]) -> None:
    """The chart anew: our own files, and those that were made."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(OWN, folder)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the chart is there."""
    folder = Path(arguments[0]) if arguments else CHART
    if shutil.which("kubectl") is None:
        sys.stderr.write("There is no kubectl here: one since 1.27 renders the overlay, without a cluster.\n")
        return 1
    try:
        files = chart.files(check.render("production"))
    except (ChartError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"helm: {getattr(error, 'stderr', None) or error}\n")
        return 1
    write(folder, files)
    sys.stdout.write(f"{folder}: a chart of {len(files)} files\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
