"""Scheduled calls over a whole stack: planned, answered, opened by themselves at their time, joined, over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
from parley.messaging.v1 import relations_pb2

from parley_client.calls import ENDED
from parley_client.join_links import WAITING
from parley_client.scheduled_calls import CANCELLED, NO, OPEN, PLANNED, ScheduledCalls
from parley_client.scheduled_calls import ENDED as OVER
from tests.integration.api.conftest import DEADLINE_S, Online, World, refused
from tests.integration.api.test_calls import until_call, until_record
from tests.integration.api.test_groups import found_group
from tests.integration.api.test_join_links import links_of, until_lobby

FAILED, NOT_FOUND = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
DENIED = grpc.StatusCode.PERMISSION_DENIED
HALF_HOUR = timedelta(minutes=30)


def scheduled_of(online: Online) -> ScheduledCalls:
    return ScheduledCalls(online.device, online.stream)


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_a_scheduled_call_opens_at_its_time_for_members_and_for_who_waits_outside(world: World) -> None:
    alice, bob, eve = await world.online(), await world.online(), await world.online()
    conversation_id = await found_group(alice, bob.user_id)
    accept = relations_pb2.AcceptRequestRequest(conversation_id=conversation_id)
    await bob.device.relations.AcceptRequest(accept)
    later = await scheduled_of(bob).schedule(conversation_id, "Later", soon(86_400), reminder=timedelta(minutes=10))
    told = await scheduled_of(alice).until_state(later.scheduled_call_id, PLANNED, DEADLINE_S)
    assert (told.title, told.maker_user_id, told.group) == ("Later", bob.user_id, True)
    await scheduled_of(alice).answer(later.scheduled_call_id, NO)
    await bob.stream.until(
        lambda: [each.answer for each in bob.stream.inbox.scheduled_calls[later.scheduled_call_id].answers] == [NO],
        DEADLINE_S,
        "Alice's answer",
    )
    with refused(NOT_FOUND, "SCHEDULED_CALL_NOT_FOUND"):
        await scheduled_of(eve).cancel(later.scheduled_call_id)
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await scheduled_of(eve).list(conversation_id)
    _, secret = await links_of(bob).create(later.scheduled_call_id)
    early = await links_of(eve).open(secret)
    assert (early.WhichOneof("opened"), early.scheduled.title) == ("scheduled", "Later")
    # Moved to now.
    await scheduled_of(bob).change(
        later.scheduled_call_id, "Now", soon(2), length=HALF_HOUR, reminder=timedelta(0), video=False
    )
    begun = await scheduled_of(alice).until_state(later.scheduled_call_id, OPEN, DEADLINE_S)
    places = eve.stream.inbox.places
    await eve.stream.until(lambda: begun.call_id in places, DEADLINE_S, "a place in the lobby")
    assert (places[begun.call_id].state, places[begun.call_id].link_id) == (WAITING, early.scheduled.link_id)
    await alice.phone.join(begun.call_id)
    await until_lobby(alice, begun.call_id, eve.user_id)
    await alice.phone.hang_up()
    await until_call(bob, begun.call_id, ENDED)
    await scheduled_of(bob).until_state(later.scheduled_call_id, OVER, DEADLINE_S)
    assert await scheduled_of(bob).list(conversation_id) == []
    assert await until_record(bob, conversation_id, begun.call_id) == "COMPLETED"
    with refused(FAILED, "SCHEDULED_CALL_OVER"):
        await scheduled_of(bob).change(
            later.scheduled_call_id, "Again", soon(60), length=HALF_HOUR, reminder=timedelta(0), video=False
        )


async def test_in_a_direct_conversation_it_is_planned_and_cancelled_and_gone_after_a_block(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    first = await scheduled_of(alice).schedule(conversation_id, "Catch up", soon(3_600))
    with refused(DENIED, "NOT_HOST"):
        await scheduled_of(bob).cancel(first.scheduled_call_id)
    with refused(FAILED, "NOT_GROUP_CALL"):
        await links_of(alice).create(first.scheduled_call_id)
    await scheduled_of(alice).cancel(first.scheduled_call_id)
    await scheduled_of(bob).until_state(first.scheduled_call_id, CANCELLED, DEADLINE_S)
    second = await scheduled_of(alice).schedule(conversation_id, "Catch up", soon(3_600))
    await bob.device.relations.BlockUser(relations_pb2.BlockUserRequest(user_id=alice.user_id))
    with refused(NOT_FOUND, "SCHEDULED_CALL_NOT_FOUND"):
        await scheduled_of(alice).answer(second.scheduled_call_id, NO)
