"""The drills: what is destroyed, what takes over, and what is looked at then.

Each takes `bare`: its protection is taken away first, and the drill must find that (`python -m loadtests.drills`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import grpc
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.settings import PARTS, StackSettings
from deploy.embedded.stack import Stack, running_stack
from loadtests.disasters import postgres
from loadtests.disasters.judging import Report, device_faults, missing, store_faults
from loadtests.observing.drill import Pair, pair
from loadtests.stacks import edge_of
from parley_client.client import Device
from parley_client.waiting import DeadlineMissedError

DEADLINE_S = 60.0
MESSAGES = 60
_ANY_PORT = {"PARLEY_PORT_EDGE": "0", "PARLEY_PORT_MEDIA": "0"}
_ACKNOWLEDGED = list[tuple[str, int]]
_FORGETTING = """
    CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER forgets BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION forget();
"""


async def back_up(folder: Path, report: Report, *, bare: bool = False) -> None:
    """A base backup, then more messages; the server's data are destroyed; backup and archived WAL make a new stack."""
    old, new, archive, base = folder / "old", folder / "new", folder / "archive", folder / "backup" / "data"
    sink = LogSink(folder / "logs", None)
    async with _stack(old) as stack, AsyncExitStack() as archiving:
        server = postgres.Server(old)
        await archiving.enter_async_context(server.receiving(archive, sink))
        async with pair(edge_of(stack.record()), mark=(mark := _mark(report))) as people:
            acknowledged = await _write(people, MESSAGES)
            began_s = time.monotonic()
            await server.copy_to(base, "--wal-method=none")
            report.figures["backup_s"] = round(time.monotonic() - began_s, 1)
            if bare:
                # Until here the backup needs it; from here on only what is written after it.
                await server.until_copied()
                await archiving.aclose()
            acknowledged += await _write(people, MESSAGES)
        report.say(f"{len(acknowledged)} messages, half of them after the backup")
        if not bare:
            await server.until_copied()
        await stack.stop(timeout_s=0)
    lost_s = time.monotonic()
    await asyncio.to_thread(postgres.restore, archive, base)
    await asyncio.to_thread(postgres.move, base, new / "postgres")
    async with _stack(new) as stack:
        await _look_again(stack, mark, acknowledged, lost_s, report)
    sink.close()


