"""A call outlives the death of one worker of a pod: the pod says so, and signaling moves the call to the other."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.test_handoff import MovingTalk, report, talk
from tests.support.stack import RunningStack

pytestmark = pytest.mark.outages

__all__ = ["talk"]


@pytest.fixture(scope="module")
def farm(faulty: RunningStack) -> RunningStack:
    """It has one pod of two media workers."""
    return faulty


def pid_of(worker_id: str, pod: int) -> int:
    """The process of a worker, by the name in its environment."""
    children = Path(f"/proc/{pod}/task/{pod}/children").read_text().split()
    mark = f"PARLEY_SFU_WORKER_ID={worker_id}\0".encode()
    return next(int(pid) for pid in children if mark in Path(f"/proc/{pid}/environ").read_bytes())


async def test_a_call_goes_over_to_the_other_worker_when_its_own_is_killed(talk: MovingTalk) -> None:
    pod = talk.farm.record.pids["sfu"]
    worker = await talk.worker()
    os.kill(pid_of(worker, pod), signal.SIGKILL)
    await talk.until_moved(worker)
    # The pod itself went on: nothing else of it has died.
    assert talk.farm.record.pids["sfu"] == pod
    report("pod_worker_killed", talk.gaps())
