"""The server API over a whole stack: what servers do as accounts reaches people's devices, and the example runs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import grpc
import pytest
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import server_pb2
from parley.messaging.v1 import service_pb2 as messaging

from deploy import server_keys
from deploy.embedded.record import ROOT, StackRecord
from parley_client.server import ServerClient
from services.messaging.hooks.core.holding import Held, HeldId
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import ConversationId, DraftKey, UserId
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.identity import scopes
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from tests.integration.api.conftest import World, new_user, refused, send
from tests.support.db import connected
from tests.support.waiting import PATIENCE_S, eventually, within

DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND
FAILED = grpc.StatusCode.FAILED_PRECONDITION
EXAMPLE = ROOT / "docs" / "start" / "first-bot.md"


@pytest.fixture
async def demo(record: StackRecord) -> AsyncIterator[ServerClient]:
    """The server of the stack that may do all."""
    key_file = Path(record.server_keys_folder) / f"{server_keys.DEMO}.json"
    async with ServerClient(record.admin_addresses["messaging"], key_file, server_keys.DEMO) as server:
        yield server


def new_server(record: StackRecord, folder: Path, name: str, *words: str, acts_as: str) -> ServerClient:
    """A server with a key of its own, made by the command, in a stack that runs."""
    private, public = folder / f"{name}.json", Path(record.server_keys_folder) / "public.json"
    command = [name, "--acts-as", acts_as, "--private", str(private), "--public", str(public)]
    assert server_keys.main([*command, *(part for word in words for part in ("--scope", word))]) == 0
    return ServerClient(record.admin_addresses["messaging"], private, name)


async def test_a_message_of_a_server_is_a_message_of_its_account_at_every_device(
    world: World, demo: ServerClient
) -> None:
    alice, bot = await world.online(), await world.online()
    conversation_id = (await demo.open_direct(bot.user_id, alice.user_id)).conversation_id
    sent = await demo.send_text(bot.user_id, conversation_id, "welcome", client_message_id="welcome")
    again = await demo.send_text(bot.user_id, conversation_id, "welcome", client_message_id="welcome")
    assert (sent.message_id, sent.sender_id) == (again.message_id, bot.user_id)
    for device in (alice, bot):
        await device.until_seq(conversation_id, sent.seq)
    for device in (alice, bot):
        listed = await device.device.messaging.ListMessages(
            messaging.ListMessagesRequest(conversation_id=conversation_id)
        )
        assert [(message.sender_id, message.text.text) for message in listed.messages] == [(bot.user_id, "welcome")]
    # The answer is there for the server to read, as the account.
    answer = await send(alice.device, conversation_id, "thanks")
    page, has_more = await demo.list_messages(conversation_id, as_user=bot.user_id)
    assert ([message.message_id for message in page], has_more) == ([answer.message_id, sent.message_id], False)


async def test_a_group_is_made_and_kept_on_behalf(world: World, demo: ServerClient) -> None:
    bot, alice, bob = new_user(), new_user(), new_user()
    group = await demo.create_group(bot, "k", "Help", [alice])
    await demo.add_members(bot, group.conversation_id, [bob])
    left = await demo.remove_members(bot, group.conversation_id, [alice], "left the company")
    assert {member.user_id for member in left.members} == {bot, bob}
    assert await demo.get_conversation(group.conversation_id) == left
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await demo.get_conversation(group.conversation_id, as_user=alice)


async def test_a_key_of_its_own_has_its_scopes_and_its_accounts_alone(
    world: World, record: StackRecord, tmp_path: Path, demo: ServerClient
) -> None:
    bot, alice = new_user(), new_user()
    conversation_id = (await demo.open_direct(bot, alice)).conversation_id
    async with new_server(record, tmp_path, f"only-{bot}", "messages:send", acts_as=bot) as server:
        await server.send_text(bot, conversation_id, "hello")
        with refused(DENIED, "CALLER_NOT_ALLOWED"):
            await server.send_text(alice, conversation_id, "hello")
        for call in (
            server.open_direct(bot, alice),
            server.create_group(bot, "k", "Help", []),
            server.add_members(bot, conversation_id, [alice]),
            server.remove_members(bot, conversation_id, [alice], "spam"),
            server.get_conversation(conversation_id, as_user=bot),
            server.list_messages(conversation_id, as_user=bot),
        ):
            with refused(DENIED, "CALLER_NOT_ALLOWED"):
                await call
    async with new_server(record, tmp_path, f"all-{bot}", *sorted(scopes.ALL), acts_as=bot) as server:
        await server.list_messages(conversation_id, as_user=bot)
        for call in (server.list_messages(conversation_id), server.get_conversation(conversation_id)):
            with refused(DENIED, "CALLER_NOT_ALLOWED"):
                await call


async def test_a_message_that_is_taken_down_is_gone_at_every_device(world: World, demo: ServerClient) -> None:
    alice, bob, conversation_id = await world.pair_online()
    message = await send(alice.device, conversation_id, "bad words")
    for device in (alice, bob):
        await device.until_seq(conversation_id, message.seq)
    gone = await demo.take_down_message(conversation_id, message.seq, "spam")
    assert gone.WhichOneof("content") == "unsent"
    for device in (alice, bob):
        history = device.stream.inbox.conversations.history(conversation_id)
        await device.stream.until(
            lambda history=history: [entry.kind for entry in history.shown] == ["unsent"], PATIENCE_S, "that it is gone"
        )
    assert "bad words" not in str(await demo.list_messages(conversation_id))


async def test_what_is_held_reaches_devices_when_a_reviewer_lets_it_pass_and_the_record_says_why(
    world: World, demo: ServerClient, record: StackRecord
) -> None:
    alice, bob, conversation_id = await world.pair_online()
    now = datetime.now(UTC)
    passes, fails = [
        Held(
            *(HeldId(new_id(now)), DraftKey(ConversationId(UUID(conversation_id)), UserId(alice.user_id), key)),
            *(Text(f"{key} words"), now, "SPAM"),
        )
        for key in ("good", "bad")
    ]
    url = record.database_urls["parley_messaging"]
    async with connected(Database(DatabaseConfig(url, pool_size=1), MIGRATIONS)) as database:
        for each in (passes, fails):
            await PostgresHeld(database, timedelta(days=1)).hold(each, 10)
        found, token = [], ""
        while not found or token:
            page, token = await demo.list_held_messages(page_token=token)
            found += page
        mine = {each.held_id: each for each in found if each.message.sender_id == alice.user_id}
        assert set(mine) == {str(passes.id), str(fails.id)}
        assert (mine[str(fails.id)].message.text.text, mine[str(fails.id)].hook_reason) == ("bad words", "SPAM")
        sent = await demo.release_held_message(str(passes.id), "nothing wrong with it")
        for device in (alice, bob):
            await device.until_seq(conversation_id, sent.seq)
        await demo.refuse_held_message(str(fails.id), "an advertisement")
        with refused(FAILED, "HELD_DECIDED"):
            await demo.release_held_message(str(fails.id), "a second thought")
        with refused(NOT_FOUND, "HELD_NOT_FOUND"):
            await demo.refuse_held_message(str(new_id(now)), "what is it")
        async with database.connection() as connection:
            rows = await connection.fetch(
                "SELECT method, targets FROM admin_audit WHERE targets->>'held_id' = ANY($1) AND outcome = ''"
                " ORDER BY id",
                [str(passes.id), str(fails.id)],
            )
    assert [(row["method"], json.loads(row["targets"])["reason"]) for row in rows] == [
        ("ReleaseHeldMessage", "nothing wrong with it"),
        ("RefuseHeldMessage", "an advertisement"),
        ("ReleaseHeldMessage", "a second thought"),
    ]
    listed = await bob.device.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    assert [message.text.text for message in listed.messages] == ["good words"]


async def test_nobody_writes_in_a_frozen_conversation_until_it_is_unfrozen(world: World, demo: ServerClient) -> None:
    alice, bob, conversation_id = await world.pair()
    message = await send(alice, conversation_id, "hello", "k")
    await send(bob, conversation_id, "hello")
    await demo.freeze_conversation(conversation_id, "under attack")
    for device in (alice, bob):
        with refused(FAILED, "CONVERSATION_FROZEN"):
            await send(device, conversation_id, "more")
    with refused(FAILED, "CONVERSATION_FROZEN"):
        await demo.send_text(alice.user_id, conversation_id, "more")
    with refused(FAILED, "CONVERSATION_FROZEN"):
        edit = messaging.EditMessageRequest(conversation_id=conversation_id, seq=1, text={"text": "other words"})
        await alice.messaging.EditMessage(edit)
    call = calls.StartCallRequest(
        conversation_id=conversation_id, device_id=alice.device_id, client_call_id="k", video=False
    )
    with refused(DENIED, "CALL_NOT_ALLOWED"):
        await alice.calls.StartCall(call)
    # A retry of what was stored before gets it.
    assert (await send(alice, conversation_id, "hello", "k")).message_id == message.message_id
    request = server_pb2.ServerMessagingServiceGetConversationRequest(conversation_id=conversation_id)
    assert (await demo.messaging.GetConversation(request)).frozen
    await demo.unfreeze_conversation(conversation_id, "it is over")
    await send(alice, conversation_id, "more")


async def test_a_restricted_account_writes_nothing_until_that_is_lifted(world: World, demo: ServerClient) -> None:
    alice, bob, conversation_id = await world.pair()
    await demo.restrict_account(alice.user_id, datetime.now(UTC) + timedelta(hours=1), "spam")
    with refused(DENIED, "ACCOUNT_RESTRICTED"):
        await send(alice, conversation_id, "hello")
    with refused(DENIED, "ACCOUNT_RESTRICTED"):
        await demo.send_text(alice.user_id, conversation_id, "hello")
    group = messaging.CreateGroupRequest(client_conversation_id="k", title="Words", user_ids=[bob.user_id])
    with refused(DENIED, "ACCOUNT_RESTRICTED"):
        await alice.messaging.CreateGroup(group)
    await send(bob, conversation_id, "hello")
    await demo.lift_restriction(alice.user_id, "a mistake")
    await send(alice, conversation_id, "hello")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await demo.restrict_account(alice.user_id, datetime.now(UTC) - timedelta(hours=1), "spam")


async def test_each_call_is_in_the_record_and_no_word_that_was_said(record: StackRecord, demo: ServerClient) -> None:
    bot, alice = new_user(), new_user()
    group = await demo.create_group(bot, "k", "a title", [alice])
    await demo.send_text(bot, group.conversation_id, "words that somebody wrote")
    await demo.remove_members(bot, group.conversation_id, [alice], "spam")
    connection = await asyncpg.connect(record.database_urls["parley_messaging"])
    query = "SELECT who, roles, method, targets, outcome FROM admin_audit WHERE targets->>'as_user_id' = $1 ORDER BY id"
    try:
        rows = await connection.fetch(query, bot)
        begun = {row["method"]: json.loads(row["targets"]) for row in rows}
        assert set(begun) == {"CreateConversation", "SendMessage", "RemoveMembers"}
        assert {row["who"] for row in rows} == {"server:demo"}
        assert {row["outcome"] for row in rows} == {""}
        assert begun["RemoveMembers"] == {
            "as_user_id": bot,
            "conversation_id": group.conversation_id,
            "user_ids": alice,
            "reason": "spam",
        }
        assert "somebody" not in str(rows)
        assert "title" not in str(rows)

        async def ended() -> bool:
            count = "SELECT count(*) FROM admin_audit WHERE outcome = 'OK' AND request_id IN (SELECT request_id FROM"
            count += " admin_audit WHERE targets->>'as_user_id' = $1)"
            return bool(await connection.fetchval(count, bot) == 3)

        await eventually(ended, what="the ends of the three calls")
    finally:
        await connection.close()


async def test_the_example_welcomes_a_user_once(world: World, record: StackRecord, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", EXAMPLE.read_text(), re.DOTALL)
    here = tmp_path / ".parley" / "run" / "stack.json"
    here.parent.mkdir(parents=True)
    here.write_text(json.dumps(asdict(record)))
    (tmp_path / "welcome.py").write_text(code)
    alice = world.device()
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "welcome.py", alice.user_id), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await within(process.communicate(), PATIENCE_S)
        assert process.returncode == 0
        assert out.decode() == f"{alice.user_id} has message 1 of welcome-bot\n"
