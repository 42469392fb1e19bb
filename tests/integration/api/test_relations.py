"""Who may reach whom, through the edge and the whole stack: at once, and on every device."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest
from aiokafka import AIOKafkaProducer
from google.protobuf.timestamp_pb2 import Timestamp
from parley.graph.v1 import events_pb2 as graph
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as api
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client.client import Device
from tests.integration.api.conftest import DEADLINE_S, Online, World, new_user, open_direct, refused, send
from tests.support.waiting import eventually

DENIED = grpc.StatusCode.PERMISSION_DENIED
PENDING, DECLINED = messages.REQUEST_STATE_PENDING, messages.REQUEST_STATE_DECLINED
LET_IN = messages.REQUEST_STATE_UNSPECIFIED


async def take_requests(device: Device) -> None:
    """Only people whom the user follows may write without asking."""
    await device.relations.UpdateSettings(api.UpdateSettingsRequest(message_audience=api.AUDIENCE_FOLLOWED))


async def listed(device: Device, folder: messaging.ConversationFolder.ValueType) -> list[str]:
    answer = await device.messaging.ListConversations(messaging.ListConversationsRequest(folder=folder))
    return [summary.conversation.conversation_id for summary in answer.conversations]


async def until_request(online: Online, conversation_id: str, state: messages.RequestState.ValueType) -> None:
    known = online.stream.inbox.own_states
    await online.stream.until(
        lambda: conversation_id in known and known[conversation_id].request == state, DEADLINE_S, f"request {state}"
    )


async def test_a_block_acts_from_the_very_next_request_in_both_directions(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    await send(alice.device, conversation_id, "before")
    await bob.device.relations.BlockUser(api.BlockUserRequest(user_id=alice.user_id))
    for online in (alice, bob):
        with refused(DENIED, "NOT_ALLOWED"):
            await send(online.device, conversation_id, "after")
        with refused(DENIED, "CALL_NOT_ALLOWED"):
            await online.phone.start(conversation_id)
    blocked = await bob.device.relations.ListBlockedUsers(api.ListBlockedUsersRequest())
    assert [user.user_id for user in blocked.blocked_users] == [alice.user_id]
    await bob.device.relations.UnblockUser(api.UnblockUserRequest(user_id=alice.user_id))
    message = await send(alice.device, conversation_id, "again")
    assert message.seq == 2
    await bob.until_seq(conversation_id, 2)
    await alice.phone.start(conversation_id)
    await alice.phone.hang_up()


async def test_who_is_blocked_watches_nobody(world: World) -> None:
    alice, bob, _ = await world.pair_online()
    await bob.device.relations.BlockUser(api.BlockUserRequest(user_id=alice.user_id))
    await alice.stream.watch([bob.user_id])
    own = await open_direct(alice.device, new_user())
    await send(alice.device, own, "comes after the snapshot would have")
    await alice.until_seq(own, 1)
    assert bob.user_id not in alice.stream.inbox.presence


async def test_a_request_comes_to_the_device_as_such_and_is_let_in_on_all_of_them(world: World) -> None:
    alice, bob = await world.online(), await world.online()
    tablet = await world.online(bob.user_id)
    await take_requests(bob.device)
    conversation_id = await open_direct(alice.device, bob.user_id)
    await send(alice.device, conversation_id, "may I?")
    for online in (bob, tablet):
        await online.until_seq(conversation_id, 1)
        await until_request(online, conversation_id, PENDING)
    assert await listed(bob.device, messaging.CONVERSATION_FOLDER_REQUESTS) == [conversation_id]
    assert await listed(bob.device, messaging.CONVERSATION_FOLDER_UNSPECIFIED) == []
    with refused(DENIED, "CALL_NOT_ALLOWED"):
        await alice.phone.start(conversation_id)
    await bob.device.relations.AcceptRequest(api.AcceptRequestRequest(conversation_id=conversation_id))
    for online in (bob, tablet):
        await until_request(online, conversation_id, LET_IN)
    assert await listed(bob.device, messaging.CONVERSATION_FOLDER_UNSPECIFIED) == [conversation_id]
    await alice.phone.start(conversation_id)
    await alice.phone.hang_up()


async def test_a_declined_request_goes_from_all_devices_and_comes_back_when_one_writes(world: World) -> None:
    alice, bob = await world.online(), await world.online()
    tablet = await world.online(bob.user_id)
    await take_requests(bob.device)
    conversation_id = await open_direct(alice.device, bob.user_id)
    await send(alice.device, conversation_id, "may I?")
    await tablet.until_seq(conversation_id, 1)
    await bob.device.relations.DeclineRequest(api.DeclineRequestRequest(conversation_id=conversation_id))
    await until_request(tablet, conversation_id, DECLINED)
    await send(alice.device, conversation_id, "hello?")
    catchup = await tablet.device.messaging.Sync(messaging.SyncRequest())
    assert not catchup.deltas
    assert conversation_id not in tablet.stream.inbox.conversations
    await send(bob.device, conversation_id, "on second thought")
    for online in (bob, tablet):
        await online.until_seq(conversation_id, 3)
        await until_request(online, conversation_id, LET_IN)


async def test_who_takes_messages_of_nobody_cannot_be_reached(world: World) -> None:
    alice, bob = world.device(), world.device()
    await bob.relations.UpdateSettings(api.UpdateSettingsRequest(message_audience=api.AUDIENCE_NOBODY))
    with refused(DENIED, "NOT_ALLOWED"):
        await open_direct(alice, bob.user_id)


async def test_a_block_in_the_network_arrives_and_a_poison_record_stops_nothing(
    world: World, record: StackRecord
) -> None:
    alice, bob, conversation_id = await world.pair()
    at = Timestamp()
    at.FromDatetime(datetime.now(UTC))
    block = graph.BlockChanged(blocked_user_id=alice.user_id, blocks=True)
    event = graph.GraphEvent(user_id=bob.user_id, event_time=at, block_changed=block)
    producer = AIOKafkaProducer(bootstrap_servers=record.kafka_bootstrap)
    await producer.start()
    try:
        for value in (b"\xff\xff", event.SerializeToString()):
            await producer.send_and_wait("graph.events.v1", value, key=bob.user_id.encode())
    finally:
        await producer.stop()

    async def is_refused() -> bool:
        try:
            await send(alice, conversation_id, "still?")
        except grpc.aio.AioRpcError as error:
            return error.code() is DENIED
        return False

    await eventually(is_refused, DEADLINE_S)


@pytest.mark.parametrize("user_id", ["", "a b", "x" * 65])
async def test_a_user_id_that_cannot_be_one_is_refused_by_field(world: World, user_id: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await world.device().relations.BlockUser(api.BlockUserRequest(user_id=user_id))
    assert refusal.fields == ("user_id",)


async def test_a_report_is_taken_once(world: World) -> None:
    alice, bob, conversation_id = await world.pair()
    await send(alice, conversation_id, "unkind words")
    request = api.ReportRequest(
        client_report_id="r", conversation_id=conversation_id, seqs=[1], reason=api.REPORT_REASON_ABUSE
    )
    first = await bob.relations.Report(request)
    assert (await bob.relations.Report(request)).report_id == first.report_id
