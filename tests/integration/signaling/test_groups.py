"""Group calls, settings, records and operators over gRPC, PostgreSQL and the broker."""

from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from parley.calls.v1 import messages_pb2, operations_pb2, operations_pb2_grpc
from parley.calls.v1 import service_pb2 as api
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime.grpc.channels import connect
from services.runtime.kafka.bus import Outgoing
from tests.integration.signaling.neighbours import read_join_token
from tests.integration.signaling.town import FAILED, PHONE, TABLET, Town, User, attempt, find_detail, refused
from tests.support.admins import admin
from tests.support.waiting import PATIENCE_S, eventually

JOINED = messages_pb2.PARTICIPANT_STATE_JOINED


class Group:
    """New people in a conversation; the first is its admin."""

    def __init__(self, town: Town, size: int = 3) -> None:
        self.town = town
        self.conversation_id = str(uuid4())
        self.names = [f"member-{number}-{uuid4().hex[:6]}" for number in range(size)]
        self.users = [town.user(name) for name in self.names]
        town.conversations[self.conversation_id] = list(self.names)

    async def start(self, user: User, key: str = "first") -> api.StartCallResponse:
        request = api.StartCallRequest(
            conversation_id=self.conversation_id, video=True, device_id=PHONE, client_call_id=key
        )
        answer: api.StartCallResponse = await user.call("StartCall", request)
        return answer

    async def join(self, user: User, call_id: str, device_id: str = TABLET) -> api.JoinCallResponse:
        request = api.JoinCallRequest(call_id=call_id, device_id=device_id)
        answer: api.JoinCallResponse = await user.call("JoinCall", request)
        return answer


def joined(call: messages_pb2.Call) -> list[str]:
    return [seat.user_id for seat in call.participants if seat.state == JOINED]


async def test_a_group_call_from_ring_to_the_end_for_all(town: Town) -> None:
    group = Group(town)
    admin, second, third = group.users
    start = await group.start(admin)
    call_id = start.call.call_id
    assert start.call.group
    assert start.grant.video_slots > 1
    accept = await second.call("AcceptCall", api.AcceptCallRequest(call_id=call_id, device_id=TABLET))
    assert await second.join(accept.grant) == f"answer of {town.sfu.worker_id} to offer"
    came = await group.join(third, call_id)
    assert joined(came.call) == group.names
    listed = await third.call("ListActiveCalls", api.ListActiveCallsRequest())
    assert [call.call_id for call in listed.calls] == [call_id]
    await admin.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=PHONE))
    assert (await second.state(call_id))[0] == messages_pb2.CALL_STATE_ACTIVE
    again = await group.start(admin, "second")
    assert (again.call.call_id, joined(again.call)) == (call_id, group.names)
    ended = await admin.call("EndCall", api.EndCallRequest(call_id=call_id))
    assert ended.call.end_reason == messages_pb2.END_REASON_HUNG_UP


async def test_admins_moderate_and_others_do_not(town: Town) -> None:
    group = Group(town)
    admin, second, third = group.users
    call_id = (await group.start(admin)).call.call_id
    for user in (second, third):
        await group.join(user, call_id)
    raised = await third.call("SetHand", api.SetHandRequest(call_id=call_id, raised=True))
    assert raised.call.participants[2].HasField("hand_raise_time")
    asked = await admin.call("RequestMute", api.RequestMuteRequest(call_id=call_id, user_id=group.names[1]))
    assert asked.call.participants[1].HasField("mute_request_time")
    locked = await admin.call("SetLock", api.SetLockRequest(call_id=call_id, locked=True))
    assert locked.call.locked
    async with refused(grpc.StatusCode.PERMISSION_DENIED, "NOT_ADMIN"):
        await second.call("EndCall", api.EndCallRequest(call_id=call_id))
    await admin.call("RemoveParticipant", api.RemoveParticipantRequest(call_id=call_id, user_id=group.names[1]))

    async def media_is_gone() -> bool:
        return (group.names[1], TABLET) in town.sfu.removed

    await eventually(media_is_gone)
    async with refused(grpc.StatusCode.PERMISSION_DENIED, "REMOVED_FROM_CALL"):
        await group.join(second, call_id)
    await third.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=TABLET))
    async with refused(FAILED, "CALL_LOCKED"):
        await group.join(third, call_id)
    await admin.call("EndCall", api.EndCallRequest(call_id=call_id))


async def test_who_leaves_the_conversation_leaves_its_call(town: Town) -> None:
    group = Group(town)
    admin, second, _ = group.users
    call_id = (await group.start(admin)).call.call_id
    await group.join(second, call_id)
    town.conversations[group.conversation_id].remove(group.names[1])
    event = messaging_events.ConversationEvent(conversation_id=group.conversation_id)
    event.conversation_changed.SetInParent()
    record = Outgoing("messaging.events.v1", group.conversation_id.encode(), event.SerializeToString())
    await town.publisher.publish([record])

    async def is_out() -> bool:
        call = (await admin.call("GetCall", api.GetCallRequest(call_id=call_id))).call
        return joined(call) == group.names[:1]

    await eventually(is_out)
    async with refused(grpc.StatusCode.NOT_FOUND, "CALL_NOT_FOUND"):
        await second.call("GetCall", api.GetCallRequest(call_id=call_id))


