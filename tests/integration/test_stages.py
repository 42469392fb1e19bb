"""What an operator sees of the broker: the lag of a stage, dead letters, and one of them replayed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from services.ops.broker import Broker
from services.ops.core.topics import Stage
from services.ops.mapping import CALL_TOPICS
from services.runtime.config import KafkaConfig
from services.runtime.kafka.bus import HandleBatch, Incoming, Outgoing, PoisonRecord
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.waiting import eventually, until

QUALITY = "media.quality.v1"
# Nobody else's: where members were killed by other tests, the embedded broker kept a new one waiting for over a minute.
GROUP = f"lag-{secrets.token_hex(6)}"
DEAD = "presence.events.v1"


@asynccontextmanager
async def consuming(
    kafka: KafkaConfig, publisher: KafkaPublisher, topic: str, group: str | None, handle: HandleBatch
) -> AsyncIterator[None]:
    consumer = KafkaConsumer(kafka, Subscription((topic,), group), handle, publisher)
    await consumer.start()
    try:
        yield
    finally:
        await consumer.stop()


async def stage(kafka: KafkaConfig, now: datetime) -> Stage:
    # Not all of them: other tests leave much behind in theirs.
    (found,) = await Broker(kafka).stages(now, [(QUALITY, GROUP)])
    return found


async def test_the_lag_of_a_stage_is_the_age_of_the_oldest_record_that_waits(
    kafka: KafkaConfig, publisher: KafkaPublisher
) -> None:
    async def handle(_: Sequence[Incoming]) -> None: ...

    async def is_current() -> bool:
        now = await stage(kafka, datetime.now(UTC))
        return now.records == 0 and now.has_committed

    await publisher.publish([Outgoing(QUALITY, b"k", b"one")])
    async with consuming(kafka, publisher, QUALITY, GROUP, handle):
        await eventually(is_current)
    # One by one: of a batch the embedded broker counts only the first record into a partition's end.
    await publisher.publish([Outgoing(QUALITY, b"k", b"two")])
    await publisher.publish([Outgoing(QUALITY, b"k", b"three")])
    found = await stage(kafka, datetime.now(UTC) + timedelta(seconds=60))
    assert found.records == 2
    assert 60 <= found.oldest_s < 90


async def test_a_poison_record_is_parked_shown_and_replayed_and_blocks_nobody(
    kafka: KafkaConfig, publisher: KafkaPublisher
) -> None:
    mark = secrets.token_hex(6)
    handled: list[str] = []
    mended = False

    async def handle(records: Sequence[Incoming]) -> None:
        for record in records:
            text = (record.value or b"").decode()
            if text == f"{mark}-poison" and not mended:
                raise PoisonRecord("it cannot be read")
            handled.append(text)

    async with consuming(kafka, publisher, DEAD, None, handle):
        poison = Outgoing(DEAD, mark.encode(), f"{mark}-poison".encode(), (("kind", b"x"),))
        await publisher.publish([poison, Outgoing(DEAD, mark.encode(), f"{mark}-good".encode())])
        await until(lambda: f"{mark}-good" in handled, what="the record behind the poison")
        (letter,) = [one for one in await Broker(kafka).letters(DEAD, 50) if one.key == mark]
        assert (letter.reason, letter.size) == ("it cannot be read", len(f"{mark}-poison"))
        mended = True
        assert await Broker(kafka).replay(DEAD, letter.offset) == letter
        await until(lambda: f"{mark}-poison" in handled, what="the replayed record")


async def test_a_dead_letter_that_is_not_there_is_not_replayed(kafka: KafkaConfig) -> None:
    assert await Broker(kafka).replay("graph.events.v1", 10_000) is None


async def test_what_the_record_has_of_a_call_is_found_under_its_key_in_every_topic(
    kafka: KafkaConfig, publisher: KafkaPublisher
) -> None:
    call, other = f"call-{secrets.token_hex(6)}", f"call-{secrets.token_hex(6)}"
    records = [(topic, key, f"{topic} of {key}".encode()) for topic in CALL_TOPICS for key in (call, other)]
    for topic, key, value in records:
        await publisher.publish([Outgoing(topic, key.encode(), value)])
    found = await Broker(kafka).keyed(CALL_TOPICS, call)
    assert found == [(topic, value) for topic, key, value in records if key == call]
