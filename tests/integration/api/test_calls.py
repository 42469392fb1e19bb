"""Calls by the API: who may do what, when, and what everyone is told. The media itself is in test_media.py."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api
from parley.messaging.v1 import messages_pb2 as messages

from parley_client.calls import ACTIVE, ENDED, RINGING
from tests.integration.api.conftest import DEADLINE_S, Online, World, new_user, open_direct, refused

FAILED = grpc.StatusCode.FAILED_PRECONDITION
NOT_FOUND = grpc.StatusCode.NOT_FOUND
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def until_call(online: Online, call_id: str, state: calls.CallState.ValueType) -> calls.Call:
    """The call as the device has been told it, once it is in this state."""
    known = online.stream.inbox.calls
    await online.stream.until(
        lambda: call_id in known and known[call_id].state == state, DEADLINE_S, f"call in state {state}"
    )
    return known[call_id]


async def until_record(online: Online, conversation_id: str, call_id: str) -> str:
    """The outcome in the conversation's record of the call, once it is there."""

    def outcomes() -> list[str]:
        history = online.stream.inbox.conversations.history(conversation_id)
        return [entry.call.outcome for entry in history.shown if entry.call and entry.call.call_id == call_id]

    await online.stream.until(lambda: bool(outcomes()), DEADLINE_S, "the record of the call")
    (outcome,) = outcomes()
    return outcome


