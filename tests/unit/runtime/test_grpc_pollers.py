"""gRPC takes the pollers that services/__init__.py asks for: a newer grpcio may not know them any more."""

import subprocess
import sys

import pytest

PROGRAM = "{}import grpc; grpc.insecure_channel('127.0.0.1:1').close()"


def _said(setup: str) -> str:
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM.format(setup)), capture_output=True, text=True, check=True, timeout=120
    )
    return done.stderr


@pytest.mark.parametrize(
    ("setup", "known"),
    [
        ("import services; ", True),
        ("import os; os.environ['GRPC_EXPERIMENTS'] = '-no_such_poller'; import services; ", False),
    ],
    ids=["ours", "a name that does not exist"],
)
def test_grpc_knows_the_pollers(setup: str, known: bool) -> None:
    assert ("Unknown experiment" not in _said(setup)) == known
