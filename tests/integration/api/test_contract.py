"""The contract of clients, by the drivers of the reference clients and by one that breaks it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from deploy.embedded.record import ROOT, StackRecord
from tests.contract.steps import STEPS
from tests.support.needs import LEFT_OUT, leave_out
from tests.support.quickstarts import running

DRIVERS = ROOT / "tests" / "contract" / "drivers"
# A client that gives each attempt a key of its own, and shows the newest first.
BROKEN = """
import asyncio, sys, uuid
sys.path.insert(0, {drivers!r})
import python_client
class Driver(python_client.Driver):
    async def send(self, given):
        return await super().send({{**given, "key": str(uuid.uuid4())}})
    async def shown(self, given):
        return {{"messages": (await super().shown(given))["messages"][::-1]}}
python_client.Driver = Driver
asyncio.run(python_client.main())
"""


async def report(record: StackRecord, driver: str, patience_s: int = 40) -> list[str]:
    """The lines of a run, and its exit status as the last one."""
    target = f"http://{record.edge_address}"
    options = ("--target", target, "--driver", driver, "--away", "1.5", "--patience", str(patience_s))
    command = f"{shlex.join((sys.executable, '-m', 'tests.contract', *options))}; echo status $?"
    path = os.pathsep.join(str(ROOT / part) for part in (".", "gen", "clients/python"))
    async with running("bash", "-c", command, where=ROOT, env={"PYTHONPATH": path}) as program:
        return (await program.until_end()).splitlines()


@pytest.mark.parametrize("client", ["python", "curl"])
async def test_a_reference_client_keeps_the_contract(record: StackRecord, client: str) -> None:
    if client == "curl" and not shutil.which("jq"):
        leave_out(f"{LEFT_OUT}no jq here; a package of Debian's has it")
    programs = {"python": (sys.executable, "python_client.py"), "curl": ("bash", "curl.sh")}
    interpreter, name = programs[client]
    said = await report(record, shlex.join((interpreter, str(DRIVERS / name))))
    kept = [f"ok {number} - {(step.__doc__ or '').strip()}" for number, step in enumerate(STEPS, 1)]
    assert said == [f"1..{len(STEPS)}", *kept, "status 0"], "\n".join(said)


async def test_a_client_that_doubles_messages_and_turns_their_order_is_found(
    record: StackRecord, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(BROKEN.format(drivers=str(DRIVERS)))
    said = await report(record, shlex.join((sys.executable, str(broken))), patience_s=3)
    assert said[-1] == "status 1"
    judged = {int(line.split(" - ")[0].split()[-1]): line.startswith("ok") for line in said if "ok " in line[:7]}
    names = {step.__name__: judged[number] for number, step in enumerate(STEPS, 1)}
    assert not any(names[name] for name in ("sends", "hears", "comes_back")), "\n".join(said)
    assert all(names[name] for name in ("starts", "opens", "tells_refusals", "gives_way")), "\n".join(said)
