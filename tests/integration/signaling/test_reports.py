"""What media workers write, through a real broker: what no honest worker says is parked, and the next goes on."""

from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import service_pb2 as api
from prometheus_client import REGISTRY

from services.runtime.kafka.bus import REASON_HEADER, Outgoing
from services.signaling.consumer import MEDIA_GROUP, MEDIA_TOPIC
from tests.integration.signaling.neighbours import FakeSfu
from tests.integration.signaling.town import PHONE, TABLET, Pair, Town
from tests.support.waiting import eventually


def gone(call_id: str, user_id: str, worker_id: str, device_id: str = PHONE) -> bytes:
    event = calls_events.CallEvent(event_id=str(uuid4()), call_id=call_id)
    event.media_disconnected.MergeFrom(
        calls_events.MediaDisconnected(user_id=user_id, device_id=device_id, worker_id=worker_id)
    )
    return event.SerializeToString()


async def parked(broker: str, keys: set[bytes], count: int) -> list[str]:
    """The reasons of so many dead letters of these keys."""
    reader = AIOKafkaConsumer(
        f"{MEDIA_TOPIC}.dlq", bootstrap_servers=broker, auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    await reader.start()
    found: list[str] = []
    try:

        async def has_all() -> bool:
            for records in (await reader.getmany(timeout_ms=100)).values():
                found.extend(dict(one.headers)[REASON_HEADER].decode() for one in records if one.key in keys)
            return len(found) >= count

        await eventually(has_all, what=f"{count} dead letters", progress=lambda: len(found))
    finally:
        await reader.stop()
    return found


async def has_media(town: Town, call_id: str, user_id: str) -> bool:
    connection = await asyncpg.connect(town.env["PARLEY_DATABASE_URL"])
    try:
        query = "SELECT media_up FROM participants WHERE call_id = $1 AND user_id = $2"
        return bool(await connection.fetchval(query, call_id, user_id))
    finally:
        await connection.close()


async def talking(town: Town) -> tuple[Pair, str]:
    """Two who have media, and their call."""
    pair = town.pair()
    start, accepted = await pair.answered()
    await town.user(pair.alice).join(start.grant)
    await town.user(pair.bob).join(accepted.grant)

    async def all_have_media() -> bool:
        return all([await has_media(town, start.call.call_id, user_id) for user_id in (pair.alice, pair.bob)])

    await eventually(all_have_media, what="media")
    return pair, str(start.call.call_id)


def dead() -> float:
    labels = {"topic": MEDIA_TOPIC, "group": MEDIA_GROUP, "result": "dead"}
    return REGISTRY.get_sample_value("kafka_consumer_records_total", labels) or 0.0


async def test_what_no_honest_worker_says_of_a_call_is_parked_and_changes_nothing(
    town: Town, other_worker: FakeSfu, broker: str
) -> None:
    pair, call_id = await talking(town)
    own, other = call_id.encode(), str(uuid4()).encode()
    of_the_call = gone(call_id, pair.alice, town.sfu.worker_id)
    of_a_stranger = gone(call_id, pair.alice, other_worker.worker_id)
    ends_it = calls_events.CallEvent(call_id=call_id, call_changed=calls_events.CallChanged()).SerializeToString()
    before = dead()
    await town.publisher.publish(
        [
            Outgoing(MEDIA_TOPIC, other, of_the_call),
            Outgoing(MEDIA_TOPIC, own, of_a_stranger),
            Outgoing(MEDIA_TOPIC, own, ends_it),
            # The next goes on: Bob's is honest, and comes after them.
            Outgoing(MEDIA_TOPIC, own, gone(call_id, pair.bob, town.sfu.worker_id, TABLET)),
        ]
    )

    async def is_heard() -> bool:
        return not await has_media(town, call_id, pair.bob)

    await eventually(is_heard, what="the honest report")
    reasons = await parked(broker, {own, other}, 3)
    assert sorted(reasons) == [
        "a media worker says what only signaling may",
        "the call was never placed on this worker",
        "the key is not the call_id",
    ]
    assert dead() == before + 3
    assert await has_media(town, call_id, pair.alice)
    leave = api.LeaveCallRequest(call_id=call_id, device_id=PHONE)
    await town.user(pair.alice).call("LeaveCall", leave)
