"""Replicas remember what sends rest on; PostgreSQL has the last word."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.messaging.accounts.core.jobs import AccountState
from services.messaging.accounts.sql.store import PostgresJobs
from services.messaging.back_office.sql import PostgresModeration
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp, Settings
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import (
    ConversationFrozen,
    ConversationNotFound,
    MessagingError,
    NotAllowed,
    PlaceChanged,
)
from services.messaging.kernel.model import (
    ConversationId,
    ConversationKind,
    Draft,
    Message,
    MessageId,
    UserId,
    open_direct,
)
from services.messaging.kernel.quotas import day_quota
from services.messaging.vanishing.core import set_vanishing
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.db import connected
from tests.support.messaging_postgres import PostgresStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION = ConversationId(UUID(int=1))
ALICE, BOB = UserId("alice"), UserId("bob")
QUOTA = day_quota(ALICE, 1_000, NOW)


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=8), MIGRATIONS)) as started:
        yield started


@pytest.fixture
def replicas(database: Database) -> list[PostgresStore]:
    return [PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id) for _ in range(2)]


def draft(key: str, sender: UserId = ALICE) -> Draft:
    return Draft(MessageId(uuid4()), CONVERSATION, sender, key, NOW, Text(f"text of {key}"))


def seqs(outcomes: Sequence[Message | MessagingError]) -> list[int]:
    return [outcome.seq for outcome in outcomes if isinstance(outcome, Message)]


async def found_group(store: PostgresStore) -> None:
    made = groups.create_group(CONVERSATION, ALICE, [BOB], Settings("Trip"), NOW)
    await store.create_group(made, "k", ChangeStamp(MessageId(uuid4()), ALICE, NOW), QUOTA)


async def test_replicas_that_write_in_turn_leave_no_gap(replicas: list[PostgresStore]) -> None:
    await replicas[0].open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, QUOTA)
    outcomes = [
        await store.append([draft(f"{turn}-{number}-{of}") for of in range(2)])
        for turn in range(5)
        for number, store in enumerate(replicas)
    ]
    assert [seq for outcome in outcomes for seq in seqs(outcome)] == list(range(1, 21))


async def test_replicas_that_write_at_once_neither_deadlock_nor_leave_gaps(replicas: list[PostgresStore]) -> None:
    conversations = [ConversationId(UUID(int=number)) for number in range(1, 6)]
    for conversation in conversations:
        await replicas[0].open_direct(
            open_direct(conversation, ALICE, UserId(f"bob{conversation.int}"), NOW), ALICE, QUOTA
        )

    async def write(store: PostgresStore, backwards: bool) -> None:
        for turn in range(20):
            order = conversations[::-1] if backwards else conversations
            made = [
                Draft(MessageId(uuid4()), conversation, ALICE, f"{backwards}-{turn}", NOW, Text("x"))
                for conversation in order
            ]
            assert len(seqs(await store.append(made))) == len(conversations)

    await asyncio.gather(write(replicas[0], backwards=False), write(replicas[1], backwards=True))
    for conversation in conversations:
        stored = await replicas[0].list_messages(conversation, 0, None, 100)
        assert [message.seq for message in stored] == list(range(40, 0, -1))


async def test_who_was_removed_through_another_replica_cannot_write_any_more(replicas: list[PostgresStore]) -> None:
    one, other = replicas
    await found_group(one)
    for number in range(3):
        await one.append([draft(f"warm{number}", BOB)])
    await other.change_group(
        CONVERSATION, lambda group: groups.remove_member(group, ALICE, BOB), ChangeStamp(MessageId(uuid4()), ALICE, NOW)
    )
    (outcome,) = await one.append([draft("late", BOB)])
    assert isinstance(outcome, ConversationNotFound)


async def test_a_block_counts_from_the_next_send_on(replicas: list[PostgresStore], database: Database) -> None:
    one = replicas[0]
    await one.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, QUOTA)
    for number in range(3):
        await one.append([draft(f"warm{number}")])
    async with database.connection() as connection:
        await connection.execute("UPDATE conversations SET blocked = true WHERE id = $1", CONVERSATION)
    (outcome,) = await one.append([draft("blocked")])
    assert isinstance(outcome, NotAllowed)


async def test_a_retry_among_new_sends_gets_its_first_result(replicas: list[PostgresStore]) -> None:
    one = replicas[0]
    await one.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, QUOTA)
    await one.append([draft("warm")])
    (first,) = await one.append([draft("again")])
    outcomes = await one.append([draft("new"), draft("again"), draft("newer")])
    assert seqs(outcomes) == [3, 2, 4]
    assert outcomes[1] == first


async def test_what_was_judged_as_of_another_version_of_the_conversation_is_not_stored(
    replicas: list[PostgresStore], database: Database
) -> None:
    one = replicas[0]

    def version() -> int:
        place = one.places.remembered(draft("k").key)
        assert place is not None
        assert (place.kind, place.is_member, place.peer_id) == (ConversationKind.DIRECT, True, BOB)
        assert place.version is not None
        return place.version

    async def append(key: str, judged_version: int) -> Message | MessagingError:
        (outcome,) = await one.append([replace(draft(key), judged_version=judged_version)])
        return outcome

    await one.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, QUOTA)
    assert one.places.remembered(draft("k").key) is None
    await one.append([draft("warm")])
    before = version()
    assert seqs([await append("stands", before)]) == [2]
    async with database.connection() as connection:
        # It counts as a change of what sends rest on.
        await connection.execute("UPDATE conversations SET blocked = false WHERE id = $1", CONVERSATION)
    # The first finds out; the second is told by what the replica remembers since.
    for key in ("first", "second"):
        assert isinstance(await append(key, before), PlaceChanged)
    assert version() > before
    # One in the batch does not keep back the others.
    stale, fresh = replace(draft("stale"), judged_version=before), replace(draft("fresh"), judged_version=version())
    outcomes = await one.append([stale, fresh])
    assert isinstance(outcomes[0], PlaceChanged)
    assert seqs(outcomes) == [3]
    # What is stored already is given, however it was judged.
    assert seqs([await append("stands", before)]) == [2]


async def test_when_messages_vanish_counts_from_the_next_send_on(replicas: list[PostgresStore]) -> None:
    one, other = replicas
    await one.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, QUOTA)
    for number in range(3):
        await one.append([draft(f"warm{number}")])
    for length in (timedelta(minutes=5), timedelta(hours=1), timedelta(0)):
        stamp = ChangeStamp(MessageId(uuid4()), BOB, NOW)
        await other.change_group(
            CONVERSATION, lambda conversation, length=length: set_vanishing(conversation, BOB, length), stamp
        )  # type: ignore[misc]
        for number in range(3):
            (sent,) = await one.append([draft(f"{length}-{number}")])
            assert isinstance(sent, Message)
            assert sent.expires_at == (NOW + length if length else None)
        stored = await other.list_messages(CONVERSATION, 0, None, 3)
        assert [message.expires_at for message in stored] == [sent.expires_at] * 3


async def test_a_freeze_counts_from_the_next_send_on_at_every_replica(
    replicas: list[PostgresStore], database: Database
) -> None:
    await found_group(replicas[0])
    for store in replicas:
        # Both remember that Alice and Bob may write.
        for sender in (ALICE, BOB):
            assert seqs(await store.append([draft(f"warm-{id(store)}-{sender}", sender)]))
    moderation = PostgresModeration(database)
    for frozen in (True, True, False, True):
        await moderation.set_frozen(CONVERSATION, frozen=frozen)
        for store in replicas:
            for sender in (ALICE, BOB):
                (outcome,) = await store.append([draft(str(uuid4()), sender)])
                assert isinstance(outcome, ConversationFrozen if frozen else Message)
    # A batch may hold both: what is frozen holds up nothing else.
    other = ConversationId(UUID(int=2))
    await replicas[0].open_direct(open_direct(other, ALICE, BOB, NOW), ALICE, QUOTA)
    mixed = [draft("frozen"), Draft(MessageId(uuid4()), other, ALICE, "k", NOW, Text("x"))]
    refused, stored = await replicas[0].append(mixed)
    assert isinstance(refused, ConversationFrozen)
    assert isinstance(stored, Message)


async def test_sends_beside_a_freeze_are_stored_before_it_or_not_at_all(
    replicas: list[PostgresStore], database: Database
) -> None:
    await found_group(replicas[0])
    moderation = PostgresModeration(database)
    answered: list[int] = []

    async def write(store: PostgresStore, name: str) -> None:
        for number in range(40):
            (outcome,) = await store.append([draft(f"{name}-{number}")])
            if isinstance(outcome, ConversationFrozen):
                return
            answered.extend(seqs([outcome]))

    async def freeze() -> int:
        await asyncio.sleep(0)
        await moderation.set_frozen(CONVERSATION, frozen=True)
        found = await replicas[0].find_conversation(CONVERSATION)
        assert found is not None
        return found.last_seq

    last_seq, *_ = await asyncio.gather(freeze(), *(write(store, str(n)) for n, store in enumerate(replicas)))
    found = await replicas[0].find_conversation(CONVERSATION)
    assert found is not None
    assert found.last_seq == last_seq
    assert max(answered, default=last_seq) <= last_seq


async def test_what_is_not_there_is_not_frozen(database: Database) -> None:
    with pytest.raises(ConversationNotFound):
        await PostgresModeration(database).set_frozen(ConversationId(UUID(int=9)), frozen=True)


async def test_a_restriction_is_read_with_the_account(database: Database) -> None:
    moderation, jobs = PostgresModeration(database), PostgresJobs(database, lambda _: None)
    for until in (NOW, NOW + timedelta(days=1)):
        await moderation.set_restriction(ALICE, until)
        assert await jobs.state_of(ALICE) == AccountState(restricted_until=until)
        assert await jobs.state_of(BOB) == AccountState()
    for _ in range(2):
        await moderation.set_restriction(ALICE, None)
        assert await jobs.state_of(ALICE) == AccountState()