async def lose_region(folder: Path, report: Report, *, bare: bool = False) -> None:
    """All of one stack is killed while messages are sent; a second one takes over on a synchronous standby's data."""
    old, new, standby = folder / "old", folder / "new", folder / "standby"
    sink = LogSink(folder / "logs", None)
    acknowledged: _ACKNOWLEDGED = []
    async with _stack(old) as stack, AsyncExitStack() as standing_by:
        server = postgres.Server(old)
        await server.copy_to(standby / "data", "--write-recovery-conf", "--wal-method=stream")
        await standing_by.enter_async_context(server.standby(standby, sink))
        if not bare:
            await server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        async with pair(edge_of(stack.record()), mark=(mark := _mark(report))) as people:
            writing = asyncio.create_task(people.write(acknowledged))
            if bare:
                await _until(lambda: len(acknowledged) >= MESSAGES // 2, "messages that the standby has")
                # What follows is acknowledged without it.
                await standing_by.aclose()
            await _until(lambda: len(acknowledged) >= MESSAGES, "messages before the loss")
            lost_s = time.monotonic()
            # All at once; `stop` then keeps the supervisor from starting them anew.
            for pid in stack.record().pids.values():
                os.kill(pid, signal.SIGKILL)
            await stack.stop(timeout_s=0)
            writing.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await writing
    report.say(f"the region is gone after {len(acknowledged)} messages")
    await asyncio.to_thread(postgres.become_primary, standby / "data")
    await asyncio.to_thread(postgres.move, standby / "data", new / "postgres")
    async with _stack(new) as stack:
        await _look_again(stack, mark, acknowledged, lost_s, report)
    sink.close()


async def lose_broker(folder: Path, report: Report, *, bare: bool = False) -> None:
    """The broker is killed and comes back empty while messages are sent; presence and calls go on."""
    async with _stack(folder / "only") as stack, pair(edge_of(stack.record())) as people:
        acknowledged = await _write(people, MESSAGES)
        if bare:
            await _forget_outbox(stack)
        began_s = time.monotonic()
        os.kill(stack.record().pids["broker"], signal.SIGKILL)
        report.say(f"the broker has lost everything after {len(acknowledged)} messages")
        acknowledged += await _write(people, MESSAGES)
        report.figures["sends_went_on_s"] = round(time.monotonic() - began_s, 1)
        # Nothing follows the last one, which would let a device see that it misses something.
        await _compare(people, acknowledged, report)
        report.figures |= {"delivered_again_s": round(time.monotonic() - began_s, 1), "acknowledged": len(acknowledged)}
        if report.errors:
            return
        await _see_going_offline(stack, people)
        await people.call(1.0)
        report.figures |= {"presence": True, "call": True}


async def _forget_outbox(stack: Stack) -> None:
    """As a service that told the broker beside its transaction: what the broker does not get is told by nobody."""
    connection = await asyncpg.connect(stack.record().database_urls["parley_messaging"])
    try:
        await connection.execute(_FORGETTING)
    finally:
        await connection.close()


async def _see_going_offline(stack: Stack, people: Pair) -> None:
    """The caller is told that another person comes and goes."""
    async with pair(edge_of(stack.record())) as others:
        watched = others.caller.user_id
        await _share_a_conversation(people.caller.device, watched)
        await people.caller.stream.watch([watched])
        inbox = people.caller.stream.inbox
        await people.caller.stream.until(lambda: inbox.is_online(watched), DEADLINE_S, "online after the loss")
    await people.caller.stream.until(lambda: not inbox.is_online(watched), DEADLINE_S, "offline after the loss")


async def _share_a_conversation(device: Device, user_id: str) -> None:
    request = messaging.CreateDirectConversationRequest(peer_user_id=user_id)
    await device.messaging.CreateDirectConversation(request)


async def _look_again(stack: Stack, mark: str, acknowledged: _ACKNOWLEDGED, lost_s: float, report: Report) -> None:
    """Both people on new devices at the new stack: what they find there, and whether they can write and call again."""
    async with pair(edge_of(stack.record()), mark=mark) as people:
        written = await _write(people, 1)
        report.figures["rto_s"] = round(time.monotonic() - lost_s, 1)
        stored = await _stored(people)
        report.figures |= {"acknowledged": len(acknowledged), "lost": len(missing(acknowledged, stored))}
        report.errors += store_faults(acknowledged, stored)
        written += await _write(people, MESSAGES)
        await _compare(people, written, report)
        await people.call(1.0)


async def _stored(people: Pair) -> dict[int, str]:
    """The conversation as the new stack has it: client_message_id by seq."""
    found: dict[int, str] = {}
    while True:
        request = messaging.ListMessagesRequest(
            conversation_id=people.conversation_id, before_seq=min(found, default=0), page_size=200
        )
        page = await people.caller.device.messaging.ListMessages(request)
        found |= {message.seq: message.client_message_id for message in page.messages}
        if not page.has_more:
            return found


async def _compare(people: Pair, acknowledged: _ACKNOWLEDGED, report: Report) -> None:
    """Waits until both devices have the last message, or the deadline, and judges what they have then."""
    both = (people.caller, people.callee)
    last = max((seq for _, seq in acknowledged), default=0)
    with suppress(DeadlineMissedError):
        for one in both:
            arrived = lambda one=one: one.history(people.conversation_id).cursor >= last  # noqa: E731
            await one.stream.until(arrived, DEADLINE_S, f"message {last}")
    report.errors += device_faults(acknowledged, [one.history(people.conversation_id) for one in both])


async def _write(people: Pair, count: int) -> _ACKNOWLEDGED:
    acknowledged: _ACKNOWLEDGED = []
    writing = asyncio.create_task(people.write(acknowledged, retry=True, pause_s=0.01))
    await _until(lambda: len(acknowledged) >= count or writing.done(), f"{count} messages")
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    return acknowledged[:count]


async def _until(holds: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise DeadlineMissedError(f"{what}: not within {DEADLINE_S:g} s") from None


def _mark(report: Report) -> str:
    return f"{report.drill}-people"


@asynccontextmanager
async def _stack(folder: Path) -> AsyncIterator[Stack]:
    parts = frozenset(PARTS) - {"web"}
    settings = StackSettings(folder=folder, log_folder=folder / "logs", parts=parts, broker="tansu")
    async with running_stack(settings, ports=Ports({**os.environ, **_ANY_PORT})) as stack:
        yield stack
