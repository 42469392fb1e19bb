"""The worker's records on a real broker."""

import asyncio

from aiokafka import AIOKafkaConsumer
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime.clock import SystemClock
from services.runtime.config import KafkaConfig
from services.runtime.env import EnvReader
from services.runtime.ids import new_id
from services.runtime.kafka.producer import KafkaPublisher
from services.sfu.config import Node
from services.sfu.core.ids import WorkerId
from services.sfu.core.session.effects import LeaveReason
from services.sfu.publisher import Announcer, KafkaEvents
from tests.integration.sfu.conftest import key_of
from tests.support.waiting import PATIENCE_S


async def consume(broker: str, topic: str, key: bytes, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    values: list[bytes | None] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for record in consumer:
                if record.key == key:
                    values.append(record.value)
                if len(values) == count:
                    break
    finally:
        await consumer.stop()
    return values


async def test_announcements_events_and_the_tombstone_reach_the_broker(broker: str) -> None:
    publisher = KafkaPublisher(
        KafkaConfig.read(EnvReader({"PARLEY_KAFKA_BOOTSTRAP": broker, "PARLEY_KAFKA_IDEMPOTENT": "false"}))
    )
    worker_id = WorkerId("worker-of-test-kafka")
    events = KafkaEvents(publisher, worker_id, SystemClock(), new_id)
    node = Node(worker_id, "127.0.0.1:7000", "local", 10)
    announcer = Announcer(publisher, node, SystemClock(), lambda: 1, lambda: False, lambda: None)
    await publisher.start()
    await events.start()
    # Before the broker is reached: it waits in the queue.
    events.media_connected(key_of("ann", call="call-of-test-kafka"))
    events.media_disconnected(key_of("ann", call="call-of-test-kafka"), LeaveReason.CLOSED)
    await publisher.wait_connected()
    await announcer.announce()
    await announcer.stop()
    values = await consume(broker, "media.events.v1", b"call-of-test-kafka", 2)
    kinds = [calls_events.CallEvent.FromString(value or b"").WhichOneof("event") for value in values]
    assert kinds == ["media_connected", "media_disconnected"]
    first, last = await consume(broker, "sfu.nodes.v1", worker_id.encode(), 2)
    assert sfu_events.NodeAnnouncement.FromString(first or b"").participants == 1
    assert not last
    await events.stop()
    await publisher.stop()
