"""Exports and deletions on PostgreSQL, with runners that are killed at every point of their way."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as delivery_pb2

from services.messaging.accounts.core.jobs import Job
from services.messaging.accounts.core.personal_columns import PERSONAL_COLUMNS
from services.messaging.accounts.service.accounts import AccountAdmission
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Settings
from services.messaging.kernel.content import SystemContent, SystemKind, Text
from services.messaging.kernel.errors import AccountDeleted
from services.messaging.kernel.model import Role
from services.messaging.vanishing import core as vanishing
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from tests.support.account_town import Town
from tests.support.db import connected
from tests.support.messaging_store import ALICE, BOB, CAROL, founded, reacted, stamp, text

# What holds a user's id, by its name. Ids that clients chose for their requests are none.
USER_COLUMN = r"(^|_)(user|sender|owner|reporter|blocker|author|actor|peer|recipient|reported)(_ids?)?$|_by$"


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database:
        town = Town(database)
        await town.settle()
        yield town


async def exported(town: Town, job: Job) -> list[dict[str, Any]]:
    found = await town.accounts.get_job(str(job.id), ALICE)
    assert found.finished_at
    data = b"".join(town.objects.held[key] for key in found.parts)
    return [json.loads(line) for line in data.decode().splitlines()]


async def test_an_export_holds_what_one_wrote_received_set_and_announced(town: Town) -> None:
    job = await town.accounts.start_export(ALICE)
    await town.run_killed(1_000_000)
    lines = await exported(town, job)
    assert lines[0]["type"] == "header"
    assert lines[0]["user_id"] == ALICE
    kinds = Counter(line["type"] for line in lines)
    assert (kinds["conversation"], kinds["own_states"], kinds["attachments"]) == (3, 1, 2)
    said = {
        (line["message"]["conversation_id"], line["message"].get("text", {}).get("text"))
        for line in lines
        if line["type"] == "message"
    }
    assert (str(town.pair.id), "text b1") in said
    assert (str(town.group.id), "look") in said
    assert (str(town.old.id), "text before") in said
    assert (str(town.old.id), "text after") not in said
    (edited,) = [line for line in lines if "edits" in line]
    assert edited["message"]["text"]["text"] == "edited"
    assert [edit["text"]["text"] for edit in edited["edits"]] == ["text a1"]
    reacted_on = [line["message"] for line in lines if line.get("message", {}).get("reactions")]
    assert {reaction["emoji"] for message in reacted_on for reaction in message["reactions"]} == {"👍", "❤️"}


async def test_who_came_later_exports_nothing_from_before(town: Town) -> None:
    now = town.clock.now()
    await town.store.change_group(
        town.old.id, lambda group: groups.add_members(group, BOB, [CAROL], now, 256), stamp(town.clock, BOB)
    )
    await town.store.append([text(town.clock, town.old, "now", BOB)])
    job = await town.accounts.start_export(CAROL)
    await town.run_killed(1_000_000)
    parts = (await town.accounts.get_job(str(job.id), CAROL)).parts
    data = b"".join(town.objects.held[key] for key in parts).decode()
    assert "text now" in data
    assert "text after" not in data


async def test_who_is_out_exports_what_they_wrote_and_nothing_of_what_became_of_the_group(town: Town) -> None:
    await reacted(town.store, town.clock, town.old, 2, BOB, "👍")
    await town.store.change_group(
        town.old.id, lambda group: groups.update(group, BOB, Settings(title="Without her")), stamp(town.clock, BOB)
    )
    job = await town.accounts.start_export(ALICE)
    await town.run_killed(1_000_000)
    of_old = [line for line in await exported(town, job) if str(town.old.id) in json.dumps(line)]
    (conversation,) = [line["conversation"] for line in of_old if line["type"] == "conversation"]
    assert set(conversation) <= {"conversation_id", "kind", "create_time"}
    messages = [line["message"] for line in of_old if line["type"] == "message"]
    assert "text before" in {message.get("text", {}).get("text") for message in messages}
    assert not any("reactions" in message for message in messages)


async def test_an_export_holds_nothing_of_what_has_vanished_before_the_sweeper_came(town: Town) -> None:
    conversation = await founded(town.store, town.clock, "short", BOB)
    await town.store.change_group(
        conversation.id,
        lambda group: vanishing.set_vanishing(group, ALICE, timedelta(minutes=5)),
        stamp(town.clock, ALICE),
    )
    await town.store.append([text(town.clock, conversation, "secret")])
    job = await town.accounts.start_export(ALICE)
    town.clock.advance(301)
    await town.run_killed(1_000_000)
    data = json.dumps(await exported(town, job))
    assert "text secret" not in data
    assert str(conversation.id) in data


@pytest.mark.parametrize("calls", [0, 11])
async def test_an_export_whose_runners_are_killed_has_every_line_once_and_leaves_no_object_behind(
    town: Town, calls: int
) -> None:
    whole = await town.accounts.start_export(ALICE)
    await town.run_killed(1_000_000)
    expected = await exported(town, whole)
    town.clock.advance(90_000)
    job = await town.accounts.start_export(ALICE)
    assert job.id != whole.id
    runners = await town.run_killed(calls)
    assert runners > 2
    assert await exported(town, job) == expected
    town.clock.advance(7_200)
    await town.collector.collect()
    kept = {key for each in (whole, job) for key in (await town.accounts.get_job(str(each.id), ALICE)).parts}
    assert {key for key in town.objects.held if key.startswith("exports/")} == kept


async def test_a_finished_export_can_be_fetched_until_it_is_collected(town: Town) -> None:
    job = await town.accounts.start_export(ALICE)
    assert town.accounts.download_urls(job) == ()
    await town.run_killed(1_000_000)
    found = await town.accounts.get_job(str(job.id), ALICE)
    urls = town.accounts.download_urls(found)
    assert [key in url for key, url in zip(found.parts, urls, strict=True)] == [True] * len(found.parts)
    town.clock.advance(7 * 86_400 + 1)
    assert await town.jobs.expire(town.clock.now(), 10) == 1
    await town.collector.collect()
    assert not [key for key in town.objects.held if key.startswith("exports/")]


async def removed_account(town: Town, calls: int) -> list[events_pb2.ConversationEvent]:
    """Alice's account is deleted; what was told of it."""
    await town.accounts.delete(ALICE, ALICE)
    town.clock.advance(16)
    await town.run_killed(calls)
    return await town.database_events()


