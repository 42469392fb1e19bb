"""Supervised processes, with small real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.embedded.errors import StartError
from deploy.embedded.logs import LogSink
from deploy.embedded.probes import Probe
from deploy.embedded.process import ProcessSpec
from deploy.embedded.supervisor import Supervisor
from services.runtime.restarts import FIRST_PAUSE_S, HEALTHY_AFTER_S, LONGEST_PAUSE_S, next_pause_s
from tests.support.waiting import poll, until

DEADLINE_S = 20.0
WAIT = "import signal; signal.pause()"
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({flag!r}, 'w'); signal.pause()"
# Starts a child of its own and tells its pid.
PARENT = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()"


async def always_ready() -> bool:
    return True


async def never_ready() -> bool:
    return False


def exists(path: Path) -> Probe:
    async def probe() -> bool:
        return path.exists()  # noqa: ASYNC240 - a look at a local disk

    return probe


def python(name: str, code: str, **fields: object) -> ProcessSpec:
    arguments: dict[str, object] = {"ready": always_ready, **fields}
    return ProcessSpec(name=name, command=(sys.executable, "-c", code), **arguments)  # type: ignore[arg-type]


def written(sink: LogSink, name: str) -> str:
    path = sink.path(name)
    return path.read_text() if path.exists() else ""


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[LogSink]:
    sink = LogSink(tmp_path / "logs", None)
    yield sink
    sink.close()


@pytest.fixture
async def supervisor(sink: LogSink) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(sink)
    yield supervisor
    await supervisor.stop(timeout_s=0)


async def test_killed_process_is_restarted(supervisor: Supervisor) -> None:
    await supervisor.start(python("one", WAIT))
    before = supervisor.pids()["one"]
    os.kill(before, signal.SIGKILL)
    await until(lambda: supervisor.pids().get("one", before) != before)


async def test_hook_is_carried_out_again_after_a_restart(supervisor: Supervisor) -> None:
    calls: list[int] = []

    async def hook() -> None:
        calls.append(1)

    await supervisor.start(python("one", WAIT, after_ready=hook))
    os.kill(supervisor.pids()["one"], signal.SIGKILL)
    await until(lambda: len(calls) == 2)


async def test_process_that_ends_before_it_is_ready_is_reported_with_its_last_lines(supervisor: Supervisor) -> None:
    with pytest.raises(StartError, match="no such database"):
        await supervisor.start(python("one", "import sys; sys.exit('no such database')", ready=never_ready))


async def test_process_that_ignores_the_request_to_stop_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = IGNORE_SIGTERM.format(flag=str(flag))
    await supervisor.start(python("one", code, ready=exists(flag), stop_timeout_s=0.2))
    pid = supervisor.pids()["one"]
    await supervisor.stop()
    assert not lives(pid)


async def test_children_of_a_process_are_stopped_with_it(supervisor: Supervisor, sink: LogSink) -> None:
    await supervisor.start(python("one", PARENT))
    await until(lambda: written(sink, "one").strip().isdecimal())
    child = int(written(sink, "one"))
    assert lives(child)
    await supervisor.stop()
    await until(lambda: not lives(child))


async def test_groups_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys\n"
        "def stop(*_):\n    open({order!r}, 'a').write({name!r}); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); open({flag!r}, 'w'); signal.pause()"
    )
    for name in "abc":
        flag = tmp_path / name
        program = code.format(order=str(order), name=name, flag=str(flag))
        await supervisor.start(python(name, program, ready=exists(flag)))
    await supervisor.stop()
    assert order.read_text() == "cba"


def test_nothing_is_left_when_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from deploy.embedded.logs import LogSink
from deploy.embedded.probes import Probe
from deploy.embedded.process import ProcessSpec
from deploy.embedded.supervisor import Supervisor

async def ready():
    return True

async def main():
    supervisor = Supervisor(LogSink(Path({str(tmp_path)!r}), None))
    await supervisor.start(ProcessSpec("one", ("sleep", "600"), ready))
    print(supervisor.pids()["one"], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert lives(pid)
        process.kill()
    poll(lambda: not lives(pid), DEADLINE_S, lambda: "the process outlived its supervisor")


def test_pause_grows_up_to_its_limit_and_starts_again_after_a_healthy_run() -> None:
    pause_s = 0.0
    pauses = [pause_s := next_pause_s(pause_s, ran_s=0.1) for _ in range(10)]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert next_pause_s(LONGEST_PAUSE_S, ran_s=HEALTHY_AFTER_S) == FIRST_PAUSE_S


async def test_line_without_an_end_and_bytes_that_are_no_text_do_no_harm(supervisor: Supervisor, sink: LogSink) -> None:
    await supervisor.start(python("one", "import os; os.write(1, b'x' * 300_000 + b'\\xff\\n' + b'end'); " + WAIT))
    await until(lambda: len(written(sink, "one")) >= 300_000)
    await supervisor.stop()
    assert written(sink, "one").endswith("end\n")