async def test_a_pair_between_whom_a_block_comes_to_stand_is_in_no_call(town: Town) -> None:
    pair = town.pair()
    alice = town.user(pair.alice)
    request = api.StartCallRequest(conversation_id=pair.conversation_id, device_id=PHONE, client_call_id="c")
    call_id = (await alice.call("StartCall", request)).call.call_id
    town.closed.add(pair.bob)
    event = messaging_events.ConversationEvent(conversation_id=pair.conversation_id)
    event.pair_closed.SetInParent()
    record = Outgoing("messaging.events.v1", pair.conversation_id.encode(), event.SerializeToString())
    await town.publisher.publish([record])

    async def is_over() -> bool:
        call = (await alice.call("GetCall", api.GetCallRequest(call_id=call_id))).call
        return call.end_reason == messages_pb2.END_REASON_MISSED

    await eventually(is_over)
    # A retry learns that it is over, and rings nobody.
    again = await alice.call("StartCall", request)
    assert (again.call.call_id, again.HasField("grant")) == (call_id, False)


async def test_who_may_not_be_rung_is_not(town: Town) -> None:
    pair = town.pair()
    town.closed.add(pair.bob)
    request = api.StartCallRequest(conversation_id=pair.conversation_id, device_id=PHONE, client_call_id="c")
    async with refused(grpc.StatusCode.PERMISSION_DENIED, "CALL_NOT_ALLOWED"):
        await town.user(pair.alice).call("StartCall", request)