@pytest.mark.parametrize("calls", [0, 1, 6, 1_000_000])
async def test_a_deletion_whose_runners_are_killed_does_everything_once(town: Town, calls: int) -> None:
    events = await removed_account(town, calls)
    told = Counter(
        (event.conversation_id, event.message_changed.message.seq)
        for event in events
        if event.HasField("message_changed")
    )
    group, pair, old = str(town.group.id), str(town.pair.id), str(town.old.id)
    mine = {*((pair, seq) for seq in range(1, 8)), (group, 2), (group, 3), (old, 2)}
    assert told == dict.fromkeys(mine, 1)
    for conversation, revision in ((town.pair, 2 + 7), (town.group, 1 + 1 + 2), (town.old, 1 + 1)):
        found = await town.store.find_conversation(conversation.id)
        assert found is not None
        assert found.revision == revision
        for message in await town.history(conversation):
            if message.sender_id == ALICE and not isinstance(message.content, SystemContent):
                assert not isinstance(message.content, Text)
                assert (message.attachments, message.reactions) == ((), ())
    lines = [message.content for message in await town.history(town.group) if message.sender_id == ALICE]
    assert lines.count(SystemContent(SystemKind.LEFT)) == 1
    # Other services hear that nobody may write or call there any more; a step whose runner died may say it again.
    assert {event.conversation_id for event in events if event.HasField("pair_closed")} == {pair}


