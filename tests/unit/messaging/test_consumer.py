"""Who is told of what."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import messages_pb2 as call_messages
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging.conversations.consumer import DIRECT_MEMBERS, FanOut
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp, Settings
from services.messaging.kernel.content import CallOutcome, CallRecord, Text
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    UserId,
    open_direct,
)
from services.messaging.kernel.quotas import day_quota
from services.messaging.messages.consumer import CallRecords
from services.messaging.search.consumer import SearchIndex
from services.messaging.wire.deliveries import deliveries, deliveries_at_once, direct_deliveries
from services.messaging.wire.events import (
    conversation_created,
    message_changed,
    message_sent,
    pair_closed,
    read_cursor_moved,
    with_recipients,
)
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming, Outgoing, PoisonRecord
from tests.support.bus import MemoryPublisher
from tests.support.keyed import call_record, conversation_record
from tests.support.messaging_world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION = ConversationId(UUID(int=1))
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


def incoming(value: bytes | None) -> Incoming:
    return conversation_record(value, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


async def told(world: World, *events: bytes) -> list[tuple[str, gateway.DeviceEvent]]:
    """The deliveries that the events become: who, and what the device reads."""
    publisher = MemoryPublisher()
    await FanOut(world.store, publisher).handle([incoming(event) for event in events])
    deliveries = [presence.Delivery.FromString(record.value or b"") for record in publisher.records]
    assert [record.key.decode() for record in publisher.records] == [delivery.user_id for delivery in deliveries]
    assert all(record.topic == "delivery.v1" and record.headers for record in publisher.records)
    return [
        (delivery.user_id, gateway_service.SubscribeResponse.FromString(delivery.frame).event)
        for delivery in deliveries
    ]


async def group_with_latecomer(world: World) -> Conversation:
    """Alice's group with Bob; Carol came after message 1."""
    made = groups.create_group(CONVERSATION, ALICE, [BOB], Settings("Trip"), NOW)
    await world.store.create_group(made, "k", ChangeStamp(MessageId(UUID(int=2)), ALICE, NOW), day_quota(ALICE, 9, NOW))
    return await world.groups.add_members(ALICE, str(CONVERSATION), [CAROL])


def message(seq: int) -> Message:
    return Message(MessageId(UUID(int=50 + seq)), CONVERSATION, seq, ALICE, f"k{seq}", NOW, Text("hello"))


async def test_a_message_is_told_to_every_member_the_sender_too(world: World) -> None:
    await world.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    deliveries = await told(world, message_sent(message(1)), message_sent(message(2)))
    assert [(user, event.message.seq) for user, event in deliveries] == [
        ("alice", 1),
        ("bob", 1),
        ("alice", 2),
        ("bob", 2),
    ]


async def test_who_came_later_hears_nothing_of_earlier_messages(world: World) -> None:
    await group_with_latecomer(world)
    early, late = message(1), message(2)
    assert [user for user, _ in await told(world, message_changed(UUID(int=9), early, NOW))] == [ALICE, BOB]
    assert [user for user, _ in await told(world, message_sent(late))] == [ALICE, BOB, CAROL]


async def test_who_was_removed_is_told_that_and_nothing_more(world: World) -> None:
    await group_with_latecomer(world)
    before = len(world.store.events)
    await world.groups.remove_member(ALICE, str(CONVERSATION), BOB)
    deliveries = await told(world, *world.store.events[before:])
    kinds = [(user, event.WhichOneof("event")) for user, event in deliveries]
    assert ("bob", "conversation") in kinds
    assert ("bob", "message") not in kinds
    assert {user for user, _ in kinds} == {ALICE, BOB, CAROL}


async def test_a_read_cursor_is_told_to_all(world: World) -> None:
    await group_with_latecomer(world)
    deliveries = await told(world, read_cursor_moved(UUID(int=8), CONVERSATION, BOB, 1, 2, NOW))
    assert {
        (user, event.read.user_id, event.read.read_seq, event.read.delivered_seq) for user, event in deliveries
    } == {(user, "bob", 1, 2) for user in (ALICE, BOB, CAROL)}


@pytest.mark.parametrize("value", [b"\xff\xff", b"", b"\x12\x03abc", None])
async def test_an_event_that_nobody_can_read_is_poison(world: World, value: bytes | None) -> None:
    with pytest.raises(PoisonRecord):
        await FanOut(world.store, MemoryPublisher()).handle([incoming(value)])


async def test_a_pair_that_was_closed_is_told_to_no_device(world: World) -> None:
    await world.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    assert await told(world, pair_closed(UUID(int=9), CONVERSATION, NOW)) == []