async def test_a_call_rings_on_all_devices_of_the_callee_and_one_answers(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    call = await alice.phone.start(conversation_id)
    assert call.state == RINGING
    for online in (bob, tablet):
        assert (await online.phone.until_ring(DEADLINE_S)).call_id == call.call_id
    await bob.phone.accept(call.call_id)
    for online in (alice, bob, tablet):
        seen = await until_call(online, call.call_id, ACTIVE)
        devices = {participant.user_id: participant.device_id for participant in seen.participants}
        assert devices == {alice.user_id: alice.device.device_id, bob.user_id: bob.device.device_id}
    with refused(FAILED, "ANSWERED_ELSEWHERE"):
        await tablet.phone.accept(call.call_id)
    again = await bob.phone.accept(call.call_id)
    assert again.state == ACTIVE
    await alice.phone.hang_up()
    ended = await until_call(tablet, call.call_id, ENDED)
    assert ended.end_reason == calls.END_REASON_HUNG_UP
    for online in (alice, bob, tablet):
        assert await until_record(online, conversation_id, call.call_id) == "COMPLETED"


async def test_of_two_devices_that_accept_at_once_one_wins(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    tablet = await world.online(bob.user_id)
    call = await alice.phone.start(conversation_id)
    results = await asyncio.gather(
        bob.phone.accept(call.call_id), tablet.phone.accept(call.call_id), return_exceptions=True
    )
    refusals = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(refusals) == 1
    assert refusals[0].code() is FAILED


async def test_a_declined_call_ends_with_a_record(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    await bob.phone.until_ring(DEADLINE_S)
    await bob.phone.decline(call.call_id)
    await bob.phone.decline(call.call_id)
    ended = await until_call(alice, call.call_id, ENDED)
    assert ended.end_reason == calls.END_REASON_DECLINED
    assert await until_record(bob, conversation_id, call.call_id) == "DECLINED"


async def test_a_cancelled_call_stops_ringing(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    await bob.phone.until_ring(DEADLINE_S)
    for _ in range(2):
        await alice.device.calls.CancelCall(api.CancelCallRequest(call_id=call.call_id))
    ended = await until_call(bob, call.call_id, ENDED)
    assert ended.end_reason == calls.END_REASON_CANCELLED
    assert await until_record(bob, conversation_id, call.call_id) == "CANCELLED"
    with refused(FAILED, "CALL_ENDED"):
        await bob.phone.accept(call.call_id)


async def test_a_callee_who_is_in_another_call_is_busy(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    carol = await world.online()
    first = await alice.phone.start(conversation_id)
    await bob.phone.accept(first.call_id)
    with_carol = await open_direct(carol.device, bob.user_id)
    second = await carol.phone.start(with_carol)
    assert (second.state, second.end_reason) == (ENDED, calls.END_REASON_BUSY)
    assert await until_record(carol, with_carol, second.call_id) == "BUSY"
    assert (await until_call(alice, first.call_id, ACTIVE)).state == ACTIVE
    await alice.phone.hang_up()


async def test_a_caller_has_one_call_at_a_time(world: World) -> None:
    alice, _, conversation_id = await world.pair_online()
    elsewhere = await open_direct(alice.device, new_user())
    await alice.phone.start(conversation_id)
    request = api.StartCallRequest(
        conversation_id=elsewhere, device_id=alice.device.device_id, client_call_id=str(uuid.uuid4())
    )
    with refused(FAILED, "ALREADY_IN_CALL"):
        await alice.device.calls.StartCall(request)
    await alice.phone.hang_up()


async def test_two_people_who_call_each_other_at_once_are_never_in_two_calls(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    starts = (alice.phone.start(conversation_id), bob.phone.start(conversation_id))
    results = await asyncio.gather(*starts, return_exceptions=True)
    placed = [call for call in results if isinstance(call, calls.Call)]
    assert all(error.code() is FAILED for error in results if isinstance(error, grpc.aio.AioRpcError))
    # The first is told that it rings, or that the other has answered it by calling.
    standing = {call.call_id: call for call in placed if call.state in (RINGING, ACTIVE)}
    assert len(standing) == 1
    for online in (alice, bob):
        active = await online.device.calls.ListActiveCalls(api.ListActiveCallsRequest())
        assert [call.call_id for call in active.calls] == list(standing)
    (call,) = standing.values()
    caller = alice if call.caller_id == alice.user_id else bob
    await caller.phone.hang_up()


async def test_a_retried_start_returns_the_same_call(world: World) -> None:
    alice, _, conversation_id = await world.pair_online()
    first = await alice.phone.start(conversation_id, client_call_id="key-1")
    again = await alice.phone.start(conversation_id, client_call_id="key-1")
    assert again.call_id == first.call_id
    await alice.phone.hang_up()


async def test_only_the_right_side_answers_declines_and_cancels(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    with refused(FAILED, "NOT_CALLEE"):
        await alice.phone.accept(call.call_id)
    with refused(FAILED, "NOT_CALLEE"):
        await alice.phone.decline(call.call_id)
    with refused(FAILED, "NOT_CALLER"):
        await bob.device.calls.CancelCall(api.CancelCallRequest(call_id=call.call_id))
    await bob.phone.accept(call.call_id)
    with refused(FAILED, "ALREADY_ANSWERED"):
        await alice.device.calls.CancelCall(api.CancelCallRequest(call_id=call.call_id))
    with refused(FAILED, "ALREADY_ANSWERED"):
        await bob.phone.decline(call.call_id)
    await alice.phone.hang_up()


async def test_to_a_stranger_a_call_does_not_exist(world: World) -> None:
    alice, _, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    stranger = world.device()
    device_id = stranger.device_id
    for call_id in (call.call_id, str(uuid.uuid4())):
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.GetCall(api.GetCallRequest(call_id=call_id))
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.AcceptCall(api.AcceptCallRequest(call_id=call_id, device_id=device_id))
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.DeclineCall(api.DeclineCallRequest(call_id=call_id))
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.CancelCall(api.CancelCallRequest(call_id=call_id))
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.LeaveCall(api.LeaveCallRequest(call_id=call_id, device_id=device_id))
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await stranger.calls.RenewMediaGrant(api.RenewMediaGrantRequest(call_id=call_id, device_id=device_id))
    assert not (await stranger.calls.ListActiveCalls(api.ListActiveCallsRequest())).calls
    await alice.phone.hang_up()


@pytest.mark.parametrize("call_id", ["", "1", "not-a-uuid"])
async def test_a_call_id_that_is_none_is_refused_by_field(world: World, call_id: str) -> None:
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await world.device().calls.GetCall(api.GetCallRequest(call_id=call_id))
    assert refusal.fields == ("call_id",)


async def test_one_cannot_call_in_a_conversation_of_others(world: World) -> None:
    _, _, conversation_id = await world.pair()
    stranger = await world.online()
    for target in (conversation_id, str(uuid.uuid4())):
        with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
            await stranger.phone.start(target)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conversation_id", "x"),
        ("device_id", ""),
        ("device_id", "a b c d e"),
        ("client_call_id", ""),
        ("client_call_id", "x" * 65),
    ],
)
async def test_a_start_out_of_bounds_is_refused_by_field(world: World, field: str, value: str) -> None:
    alice, _, conversation_id = await world.pair()
    request = api.StartCallRequest(conversation_id=conversation_id, device_id=alice.device_id, client_call_id="key-1")
    setattr(request, field, value)
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await alice.calls.StartCall(request)
    assert refusal.fields == (field,)


async def test_a_device_that_comes_while_it_rings_rings_too(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    late = await world.online(bob.user_id)
    assert (await late.phone.until_ring(DEADLINE_S)).call_id == call.call_id
    await alice.phone.hang_up()


async def test_hanging_up_twice_is_one_call_and_one_record(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id, video=False)
    await bob.phone.accept(call.call_id)
    leave = api.LeaveCallRequest(call_id=call.call_id, device_id=alice.device.device_id)
    answers = await asyncio.gather(*(alice.device.calls.LeaveCall(leave) for _ in range(3)))
    assert {answer.call.state for answer in answers} == {ENDED}
    await until_record(bob, conversation_id, call.call_id)
    history = bob.stream.inbox.conversations.history(conversation_id)
    assert [entry.sender_id for entry in history.shown if entry.call] == [alice.user_id]
    assert not (await bob.device.calls.ListActiveCalls(api.ListActiveCallsRequest())).calls


async def test_the_record_of_an_answered_call_has_its_kind_and_length(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id, video=True)
    await bob.phone.accept(call.call_id)
    await alice.phone.hang_up()
    await until_record(alice, conversation_id, call.call_id)
    ended = await until_call(alice, call.call_id, ENDED)
    (record,) = [e.call for e in alice.stream.inbox.conversations.history(conversation_id).shown if e.call]
    assert record.video
    length_ms = ended.end_time.ToMilliseconds() - ended.answer_time.ToMilliseconds()
    assert abs(record.length_ms - length_ms) <= 1
    assert messages.CallOutcome.Value(f"CALL_OUTCOME_{record.outcome}") == messages.CALL_OUTCOME_COMPLETED