async def test_who_calls_too_often_is_told_when_to_try_again(town: Town) -> None:
    pair = town.pair()
    async with town.another(PARLEY_CALLS_PER_MINUTE="1") as other:
        start = await pair.ring(other)
        alice = town.user(pair.alice, other)
        await alice.call("CancelCall", api.CancelCallRequest(call_id=start.call.call_id))
        request = api.StartCallRequest(conversation_id=pair.conversation_id, device_id=PHONE, client_call_id="more")
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_RATE") as details:
            await alice.call("StartCall", request)
    assert find_detail(details[0], error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds() <= 60


async def test_a_stranger_who_rings_somebody_besieged_is_told_the_same_and_a_whole_window(town: Town) -> None:
    pair = town.pair()
    async with town.another(PARLEY_STRANGER_RINGS_PER_MINUTE="1") as other:
        start = await pair.ring(other)
        await town.user(pair.alice, other).call("CancelCall", api.CancelCallRequest(call_id=start.call.call_id))
        strange = town.pair()
        town.conversations[strange.conversation_id] = [strange.alice, pair.bob]
        request = api.StartCallRequest(conversation_id=strange.conversation_id, device_id=PHONE, client_call_id="c")
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_RATE") as details:
            await town.user(strange.alice, other).call("StartCall", request)
    assert details[0].message == "too many calls"
    assert find_detail(details[0], error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds() == 60


async def test_settings_are_kept_and_what_has_no_meaning_is_named(town: Town) -> None:
    user = town.user(f"settler-{uuid4().hex[:6]}")
    quiet = messages_pb2.QuietHours(start_minute=1320, end_minute=420, time_zone="Europe/Berlin", weekdays=[1, 7])
    settings = messages_pb2.CallSettings(call_waiting=True, quiet_hours=quiet)
    await user.call("UpdateCallSettings", api.UpdateCallSettingsRequest(settings=settings))
    assert (await user.call("GetCallSettings", api.GetCallSettingsRequest())).settings == settings
    faults = {
        "start_minute": messages_pb2.QuietHours(start_minute=1440, time_zone="UTC"),
        "time_zone": messages_pb2.QuietHours(time_zone="../../etc/passwd"),
        "weekdays": messages_pb2.QuietHours(time_zone="UTC", weekdays=[8]),
    }
    for field, hours in faults.items():
        request = api.UpdateCallSettingsRequest(settings=messages_pb2.CallSettings(quiet_hours=hours))
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as details:
            await user.call("UpdateCallSettings", request)
        violations = find_detail(details[0], error_details_pb2.BadRequest).field_violations
        assert [violation.field for violation in violations] == [f"settings.quiet_hours.{field}"]


async def test_ended_calls_are_listed_in_pages_with_their_quality(town: Town) -> None:
    pair = town.pair()
    alice = town.user(pair.alice)
    ids = []
    for _ in range(3):
        start = await pair.ring()
        ids.append(start.call.call_id)
        await alice.call("CancelCall", api.CancelCallRequest(call_id=start.call.call_id))
    worker_id = read_join_token(start.grant.join_token)["worker"]
    report = sfu_events.QualityReport(
        call_id=ids[-1], user_id=pair.alice, device_id=PHONE, worker_id=worker_id, interval_s=5.0
    )
    report.report_time.FromDatetime(datetime.now(UTC))
    report.uplink.packets, report.uplink.rtt_ms = 250, 40.0
    await town.publisher.publish([Outgoing("media.quality.v1", ids[-1].encode(), report.SerializeToString())])

    async def page(token: str = "") -> api.ListCallsResponse:
        answer: api.ListCallsResponse = await alice.call(
            "ListCalls", api.ListCallsRequest(page_size=2, page_token=token)
        )
        return answer

    async def quality_has_come() -> bool:
        return len((await page()).calls[0].quality) == 1

    await eventually(quality_has_come)
    first = await page()
    assert [record.call.call_id for record in first.calls] == ids[:0:-1]
    (quality,) = first.calls[0].quality
    assert (quality.user_id, quality.uplink.packets, quality.uplink.rtt_ms) == (pair.alice, 250, 40.0)
    last = await page(first.next_page_token)
    assert ([record.call.call_id for record in last.calls], last.next_page_token) == (ids[:1], "")


async def test_a_device_that_comes_later_is_rung(town: Town) -> None:
    pair = town.pair()
    start = await pair.ring()
    # No device of Bob was there; the first one asks as each does once its stream is ready.
    bob = town.user(pair.bob)
    listed = await bob.call("ListActiveCalls", api.ListActiveCallsRequest())
    assert [(call.call_id, call.state) for call in listed.calls] == [
        (start.call.call_id, messages_pb2.CALL_STATE_RINGING)
    ]
    accept = api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET)
    assert (await bob.call("AcceptCall", accept)).call.state == messages_pb2.CALL_STATE_ACTIVE


async def test_an_operator_moves_a_call_and_users_cannot(town: Town) -> None:
    pair = town.pair()
    start, _ = await pair.answered()
    call_id = start.call.call_id
    assert town.replica.app.server is not None
    server = town.replica.app.server
    address, for_users = f"127.0.0.1:{server.admin_port}", f"127.0.0.1:{server.port}"
    async with town.worker() as other, connect(address, admin("operator")) as channel:
        stub = operations_pb2_grpc.CallOperationsServiceStub(channel)
        before = await stub.LocateCall(operations_pb2.LocateCallRequest(call_id=call_id), timeout=PATIENCE_S)

        move = operations_pb2.MoveCallRequest(call_id=call_id, worker_id=other.worker_id)
        answers: list[operations_pb2.MoveCallResponse] = []
        await eventually(lambda: attempt(stub.MoveCall(move, timeout=PATIENCE_S), answers, "NO_MEDIA_WORKER"))
        after = await stub.LocateCall(operations_pb2.LocateCallRequest(call_id=call_id), timeout=PATIENCE_S)
        assert (before.media_epoch, after.media_epoch, after.worker_id) == (0, 1, other.worker_id)
        alice = town.user(pair.alice)
        call = (await alice.call("GetCall", api.GetCallRequest(call_id=call_id))).call
        assert call.media_move.reason == messages_pb2.MEDIA_MOVE_REASON_OPERATOR
        renew = api.RenewMediaGrantRequest(call_id=call_id, device_id=PHONE)
        grant = (await alice.call("RenewMediaGrant", renew)).grant
        assert (grant.media_epoch, await alice.join(grant)) == (1, f"answer of {other.worker_id} to offer")
    ports = {address: grpc.StatusCode.UNAUTHENTICATED, for_users: grpc.StatusCode.UNIMPLEMENTED}
    for port, refusal in ports.items():
        async with grpc.aio.insecure_channel(port) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await operations_pb2_grpc.CallOperationsServiceStub(channel).LocateCall(
                    operations_pb2.LocateCallRequest(call_id=call_id), metadata=alice.metadata, timeout=PATIENCE_S
                )
            assert caught.value.code() is refusal


async def test_a_draining_workers_calls_are_moved(town: Town) -> None:
    pair = town.pair()
    alice = town.user(pair.alice)
    async with town.worker() as worker:
        start = await pair.ring_on(worker)
        worker.draining = True

        async def has_moved() -> bool:
            call = (await alice.call("GetCall", api.GetCallRequest(call_id=start.call.call_id))).call
            return bool(call.media_move.reason == messages_pb2.MEDIA_MOVE_REASON_DRAIN)

        await eventually(has_moved)


async def test_a_worker_that_is_back_at_once_under_its_name_is_noticed(town: Town) -> None:
    pair = town.pair()
    alice = town.user(pair.alice)
    async with town.worker() as worker:
        start = await pair.ring_on(worker)
        worker.start_time = datetime.now(UTC)

        async def has_moved() -> bool:
            call = (await alice.call("GetCall", api.GetCallRequest(call_id=start.call.call_id))).call
            return bool(call.media_move.reason == messages_pb2.MEDIA_MOVE_REASON_WORKER_LOST)

        await eventually(has_moved)
