"""The operators' commands that move calls and drain workers, against a whole signaling service."""

from tempfile import NamedTemporaryFile
from uuid import uuid4

from parley.calls.v1 import service_pb2 as api

from tests.integration.signaling.town import Town
from tests.support.admins import admin
from tests.support.ops_command import run_ops
from tests.support.waiting import eventually

# Each command is a process that has to start. Meanwhile no call ends by itself, although nobody brings it media, and no
# worker is taken for lost.
SIGNALING_ENV = {
    "PARLEY_RING_TIMEOUT_S": "600",
    "PARLEY_MEDIA_LOST_TIMEOUT_S": "600",
    "PARLEY_WORKER_LOST_S": "600",
}


async def operate(town: Town, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of a command, as an operator's shell has them."""
    with NamedTemporaryFile("w") as token_file:
        token_file.write(admin("operator").token(""))
        token_file.flush()
        return await run(town, token_file.name, *arguments)


async def run(town: Town, token_file: str, *arguments: str) -> tuple[int, str, str]:
    assert town.replica.app.server is not None
    address = f"127.0.0.1:{town.replica.app.server.admin_port}"
    return await run_ops({"PARLEY_ADMIN_TOKEN_FILE": token_file, "PARLEY_SIGNALING_ADDRESSES": address}, *arguments)


async def test_a_call_is_found_and_moved_to_a_named_worker(town: Town) -> None:
    pair = town.pair()
    start, _ = await pair.answered()
    call_id = start.call.call_id
    assert await operate(town, "locate-call", call_id) == (
        0,
        f"call {call_id}: worker {town.sfu.worker_id}; moves so far: 0",
        "",
    )
    async with town.worker() as other:
        answers: list[tuple[int, str, str]] = []

        async def is_moved() -> bool:
            answers.append(await operate(town, "move-call", call_id, "--to", other.worker_id))
            return answers[-1][:2] == (0, f"call {call_id}: worker {other.worker_id}; moves so far: 1")

        # Its first announcement may still be on its way.
        await eventually(is_moved, what="the move", progress=lambda: answers[-1:])


async def test_a_drained_workers_calls_move_and_it_gets_none_until_that_is_undone(town: Town) -> None:
    pair = town.pair()
    async with town.worker() as worker:
        start = await pair.ring_on(worker)
        assert await operate(town, "drain-worker", worker.worker_id) == (
            0,
            f"{worker.worker_id} takes no calls and carries none: it can be stopped",
            "",
        )
        assert worker.draining
        found = await operate(town, "locate-call", start.call.call_id)
        assert found[1] == f"call {start.call.call_id}: worker {town.sfu.worker_id}; moves so far: 1"
        back = await operate(town, "drain-worker", worker.worker_id, "--undo")
        assert back == (0, f"{worker.worker_id} takes calls again", "")
        assert not worker.draining
        await town.user(pair.alice).call("CancelCall", api.CancelCallRequest(call_id=start.call.call_id))


async def test_what_cannot_be_done_is_said_in_one_line(town: Town) -> None:
    nobody = str(uuid4())
    for arguments, reason in (
        (("move-call", nobody), "CALL_NOT_FOUND"),
        (("move-call", "not-a-call"), "FIELD_INVALID"),
        (("locate-call", nobody), "CALL_NOT_FOUND"),
        (("drain-worker", "sfu-nowhere"), "WORKER_NOT_FOUND"),
    ):
        status, output, complaints = await operate(town, *arguments)
        assert (status, output) == (1, "")
        assert complaints.startswith(f"ops: {reason}: ")
        assert len(complaints.splitlines()) == 1
