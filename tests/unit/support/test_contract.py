"""The contract of clients: what its report says, and that a driver which breaks the protocol is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.contract.__main__ import judge
from tests.contract.driver import CannotError, Driver, DriverError, RefusedError
from tests.contract.steps import STEPS, BrokenError, Contract, in_one_order

PATIENCE_S = 60.0


async def driver_of(folder: Path, body: str, patience_s: float = PATIENCE_S) -> Driver:
    """A driver whose program answers each `line` with what the body prints."""
    program = folder / "driver.py"
    program.write_text(f"import json, sys\nfor line in sys.stdin:\n    given = json.loads(line)\n    {body}\n")
    return await Driver.begin(f"{sys.executable} -u {program}", patience_s)


async def answer_of(folder: Path, body: str) -> dict[str, Any]:
    driver = await driver_of(folder, body)
    try:
        return await driver.do("send", text="Grüße\n🙂")
    finally:
        await driver.end()


async def test_a_driver_gets_a_line_and_answers_one(tmp_path: Path) -> None:
    said = await answer_of(tmp_path, "print(json.dumps({'n': given['n'], 'done': {'got': given}}))")
    assert said["got"] == {"n": 1, "do": "send", "text": "Grüße\n🙂"}


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("print(json.dumps({'n': 1, 'refused': 'NOT_ALLOWED'}))", RefusedError, "NOT_ALLOWED"),
        ("print(json.dumps({'n': 1, 'cannot': 'no edits'}))", CannotError, "no edits"),
        ("print(json.dumps({'n': 1}))", DriverError, "neither done nor refused"),
        ("print(json.dumps({'n': 2, 'done': {}}))", DriverError, "an answer to 2"),
        ("print('hello')", DriverError, "no answer of the protocol"),
        ("print('[]')", DriverError, "no answer of the protocol"),
        ("sys.exit()", DriverError, "it has ended"),
    ],
)
async def test_what_is_no_answer_is_told(tmp_path: Path, body: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        await answer_of(tmp_path, body)


async def test_a_driver_that_is_silent_is_given_up_and_its_late_answer_is_nobodys(tmp_path: Path) -> None:
    # It answers the first command together with the second.
    body = "given['n'] == 1 or [print(json.dumps({'n': n, 'done': {'n': n}})) for n in (1, 2)]"
    driver = await driver_of(tmp_path, body, 1.0)
    try:
        with pytest.raises(DriverError, match="no answer within 1 s"):
            await driver.do("state")
        assert await driver.do("state") == {"n": 2}
    finally:
        await driver.end()


async def test_a_report_has_a_line_a_step_and_counts_what_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    async def holds(_: Contract) -> None:
        """It holds"""

    async def cannot(_: Contract) -> None:
        """It cannot"""
        raise CannotError("no edits here")

    async def breaks(_: Contract) -> None:
        """It breaks"""
        raise BrokenError("seen was nothing")

    class Begun:
        conversation = "c1"

    assert await judge(cast(Contract, Begun()), (holds, cannot, breaks, holds)) == 1
    assert capsys.readouterr().out.splitlines() == [
        "1..4",
        "ok 1 - It holds",
        "ok 2 - It cannot # SKIP no edits here",
        "not ok 3 - It breaks",
        "  # BrokenError: seen was nothing",
        "ok 4 - It holds",
    ]


async def test_nothing_is_judged_without_a_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    async def breaks(_: Contract) -> None:
        """It breaks"""
        raise DriverError("it has ended")

    class NotBegun:
        conversation = ""

    assert await judge(cast(Contract, NotBegun()), (breaks, breaks)) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Bail out!")


@pytest.mark.parametrize("seqs", [[1, 3], [2, 1], [1, 1]])
def test_a_gap_a_double_and_another_order_are_told(seqs: list[int]) -> None:
    in_one_order([{"seq": "4"}, {"seq": 5}])
    with pytest.raises(BrokenError):
        in_one_order([{"seq": seq} for seq in seqs])


def test_the_page_has_every_step_and_every_command() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "start" / "contract.md").read_text()
    for number, step in enumerate(STEPS, 1):
        assert f"| {number} | {(step.__doc__ or '').strip()} |" in page
    sources = Path(__file__).resolve().parents[2] / "contract"
    commands = {part.split('"')[0] for part in (sources / "steps.py").read_text().split('.do("')[1:]}
    commands |= {"start"}
    assert commands == {
        line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and "`--" not in line
    }
