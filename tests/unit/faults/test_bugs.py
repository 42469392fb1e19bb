"""The bugs that the checker is proved by are bugs: what each changes is there."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.faults.checker.bugs import BUGS
from tests.faults.checker.bugs.planting import put, reword
from tests.faults.checker.promises import PROMISES


def test_each_bug_can_be_put_into_its_service() -> None:
    # In a process of its own: this one's services stay as they are.
    program = "from tests.faults.checker.bugs import BUGS\nfor bug in BUGS.values():\n    bug.seed()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_bug_breaks_a_promise_that_there_is() -> None:
    assert {promise for bug in BUGS.values() for promise in bug.promises} <= set(PROMISES)


def test_a_bug_in_what_is_not_there_is_refused() -> None:
    module = SimpleNamespace(__name__="sql", SELECT="SELECT 1")
    with pytest.raises(LookupError, match="SELECT does not say 'SELECT 2'"):
        reword(module, "SELECT", "SELECT 2", "")
    with pytest.raises(AttributeError):
        put(module, "INSERT", "")
