"""The server API of calls over a whole stack: what servers do reaches people's devices, and the record says why."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import pytest
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import relations_pb2

from deploy import server_keys
from deploy.embedded.record import StackRecord
from parley_client.calls import ACTIVE, ENDED
from parley_client.server import ServerClient
from parley_client.server_calls import ServerCallsClient
from tests.integration.api.conftest import DEADLINE_S, World, new_user, refused
from tests.integration.api.test_calls import until_call, until_record

DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND


@pytest.fixture
async def demo(record: StackRecord) -> AsyncIterator[ServerClient]:
    """The server of the stack that may do all, at messaging."""
    key_file = Path(record.server_keys_folder) / f"{server_keys.DEMO}.json"
    async with ServerClient(record.admin_addresses["messaging"], key_file, server_keys.DEMO) as server:
        yield server


@pytest.fixture
async def phone(record: StackRecord) -> AsyncIterator[ServerCallsClient]:
    """The same one at signaling."""
    key_file = Path(record.server_keys_folder) / f"{server_keys.DEMO}.json"
    async with ServerCallsClient(record.admin_addresses["signaling"], key_file, server_keys.DEMO) as server:
        yield server


async def test_a_bots_call_rings_a_group_and_is_ended_with_a_reason(
    world: World, demo: ServerClient, phone: ServerCallsClient, record: StackRecord
) -> None:
    alice, bob, bot = await world.online(), await world.online(), new_user()
    group = await demo.create_group(bot, "k", "Stand-up", [alice.user_id, bob.user_id])
    conversation_id = group.conversation_id
    for online in (alice, bob):
        # Rung is who let the group in.
        accept = relations_pb2.AcceptRequestRequest(conversation_id=conversation_id)
        await online.device.relations.AcceptRequest(accept)
    call = await phone.start_call(bot, conversation_id, client_call_id="monday")
    assert await phone.start_call(bot, conversation_id, client_call_id="monday") == call
    for online in (alice, bob):
        assert (await online.phone.until_ring(DEADLINE_S)).call_id == call.call_id
    await alice.phone.accept(call.call_id)
    (listed,) = await phone.list_calls(conversation_id, as_user=bot)
    states = {each.user_id: each.state for each in listed.participants}
    assert (listed.state, states[alice.user_id]) == (ACTIVE, calls.PARTICIPANT_STATE_JOINED)
    with refused(DENIED, "NOT_ADMIN"):
        await phone.end_call(call.call_id, "no reason of mine", as_user=bob.user_id)
    await phone.end_call(call.call_id, "the meeting is over")
    for online in (alice, bob):
        await until_call(online, call.call_id, ENDED)
    assert await until_record(bob, conversation_id, call.call_id) == "COMPLETED"
    assert await phone.list_calls(conversation_id) == []
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await phone.list_calls(conversation_id, as_user=new_user())
    connection = await asyncpg.connect(record.database_urls["parley_signaling"])
    try:
        query = (
            "SELECT who, method, targets FROM admin_audit WHERE targets->>'call_id' = $1 AND outcome = '' ORDER BY id"
        )
        rows = await connection.fetch(query, call.call_id)
    finally:
        await connection.close()
    said = [(row["who"], row["method"], json.loads(row["targets"])) for row in rows]
    assert said == [
        (
            *("server:demo", "EndCall"),
            {"as_user_id": bob.user_id, "call_id": call.call_id, "reason": "no reason of mine"},
        ),
        ("server:demo", "EndCall", {"call_id": call.call_id, "reason": "the meeting is over"}),
    ]
