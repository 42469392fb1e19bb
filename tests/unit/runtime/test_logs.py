"""What a log says of a failure: where it was, and nothing that stood in the variables there."""

import subprocess
import sys

import pytest

FAILING = """
import logging, sys
import structlog
from services.runtime.observability import logs
from services.runtime.config import LogConfig

def verify(token):
    draft_text = "the canary of " + "a text"
    {"a": 1}["a bug"]

def serve():
    authorization = "the canary of " + "a token"
    verify(authorization)

logs.configure(LogConfig(sys.argv[1], "info"), "messaging")
for log in (structlog.get_logger(), logging.getLogger("a library")):
    try:
        serve()
    except Exception:
        log.exception("rpc_failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_holds_no_locals(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING, form], capture_output=True, text=True, check=True)
    assert done.stderr.count("rpc_failed") == 2
    assert done.stderr.count("KeyError") >= 2
    assert "verify" in done.stderr
    assert "the canary of" not in done.stderr
