"""Scheduled calls in PostgreSQL: the store's contract, and replicas that look at the same time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.runtime.postgres.database import Database
from services.signaling.core.model import CallId, LinkId, ScheduledId, UserId
from services.signaling.links.core import JoinLink, StoredLink, hash_of
from services.signaling.links.sql import PostgresLinks
from services.signaling.ports import Record
from services.signaling.scheduled import core
from services.signaling.scheduled.core import Answer, Draft, ScheduledCall, State, Waiting
from services.signaling.scheduled.due import CLAIM_LEASE, DueScheduledCalls
from services.signaling.scheduled.placing import ScheduledStarter
from services.signaling.scheduled.ports import ScheduledStore
from services.signaling.scheduled.sql import PostgresScheduled
from tests.integration.signaling.conftest import open_database
from tests.support.account_lives import CallTown
from tests.unit.signaling.fake_links import FakeLinks
from tests.unit.signaling.fake_scheduled import FakeScheduled
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, GROUP_TALK, RETENTION, START, TABLET, scheduled_events_of

EVE, FAY, GUS = UserId("eve"), UserId("fay"), UserId("gus")
HOUR = timedelta(hours=1)
NEWS = [Record("topic", "key", b"value")]
NO_NEWS: list[Record] = []


def planned(number: int, maker: UserId = ALICE, start: timedelta = HOUR) -> ScheduledCall:
    draft = Draft("Rehearsal", True, START + start, 1_800, 600)
    made = ScheduledCall(ScheduledId(str(UUID(int=number))), GROUP_TALK, maker, draft, group=True, create_time=START)
    return core.plan(made, START)


def link_to(call: ScheduledCall, number: int) -> StoredLink:
    ends = call.draft.start_time + HOUR
    link = JoinLink(LinkId(str(UUID(int=number))), None, ALICE, START, ends, scheduled_id=call.scheduled_id)
    return StoredLink(link, hash_of(str(number)), b"salt")


@pytest.fixture
async def stores(store_url: str | None) -> AsyncIterator[tuple[ScheduledStore, FakeLinks | PostgresLinks]]:
    if store_url is None:
        links = FakeLinks()
        yield FakeScheduled(links), links
        return
    database = await open_database(store_url)
    yield PostgresScheduled(database, lambda *_: None), PostgresLinks(database)
    await database.stop()


Stores = tuple[ScheduledStore, FakeLinks | PostgresLinks]


async def test_all_of_one_is_stored_and_found(stores: Stores) -> None:
    store, _ = stores
    first, later = planned(1), planned(2, BOB, 2 * HOUR)
    assert await store.add(later, "", NEWS) == later
    assert await store.add(first, "once", NEWS) == first
    # One of the same request is the first one; another person's is another.
    assert await store.add(planned(3), "once", NEWS) == first
    assert await store.find_by_request(ALICE, "once") == first
    assert await store.find_by_request(BOB, "once") is None
    said = core.answer(core.answer(first, BOB, Answer.NO), CAROL, Answer.MAYBE)
    said = core.answer(said, BOB, Answer.YES)
    assert await store.save(said, first, NEWS)
    assert await store.find(first.scheduled_id) == said
    assert await store.list_in(GROUP_TALK) == [said, later]
    # Of two who read the same, one writes.
    assert not await store.save(core.end(first, State.CANCELLED, START), first, NEWS)
    begun = core.begin(said, CallId(str(UUID(int=9))))
    assert await store.save(begun, said, NEWS)
    over = core.end(begun, State.ENDED, START + HOUR)
    assert await store.save(over, begun, NEWS)
    assert await store.find(first.scheduled_id) == over
    assert await store.list_in(GROUP_TALK) == [later]
    assert await store.find(ScheduledId(str(UUID(int=99)))) is None
    assert await store.prune(START + HOUR, 10) == 0
    assert await store.prune(START + 2 * HOUR, 10) == 1
    assert await store.find(first.scheduled_id) is None


async def test_a_conversation_has_room_for_so_many(stores: Stores) -> None:
    store, _ = stores
    for number in range(1, core.MAX_OF_CONVERSATION + 1):
        assert await store.add(planned(number), "", NO_NEWS)
    assert await store.add(planned(100, BOB), "", NO_NEWS) is None
    first = planned(1)
    assert await store.save(core.end(first, State.CANCELLED, START), first, NO_NEWS)
    assert await store.add(planned(100, BOB), "", NO_NEWS)


async def test_what_is_due_is_claimed_by_one_until_its_lease_is_over(stores: Stores) -> None:
    store, _ = stores
    early, late = planned(1), planned(2, start=2 * HOUR)
    for call in (late, early):
        await store.add(call, "", NO_NEWS)
    now = early.draft.start_time - timedelta(minutes=10)
    assert await store.claim_due(now - timedelta(seconds=1), CLAIM_LEASE, 10) == []
    assert await store.claim_due(now, CLAIM_LEASE, 10) == [early.scheduled_id]
    assert await store.claim_due(now, CLAIM_LEASE, 10) == []
    again = now + CLAIM_LEASE
    assert await store.claim_due(again, CLAIM_LEASE, 10) == [early.scheduled_id]
    assert await store.claim_due(again + 2 * HOUR, CLAIM_LEASE, 1) == [early.scheduled_id]


async def test_its_links_move_with_it_lead_to_its_call_and_close_with_it(stores: Stores) -> None:
    store, links = stores
    call, other = planned(1), planned(2)
    for each, number in ((call, 11), (other, 12)):
        await store.add(each, "", NO_NEWS)
        assert await links.add(link_to(each, number), START, 1)
        assert not await links.add(link_to(each, number + 20), START, 1)
    (link,) = await links.list_of(CallId(call.scheduled_id))
    moved = core.change(call, replace(call.draft, start_time=START + 2 * HOUR), START)
    assert await store.save(moved, call, NO_NEWS)
    found = await links.find(link.link_id)
    assert found == replace(link, expire_time=link.expire_time + HOUR)
    assert await store.save(core.end(moved, State.CANCELLED, START), moved, NO_NEWS)
    closed = await links.find_by_secret(hash_of("11"))
    assert closed is not None
    assert closed.revoke_time == START
    # It needs no sweep: nobody came by it.
    assert await links.list_unclosed(10) == []
    standing = await links.find_by_secret(hash_of("12"))
    assert standing is not None
    assert (standing.revoke_time, standing.call_id) == (None, None)


async def test_who_waits_is_counted_and_forgotten_when_it_begins(stores: Stores) -> None:
    store, links = stores
    call = planned(1)
    await store.add(call, "", NO_NEWS)
    link = link_to(call, 11)
    await links.add(link, START, 1)
    waiting = [Waiting(user, link.link.link_id) for user in (EVE, FAY, GUS)]
    added = [await store.add_waiting(call.scheduled_id, each, START, 2) for each in (*waiting, waiting[0])]
    assert added == [True, True, False, True]
    assert {each.user_id for each in await store.list_waiting(call.scheduled_id)} == {EVE, FAY}
    assert await store.remove_waiting(call.scheduled_id, FAY)
    assert not await store.remove_waiting(call.scheduled_id, FAY)
    begun = core.begin(call, CallId(str(UUID(int=9))))
    assert await store.save(begun, call, NO_NEWS)
    assert await store.list_waiting(call.scheduled_id) == []
    # By then one finds the call.
    assert await store.add_waiting(call.scheduled_id, waiting[2], START, 0)
    assert await store.list_waiting(call.scheduled_id) == []


async def test_many_replicas_at_once_begin_it_once_and_its_call_ends_it(database: Database) -> None:
    town = CallTown(database)
    draft = Draft("Rehearsal", False, town.clock.now() + HOUR, 1_800, 0)
    call = await town.scheduled.schedule(UserId("alice"), GROUP_TALK, draft, "once")
    assert await town.scheduled.schedule(UserId("alice"), GROUP_TALK, draft, "once") == call
    _, secret = await town.links.create_link(CallId(call.scheduled_id), UserId("bob"), 0, "")
    await town.lobby.open_link(secret, EVE)
    town.wait(3_600)
    replicas = [
        DueScheduledCalls(
            *(town.scheduled_store, town.store, town.world.members, ScheduledStarter(town.service.starter)),
            *(town.lobby, scheduled_events_of, town.clock, RETENTION),
        )
        for _ in range(4)
    ]
    await asyncio.gather(
        *(replica.sweep() for replica in replicas), *(each.look(call.scheduled_id) for each in replicas)
    )
    begun = await town.scheduled_store.find(call.scheduled_id)
    assert begun is not None
    assert begun.state is State.OPEN
    (running,) = await town.store.list_running_in(GROUP_TALK)
    assert (running.call_id, running.scheduled_id) == (begun.call_id, call.scheduled_id)
    assert [guest.user_id for guest in running.lobby] == [EVE]
    async with database.connection() as connection:
        told = await connection.fetchval("SELECT count(*) FROM outbox WHERE convert_from(value, 'UTF8') LIKE '%begins'")
    assert told == 3
    await town.service.join_call(running.call_id, UserId("bob"), TABLET)
    await town.service.leave_call(running.call_id, UserId("bob"), TABLET)
    # The call's end made it due.
    await replicas[0].sweep()
    over = await town.scheduled_store.find(call.scheduled_id)
    assert over is not None
    assert (over.state, over.due_time) == (State.ENDED, None)


async def test_what_a_deleted_maker_planned_is_cancelled_for_the_others(database: Database) -> None:
    town = CallTown(database)
    draft = Draft("Rehearsal", False, town.clock.now() + HOUR, 1_800, 0)
    call = await town.scheduled.schedule(UserId("alice"), GROUP_TALK, draft, "once")
    while await town.accounts.erase(UserId("alice"), 10):
        pass
    due = DueScheduledCalls(
        *(town.scheduled_store, town.store, town.world.members, ScheduledStarter(town.service.starter)),
        *(town.lobby, scheduled_events_of, town.clock, RETENTION),
    )
    await due.look(call.scheduled_id)
    over = await town.scheduled_store.find(call.scheduled_id)
    assert over is not None
    assert (over.state, over.maker_id, over.draft.title) == (State.CANCELLED, "", "")
