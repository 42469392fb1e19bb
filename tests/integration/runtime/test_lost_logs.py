"""A broker that comes back without its data, and whose topics have grown past a consumer's place before it looks."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.runtime.config import KafkaConfig
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import until

TOPIC = "graph.events.v1"
# One conversation, so that all stands in one partition.
KEY = b"line"


@pytest.fixture(scope="module")
def own_broker() -> Iterator[RunningStack]:
    with run_stack("lost-logs", parts=("broker",)) as running:
        yield running


@pytest.fixture
def config(own_broker: RunningStack) -> KafkaConfig:
    return KafkaConfig(own_broker.record.kafka_bootstrap, True, 30_000, fetch_wait_ms=5_000)


async def publish(config: KafkaConfig, values: Sequence[str]) -> None:
    publisher = KafkaPublisher(config)
    await publisher.start()
    await publisher.wait_connected()
    await publisher.publish([Outgoing(TOPIC, KEY, value.encode()) for value in values])
    await publisher.stop()


class Reader:
    def __init__(self) -> None:
        self.came: list[str] = []

    async def handle(self, records: Sequence[Incoming]) -> None:
        self.came += [(record.value or b"").decode() for record in records if record.key == KEY]


def replace_broker(stack: RunningStack, config: KafkaConfig, values: Sequence[str]) -> None:
    """Give the broker an empty disk, and its topics these records."""
    data = stack.folder / "kafka" / "data"
    old_pid = stack.kill("broker", signal.SIGSTOP)
    data.rename(data.with_name(f"lost-{old_pid}"))
    stack.kill("broker")
    stack.wait_for_restart("broker", old_pid)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, publish(config, values)).result()


# Each time more than the broker has had before.
@pytest.mark.parametrize(("group", "count"), [("readers", 100), (None, 500)])
async def test_what_stands_in_a_new_log_is_read_from_its_beginning(
    own_broker: RunningStack, config: KafkaConfig, group: str | None, count: int
) -> None:
    reader, publisher = Reader(), KafkaPublisher(config)
    consumer = KafkaConsumer(config, Subscription((TOPIC,), group), reader.handle, publisher)
    before = [f"before-{group}-{number}" for number in range(20)]
    after = [f"after-{group}-{number}" for number in range(count)]
    await publish(config, before)
    await publisher.start()
    await consumer.start()
    try:
        await until(lambda: reader.came[-20:] == before, what="the records of the first log")
        # It holds the event loop, so that the consumer looks only when all of it is done.
        replace_broker(own_broker, config, after)
        await until(lambda: len(set(after) & set(reader.came)) == len(after), what="the records of the second log")
        assert [value for value in dict.fromkeys(reader.came) if value in after] == after
    finally:
        await consumer.stop()
        await publisher.stop()