async def test_a_deletion_leaves_nothing_of_the_person_but_what_is_named(town: Town) -> None:
    await town.accounts.start_export(ALICE)
    await town.run_killed(1_000_000)
    await removed_account(town, 1_000_000)
    group = await town.store.find_conversation(town.group.id)
    assert group is not None
    assert [(member.user_id, member.role) for member in group.members] == [(BOB, Role.OWNER), (CAROL, Role.MEMBER)]
    for left_over in (
        "message_edits e JOIN messages m USING (conversation_id, seq) WHERE m.sender_id = $1",
        "message_words w JOIN messages m USING (conversation_id, seq) WHERE m.sender_id = $1",
        "messages WHERE sender_id = $1 AND (body <> '' OR attachments IS NOT NULL)",
        "reactions WHERE user_id = $1",
        "poll_votes WHERE user_id = $1",
        "openings WHERE user_id = $1",
        "own_states WHERE user_id = $1",
        "invites WHERE created_by = $1",
        "attachments WHERE owner_id = $1",
        "former_members WHERE user_id = $1",
        "account_jobs WHERE user_id = $1 AND kind = 'export'",
    ):
        assert await town.count(f"SELECT count(*) FROM {left_over}", ALICE) == 0, left_over
    town.clock.advance(7_200)
    await town.collector.collect()
    assert town.objects.held == {}


async def test_presence_hears_of_a_deleted_account_and_devices_read_nothing_of_it(town: Town) -> None:
    await town.accounts.delete(ALICE, ALICE)
    town.clock.advance(16)
    await town.run_killed(1_000_000)
    async with town.database.connection() as connection:
        values = await connection.fetch("SELECT value FROM outbox WHERE topic = 'delivery.v1' AND key = $1", ALICE)
    told = [delivery_pb2.Delivery.FromString(row["value"]) for row in values]
    assert [(each.user_id, each.frame) for each in told if each.user_deleted] == [(ALICE, b"")]


async def test_a_deleted_account_is_refused_and_nobody_new_reaches_it(town: Town) -> None:
    await town.admission.require_not_deleted(ALICE)
    await town.accounts.delete(ALICE, ALICE)
    with pytest.raises(AccountDeleted):
        await town.admission.require_not_deleted(ALICE)
    with pytest.raises(AccountDeleted):
        await town.accounts.start_export(ALICE)
    elsewhere = AccountAdmission(town.jobs, town.clock, 5)
    with pytest.raises(AccountDeleted):
        await elsewhere.require_not_deleted(ALICE)
    audience = "SELECT count(*) FROM user_settings WHERE user_id = $1 AND message_audience = 'nobody'"
    assert await town.count(audience, ALICE) == 1
    town.clock.advance(16)
    await town.run_killed(1_000_000)
    blocked = "SELECT count(*) FROM conversations WHERE id = $1 AND blocked"
    assert await town.count(blocked, town.pair.id) == 1


async def test_who_is_removed_is_remembered_until_the_account_is_deleted(town: Town) -> None:
    former = "SELECT count(*) FROM former_members WHERE user_id = $1 AND conversation_id = $2"
    assert await town.count(former, ALICE, town.old.id) == 1
    assert await town.count(former, ALICE, town.group.id) == 0


async def test_every_column_that_names_a_person_is_listed(town: Town) -> None:
    """A new table must say what an export and a deletion do with it: accounts/core/personal_columns.py."""
    async with town.database.connection() as connection:
        found = await connection.fetch(
            "SELECT c.table_name, c.column_name FROM information_schema.columns c"
            " JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = 'public'::regnamespace"
            " WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'ARRAY') AND NOT t.relispartition"
            " AND c.column_name ~ $1",
            USER_COLUMN,
        )
    listed = {(each.table, each.column) for each in PERSONAL_COLUMNS}
    assert {(row["table_name"], row["column_name"]) for row in found} == listed
