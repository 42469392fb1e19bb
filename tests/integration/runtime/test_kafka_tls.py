"""A broker that is reached over TLS only: it advertises the front, which asks for a certificate of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.embedded import broker
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports
from deploy.embedded.probes import tcp
from deploy.embedded.process import ManagedProcess, ProcessSpec
from services.runtime.config import KafkaConfig, KafkaTls
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.tls import HOST, Authority, tls_front
from tests.support.waiting import until

TOPIC = "graph.events.v1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def config(tmp_path: Path, authority: Authority) -> AsyncIterator[KafkaConfig]:
    ports = Ports({})
    clear, front = ports.tcp("clear"), ports.tcp("front")
    command = (
        *(str(broker.binary()), "broker", "--listener-url", f"tcp://{HOST}:{clear}"),
        *("--advertised-listener-url", f"tcp://{HOST}:{front}", "--storage-engine", "memory://tansu/"),
    )
    sink = LogSink(tmp_path / "logs", None)
    process = ManagedProcess(ProcessSpec(name="broker", command=command, ready=tcp(HOST, clear)), sink)
    ours = authority.issue("parley")
    await process.start()
    try:
        async with tls_front(front, clear, authority.issue("broker"), authority.ca):
            tls = KafkaTls(True, str(authority.ca), str(ours.certificate), str(ours.key))
            yield KafkaConfig(f"{HOST}:{front}", idempotent=False, session_timeout_ms=3000, fetch_wait_ms=10, tls=tls)
    finally:
        await process.stop()
        sink.close()


async def test_records_are_published_and_consumed_over_tls_with_a_certificate_of_ours(config: KafkaConfig) -> None:
    handled: list[bytes] = []

    async def handle(records: Sequence[Incoming]) -> None:
        handled.extend(record.value or b"" for record in records)

    publisher = KafkaPublisher(config)
    consumer = KafkaConsumer(config, Subscription((TOPIC,), "tls"), handle, publisher)
    await publisher.start()
    await publisher.wait_connected()
    await consumer.start()
    try:
        await publisher.publish([Outgoing(TOPIC, b"k", b"over tls")])
        await until(lambda: handled == [b"over tls"], what="the record")
    finally:
        await consumer.stop()
        await publisher.stop()


@pytest.mark.parametrize("fault", ["another authority", "no certificate", "in clear", "no such file"])
async def test_a_broker_that_cannot_be_trusted_or_does_not_trust_us_is_waited_for(
    config: KafkaConfig, tmp_path: Path, fault: str
) -> None:
    other = Authority(tmp_path, "other")
    tls = {
        "another authority": replace(config.tls, ca_file=str(other.ca)),
        "no certificate": replace(config.tls, certificate_file="", key_file=""),
        "in clear": KafkaTls(),
        "no such file": replace(config.tls, ca_file=str(tmp_path / "missing.pem")),
    }[fault]
    publisher, good = KafkaPublisher(replace(config, tls=tls)), KafkaPublisher(config)
    await publisher.start()
    await good.start()
    try:
        # By then the other had its chance too, and goes on trying.
        await good.wait_connected()
        assert await good.ready()
        assert not await publisher.ready()
    finally:
        await publisher.stop()
        await good.stop()