def ended_call(reason: call_messages.EndReason.ValueType, conversation_id: str) -> calls.CallEvent:
    def stamp(instant: datetime) -> Timestamp:
        value = Timestamp()
        value.FromDatetime(instant)
        return value

    call = call_messages.Call(
        call_id=str(UUID(int=7)),
        conversation_id=conversation_id,
        caller_id=ALICE,
        video=True,
        state=call_messages.CALL_STATE_ENDED,
        end_reason=reason,
        answer_time=stamp(NOW),
        end_time=stamp(NOW + timedelta(seconds=83)),
        participants=[
            call_messages.Participant(user_id=ALICE, join_time=stamp(NOW)),
            call_messages.Participant(user_id=BOB, join_time=stamp(NOW)),
            call_messages.Participant(user_id="never-came"),
            # Is in no conversation, and so in no record of one.
            call_messages.Participant(user_id="came-by-link", join_time=stamp(NOW), guest=True),
        ],
    )
    return calls.CallEvent(call_id=call.call_id, call_changed=calls.CallChanged(call=call))


async def test_an_ended_call_is_recorded_once(world: World) -> None:
    conversation = await world.conversation()
    event = ended_call(call_messages.END_REASON_HUNG_UP, conversation).SerializeToString()
    await CallRecords(world.sending).handle([call_record(event), call_record(event)])
    messages, _ = await world.history.list_messages(ALICE, conversation, 0, 0)
    record = CallRecord(UUID(int=7), True, CallOutcome.COMPLETED, timedelta(seconds=83), (ALICE, BOB))
    assert [(entry.sender_id, entry.content) for entry in messages] == [(ALICE, record)]


async def test_a_call_that_ends_in_a_frozen_conversation_leaves_no_record_and_is_no_poison(world: World) -> None:
    conversation = await world.conversation()
    await world.store.set_frozen(ConversationId(UUID(conversation)), frozen=True)
    event = ended_call(call_messages.END_REASON_HUNG_UP, conversation)
    await CallRecords(world.sending).handle([call_record(event.SerializeToString())])
    assert world.store.messages_of(ConversationId(UUID(conversation))) == []


async def test_a_scheduled_call_to_which_nobody_came_leaves_no_record_and_one_that_was_held_does(world: World) -> None:
    conversation = await world.conversation()
    event = ended_call(call_messages.END_REASON_MISSED, conversation)
    call = event.call_changed.call
    call.scheduled_call_id = str(UUID(int=8))
    held = event.SerializeToString()
    call.ClearField("answer_time")
    await CallRecords(world.sending).handle([call_record(event.SerializeToString())])
    assert (await world.history.list_messages(ALICE, conversation, 0, 0))[0] == []
    await CallRecords(world.sending).handle([call_record(held)])
    assert len((await world.history.list_messages(ALICE, conversation, 0, 0))[0]) == 1


async def test_a_call_that_goes_on_is_not_recorded(world: World) -> None:
    conversation = await world.conversation()
    event = ended_call(call_messages.END_REASON_HUNG_UP, conversation)
    event.call_changed.call.state = call_messages.CALL_STATE_ACTIVE
    await CallRecords(world.sending).handle([call_record(event.SerializeToString())])
    assert (await world.history.list_messages(ALICE, conversation, 0, 0))[0] == []


@pytest.mark.parametrize("conversation_id", ["nonsense", str(UUID(int=99))])
async def test_a_record_for_no_conversation_is_poison(world: World, conversation_id: str) -> None:
    event = ended_call(call_messages.END_REASON_MISSED, conversation_id)
    with pytest.raises(PoisonRecord):
        await CallRecords(world.sending).handle([call_record(event.SerializeToString())])


async def test_an_event_under_the_key_of_another_conversation_is_poison(world: World) -> None:
    event = pair_closed(UUID(int=9), CONVERSATION, NOW)
    record = replace(incoming(event), key=str(UUID(int=2)).encode())
    for consumer in (FanOut(world.store, MemoryPublisher()), SearchIndex(world.store)):
        with pytest.raises(PoisonRecord, match="key"):
            await consumer.handle([record])


async def test_an_event_of_one_call_that_holds_another_is_recorded_nowhere(world: World) -> None:
    conversation = await world.conversation()
    event = ended_call(call_messages.END_REASON_HUNG_UP, conversation)
    under_another_key = replace(call_record(event.SerializeToString()), key=str(UUID(int=8)).encode())
    event.call_id = str(UUID(int=8))
    for record in (under_another_key, call_record(event.SerializeToString())):
        with pytest.raises(PoisonRecord):
            await CallRecords(world.sending).handle([record])
    assert (await world.history.list_messages(ALICE, conversation, 0, 0))[0] == []


def test_whoever_went_is_asked_about_anew_and_nobody_else() -> None:
    event = events_pb2.ConversationEvent(conversation_id=str(CONVERSATION))
    event.conversation_changed.removed_user_ids.append(BOB)
    told = [presence.Delivery.FromString(one.value or b"") for one in deliveries(event, [ALICE, BOB], ())]
    assert {one.user_id: one.relations_changed for one in told} == {ALICE: False, BOB: True}


