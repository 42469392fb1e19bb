"""Programs that some tests need and a machine of one's own may not have."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(program: str) -> NoReturn:
    """Skip this test for want of the program, on one's own machine only: with CI set that is a failure.

    `.ci/test` says at its end what was left out.
    """
    missing = f"{program} is not installed"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
