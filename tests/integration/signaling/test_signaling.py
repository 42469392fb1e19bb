"""The whole service as wiring builds it, over gRPC, PostgreSQL and the broker; its neighbours are made of protos."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2
from parley.calls.v1 import service_pb2 as api
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from tests.integration.signaling.neighbours import (
    Draining,
    Reader,
    SdpRefused,
    WorkerFull,
)
from tests.integration.signaling.town import (
    FAILED,
    LAPTOP,
    NOT_LISTENING,
    PHONE,
    RINGING_ACTIVE_ENDED,
    TABLET,
    Replica,
    Town,
    User,
    attempt,
    find_detail,
    refused,
)
from tests.support.ports import free_port
from tests.support.waiting import eventually


@asynccontextmanager
async def reading(town: Town, broker: str, topic: str) -> AsyncIterator[Reader]:
    reader = Reader(broker, topic, town.publisher)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def ends(user: User, call_id: str, reason: int) -> None:
    """Wait until the call has ended, and for that reason."""

    async def has_ended() -> bool:
        return (await user.state(call_id))[0] == messages_pb2.CALL_STATE_ENDED

    await eventually(has_ended)
    assert await user.state(call_id) == (messages_pb2.CALL_STATE_ENDED, reason)


async def test_a_call_from_ring_to_hang_up(town: Town, broker: str) -> None:
    pair = town.pair()
    start, accept = await pair.answered()
    call_id = start.call.call_id
    alice, bob = town.user(pair.alice), town.user(pair.bob)
    assert [seat.device_id for seat in accept.call.participants] == [PHONE, TABLET]
    assert await alice.join(start.grant, "hers") == f"answer of {town.sfu.worker_id} to hers"
    assert await bob.join(accept.grant, "his") == f"answer of {town.sfu.worker_id} to his"
    joined = [(claims["sub"], claims["device"]) for claims in town.sfu.joined if claims["call"] == call_id]
    assert joined == [(pair.alice, PHONE), (pair.bob, TABLET)]
    ended = await bob.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=TABLET))
    assert ended.call.end_reason == messages_pb2.END_REASON_HUNG_UP

    async def media_is_closed() -> bool:
        return call_id in town.sfu.ended

    await eventually(media_is_closed)
    async with reading(town, broker, "calls.events.v1") as events, reading(town, broker, "delivery.v1") as deliveries:

        async def everyone_knows() -> bool:
            changed = [calls_events.CallEvent.FromString(value) for value in events.values()]
            told = [event.call_changed.call for event in changed if event.HasField("call_changed")]
            frames = [presence_events.Delivery.FromString(value) for value in deliveries.values()]
            shown = [(to.user_id, gateway_service.SubscribeResponse.FromString(to.frame).event.call) for to in frames]
            histories = [[call.state for call in told if call.call_id == call_id]]
            for user_id in (pair.alice, pair.bob):
                histories.append([call.state for to, call in shown if to == user_id])
            return histories == [RINGING_ACTIVE_ENDED] * 3

        await eventually(everyone_knows)


async def test_other_devices_are_told_answered_elsewhere(town: Town) -> None:
    pair = town.pair()
    start, accept = await pair.answered()
    bob = town.user(pair.bob)
    request = api.AcceptCallRequest(call_id=start.call.call_id, device_id=LAPTOP)
    async with refused(FAILED, "ANSWERED_ELSEWHERE"):
        await bob.call("AcceptCall", request)
    again = await bob.call("AcceptCall", api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET))
    assert again.call == accept.call


async def test_a_late_retry_does_not_take_the_call_back(town: Town) -> None:
    pair = town.pair()
    start, _ = await pair.answered()
    bob, call_id = town.user(pair.bob), start.call.call_id
    first = api.TakeOverCallRequest(call_id=call_id, device_id=LAPTOP, client_request_id="one wish")
    assert (await bob.call("TakeOverCall", first)).HasField("grant")
    back = api.TakeOverCallRequest(call_id=call_id, device_id=TABLET, client_request_id="another")
    await bob.call("TakeOverCall", back)
    async with town.another() as other:
        # It reaches any replica.
        await eventually(other.is_ready)
        late = await town.user(pair.bob, other).call("TakeOverCall", first)
    assert not late.HasField("grant")
    assert [seat.device_id for seat in late.call.participants] == [PHONE, TABLET]


async def test_any_replica_serves_any_request(town: Town) -> None:
    pair = town.pair()
    async with town.another() as other:
        start = await pair.ring(other)
    # The replica that placed the call is gone.
    request = api.DeclineCallRequest(call_id=start.call.call_id)
    declined = await town.user(pair.bob).call("DeclineCall", request)
    assert declined.call.end_reason == messages_pb2.END_REASON_DECLINED
    listed = await town.user(pair.alice).call("ListActiveCalls", api.ListActiveCallsRequest())
    assert list(listed.calls) == []


async def test_an_unanswered_call_is_missed(town: Town) -> None:
    pair = town.pair()
    async with town.another(PARLEY_RING_TIMEOUT_S="0.3") as other:
        start = await pair.ring(other)
        await ends(town.user(pair.alice, other), start.call.call_id, messages_pb2.END_REASON_MISSED)


async def test_a_ring_ends_even_when_its_replica_is_gone(town: Town) -> None:
    pair = town.pair()
    async with town.another(PARLEY_RING_TIMEOUT_S="2") as other:
        start = await pair.ring(other)
    await ends(town.user(pair.alice), start.call.call_id, messages_pb2.END_REASON_MISSED)


async def test_a_call_whose_media_never_comes_ends(town: Town) -> None:
    pair = town.pair()
    async with town.another(PARLEY_MEDIA_LOST_TIMEOUT_S="0.5") as other:
        start, _ = await pair.answered(other)
        await ends(town.user(pair.bob), start.call.call_id, messages_pb2.END_REASON_MEDIA_LOST)


async def test_a_call_whose_media_is_lost_for_good_ends(town: Town) -> None:
    pair = town.pair()
    start, accept = await pair.answered()
    await town.user(pair.alice).join(start.grant)
    await town.user(pair.bob).join(accept.grant)
    await town.sfu.report(town.sfu.joined[-1], connected=False)
    await ends(town.user(pair.bob), start.call.call_id, messages_pb2.END_REASON_MEDIA_LOST)


async def test_a_call_survives_the_crash_of_its_worker(town: Town) -> None:
    pair = town.pair()
    alice, bob = town.user(pair.alice), town.user(pair.bob)
    async with town.worker() as worker:
        start = await pair.ring_on(worker)
        call_id = start.call.call_id
        accept = await bob.call("AcceptCall", api.AcceptCallRequest(call_id=call_id, device_id=TABLET))
        await alice.join(start.grant)
        await worker.crash()
        async with refused(grpc.StatusCode.UNAVAILABLE, "MEDIA_UNAVAILABLE") as details:
            await bob.join(accept.grant)
        assert find_detail(details[0], error_details_pb2.RetryInfo).HasField("retry_delay")

        async def rejoin(user: User, device_id: str) -> list[str]:
            renew = api.RenewMediaGrantRequest(call_id=call_id, device_id=device_id)
            answers: list[str] = []

            async def renew_and_join() -> str:
                return await user.join((await user.call("RenewMediaGrant", renew)).grant)

            async def has_moved() -> bool:
                # The other one may move the call between the two calls: the grant is that of the worker before.
                return await attempt(renew_and_join(), answers, "MEDIA_UNAVAILABLE", "JOIN_TOKEN_EXPIRED")

            await eventually(has_moved)
            return answers

        answers = await asyncio.gather(rejoin(alice, PHONE), rejoin(bob, TABLET))
        assert list(answers) == [[f"answer of {town.sfu.worker_id} to offer"]] * 2
    assert (await alice.state(call_id))[0] == messages_pb2.CALL_STATE_ACTIVE


async def test_what_the_worker_refuses_reaches_the_client(town: Town) -> None:
    pair = town.pair()
    alice = town.user(pair.alice)
    async with town.worker() as worker:
        start = await pair.ring_on(worker)
        worker.refusal = SdpRefused("m-line 2 has no mid")
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID") as details:
            await alice.join(start.grant)
        assert details[0].message == "m-line 2 has no mid"
        for fault in (WorkerFull(), Draining()):
            worker.refusal = fault
            async with refused(grpc.StatusCode.UNAVAILABLE, "MEDIA_UNAVAILABLE") as details:
                await alice.join(start.grant)
            assert find_detail(details[0], error_details_pb2.RetryInfo).HasField("retry_delay")


async def test_a_killed_process_comes_back_to_its_calls_and_ends_in_order_on_sigterm(town: Town) -> None:
    pair = town.pair()
    address = f"127.0.0.1:{free_port()}"
    env = {**os.environ, **town.env, "PARLEY_GRPC_ADDRESS": address, "PARLEY_METRICS_ADDRESS": "127.0.0.1:0"}
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
        process = Replica(town.replica.app, channel)
        first = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.signaling", env=env)
        try:
            start = await pair.ring(process)
        finally:
            first.kill()
            await first.wait()
        second = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.signaling", env=env)
        try:
            bob = town.user(pair.bob, process)
            accept = api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET)
            answers: list[api.AcceptCallResponse] = []

            async def is_answered() -> bool:
                return await attempt(bob.call("AcceptCall", accept), answers, NOT_LISTENING, "STORE_UNAVAILABLE")

            await eventually(is_answered)
            assert answers[0].call.state == messages_pb2.CALL_STATE_ACTIVE
        finally:
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0


async def test_every_refusal_has_its_documented_reason(town: Town) -> None:
    pair = town.pair()
    alice, bob, carol = town.user(pair.alice), town.user(pair.bob), town.user("carol")
    start = await pair.ring()
    call_id, nowhere = start.call.call_id, str(uuid4())
    place = api.StartCallRequest(conversation_id=pair.conversation_id, device_id=PHONE, client_call_id="other")
    not_found, permission = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
    foreign = api.JoinMediaRequest(join_token=start.grant.join_token, sdp_offer="offer")
    forged = api.JoinMediaRequest(join_token="a.b.c", sdp_offer="offer")
    ringing: list[tuple[Awaitable[Any], grpc.StatusCode, str]] = [
        (alice.call("StartCall", place), FAILED, "ALREADY_IN_CALL"),
        (carol.call("StartCall", place), not_found, "CONVERSATION_NOT_FOUND"),
        (alice.call("AcceptCall", api.AcceptCallRequest(call_id=call_id, device_id=PHONE)), FAILED, "NOT_CALLEE"),
        (alice.call("DeclineCall", api.DeclineCallRequest(call_id=call_id)), FAILED, "NOT_CALLEE"),
        (bob.call("CancelCall", api.CancelCallRequest(call_id=call_id)), FAILED, "NOT_CALLER"),
        (carol.call("GetCall", api.GetCallRequest(call_id=call_id)), not_found, "CALL_NOT_FOUND"),
        (alice.call("GetCall", api.GetCallRequest(call_id=nowhere)), not_found, "CALL_NOT_FOUND"),
        (
            bob.call("RenewMediaGrant", api.RenewMediaGrantRequest(call_id=call_id, device_id=TABLET)),
            FAILED,
            "NOT_IN_CALL",
        ),
        (bob.call("JoinMedia", foreign), permission, "JOIN_TOKEN_INVALID"),
        (alice.call("JoinMedia", forged), permission, "JOIN_TOKEN_INVALID"),
    ]
    for call, code, reason in ringing:
        async with refused(code, reason):
            await call
    accept = api.AcceptCallRequest(call_id=call_id, device_id=TABLET)
    await bob.call("AcceptCall", accept)
    for call in (
        bob.call("DeclineCall", api.DeclineCallRequest(call_id=call_id)),
        alice.call("CancelCall", api.CancelCallRequest(call_id=call_id)),
    ):
        async with refused(FAILED, "ALREADY_ANSWERED"):
            await call
    await alice.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=PHONE))
    renew = api.RenewMediaGrantRequest(call_id=call_id, device_id=PHONE)
    # A retry of what he did before it ended; on his other device it would be the first try.
    again = await bob.call("AcceptCall", accept)
    assert (again.call.state, again.HasField("grant")) == (messages_pb2.CALL_STATE_ENDED, False)
    elsewhere = api.AcceptCallRequest(call_id=call_id, device_id="another1")
    for call in (
        bob.call("AcceptCall", elsewhere),
        alice.call("RenewMediaGrant", renew),
        alice.join(start.grant),
    ):
        async with refused(FAILED, "CALL_ENDED"):
            await call


async def test_a_faulty_field_is_named(town: Town) -> None:
    alice = town.user("alice")
    some = str(uuid4())
    faulty: list[tuple[str, Any, str]] = [
        ("StartCall", api.StartCallRequest(device_id=PHONE, client_call_id="c"), "conversation_id"),
        ("StartCall", api.StartCallRequest(conversation_id=some, device_id="no", client_call_id="c"), "device_id"),
        ("StartCall", api.StartCallRequest(conversation_id=some, device_id=PHONE), "client_call_id"),
        ("AcceptCall", api.AcceptCallRequest(call_id="x", device_id=PHONE), "call_id"),
        ("AcceptCall", api.AcceptCallRequest(call_id=some), "device_id"),
        ("LeaveCall", api.LeaveCallRequest(call_id=some, device_id="a" * 65), "device_id"),
        *(
            (name, kind(call_id=some, client_request_id="a" * 65, **fields), "client_request_id")
            for name, kind, fields in (
                ("AcceptCall", api.AcceptCallRequest, {"device_id": PHONE}),
                ("LeaveCall", api.LeaveCallRequest, {"device_id": PHONE}),
                ("JoinCall", api.JoinCallRequest, {"device_id": PHONE}),
                ("TakeOverCall", api.TakeOverCallRequest, {"device_id": PHONE}),
                ("SetHand", api.SetHandRequest, {}),
                ("SetLock", api.SetLockRequest, {}),
                ("RequestMute", api.RequestMuteRequest, {"user_id": "bob"}),
            )
        ),
        ("GetCall", api.GetCallRequest(), "call_id"),
        ("JoinMedia", api.JoinMediaRequest(join_token="t"), "sdp_offer"),
        ("JoinMedia", api.JoinMediaRequest(join_token="t", sdp_offer="v" * 65_537), "sdp_offer"),
    ]
    for name, request, field_name in faulty:
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as details:
            await alice.call(name, request)
        violations = find_detail(details[0], error_details_pb2.BadRequest).field_violations
        assert [violation.field for violation in violations] == [field_name]


async def test_nobody_calls_without_a_valid_token(town: Town) -> None:
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    request = api.ListActiveCallsRequest()
    expired = (("authorization", f"Bearer {town.issuer.token('alice', ttl_s=-10)}"),)
    for metadata, reason in (
        ((), "TOKEN_MISSING"),
        ((("authorization", "Bearer nonsense"),), "TOKEN_INVALID"),
        (expired, "TOKEN_EXPIRED"),
    ):
        async with refused(unauthenticated, reason):
            await User(town.replica.channel, metadata).call("ListActiveCalls", request)