def between_two(event: bytes) -> Outgoing:
    """A record of the outbox, of a conversation of two."""
    return Outgoing("messaging.events.v1", str(CONVERSATION).encode(), with_recipients(event, [ALICE, BOB]))


def sent(seq: int) -> bytes:
    return message_sent(Message(MessageId(UUID(int=seq)), CONVERSATION, seq, ALICE, f"k{seq}", NOW, Text("hello")))


def test_what_is_handed_over_is_what_the_relay_publishes_under_one_id() -> None:
    record = between_two(sent(4))
    handed = deliveries_at_once(record)
    assert list(handed) == list(direct_deliveries(record))
    for outgoing in handed:
        delivery = presence.Delivery.FromString(outgoing.value or b"")
        assert delivery.delivery_id == str(UUID(int=4))
        assert (delivery.place.sequence, delivery.place.number) == (str(CONVERSATION), 4)


@pytest.mark.parametrize(("age_s", "newcomer"), [(0, True), (9, True), (11, False)])
def test_a_message_of_a_pair_that_is_new_may_not_overtake_what_tells_of_it(age_s: int, newcomer: bool) -> None:
    conversation = ConversationId(new_id(NOW))
    at = NOW + timedelta(seconds=age_s)
    event = message_sent(Message(MessageId(UUID(int=4)), conversation, 1, ALICE, "k", at, Text("hello")))
    record = Outgoing("messaging.events.v1", str(conversation).encode(), with_recipients(event, [ALICE, BOB]))
    for told in (deliveries_at_once(record), direct_deliveries(record)):
        places = [presence.Delivery.FromString(one.value or b"").place for one in told]
        assert [(place.number, place.newcomer) for place in places] == [(1, newcomer)] * 2


def test_what_tells_of_a_new_conversation_stands_before_its_first_message() -> None:
    event = conversation_created(open_direct(CONVERSATION, ALICE, BOB, NOW))
    for told in direct_deliveries(between_two(event)):
        place = presence.Delivery.FromString(told.value or b"").place
        assert (place.sequence, place.number) == (str(CONVERSATION), 0)


async def test_a_message_to_a_group_may_not_overtake_what_tells_a_newcomer_of_it(world: World) -> None:
    now = world.clock.now()
    made = groups.create_group(CONVERSATION, ALICE, [BOB], Settings("Trip"), now - timedelta(days=1))
    await world.store.create_group(made, "k", ChangeStamp(MessageId(UUID(int=2)), ALICE, now), day_quota(ALICE, 9, now))
    await world.groups.add_members(ALICE, str(CONVERSATION), [CAROL])
    publisher = MemoryPublisher()
    await FanOut(world.store, publisher).handle([incoming(message_sent(replace(message(3), sent_at=now)))])
    told = [presence.Delivery.FromString(record.value or b"") for record in publisher.records]
    assert {one.user_id: one.place.newcomer for one in told} == {ALICE: False, BOB: False, CAROL: True}


def test_a_cursor_is_handed_over_and_waits_for_nothing() -> None:
    handed = deliveries_at_once(between_two(read_cursor_moved(UUID(int=9), CONVERSATION, BOB, 3, 3, NOW)))
    assert [presence.Delivery.FromString(one.value or b"").HasField("place") for one in handed] == [False, False]


def test_what_has_an_order_that_no_place_tells_is_not_handed_over() -> None:
    changed = message_changed(
        UUID(int=9), Message(MessageId(UUID(int=4)), CONVERSATION, 4, ALICE, "k", NOW, Text("hello"), revision=1), NOW
    )
    for event in (changed, conversation_created(open_direct(CONVERSATION, ALICE, BOB, NOW))):
        assert deliveries_at_once(between_two(event)) == ()
        for outgoing in direct_deliveries(between_two(event)):
            assert not presence.Delivery.FromString(outgoing.value or b"").delivery_id


@pytest.mark.parametrize(("members", "is_direct"), [(DIRECT_MEMBERS, True), (DIRECT_MEMBERS + 1, False)])
async def test_the_fan_out_hands_over_what_is_for_few_ahead_of_the_topic(members: int, is_direct: bool) -> None:
    world = World(capacity=5)
    people = [UserId(f"user-{number}") for number in range(members - 1)]
    made = groups.create_group(CONVERSATION, ALICE, people, Settings("Trip"), NOW)
    stamp = ChangeStamp(MessageId(UUID(int=2)), ALICE, NOW)
    await world.store.create_group(made, "k", stamp, day_quota(ALICE, 9, NOW))
    publisher, offered = MemoryPublisher(), list[Outgoing]()

    def offer(told: Sequence[Outgoing]) -> bool:
        assert not publisher.records
        offered.extend(told)
        return True

    await FanOut(world.store, publisher, offer=offer).handle([incoming(sent(5))])
    assert len(publisher.records) == members
    assert offered == (publisher.records if is_direct else [])
