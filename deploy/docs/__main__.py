"""Build the site: `python -m deploy.docs FOLDER`. A link or a test's name that leads to nothing fails the build."""

from __future__ import annotations

import logging
import os
import sys

# The theme's remarks about its successor are no news of ours.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from mkdocs.utils import CountHandler

from deploy.docs.pages import ROOT


def main(folder: str) -> int:
    """Build into the folder and say what is wrong. The exit status: 1 when something is."""
    logger = logging.getLogger("mkdocs")
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.WARNING)
    counted = CountHandler()
    counted.setLevel(logging.WARNING)
    logger.addHandler(counted)
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=folder))
    except Abort as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 1 if counted.get_counts() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build/site"))
