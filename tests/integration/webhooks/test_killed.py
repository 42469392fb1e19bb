"""kill -9 of the only webhooks process while it delivers, and of none: from the broker to the receiver all comes, in
order, and what comes twice has one id."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from deploy import identities
from services.runtime.config import KafkaConfig
from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.producer import KafkaPublisher
from services.webhooks.mapping import MESSAGING_TOPIC
from tests.support.processes import ServiceProcess
from tests.support.waiting import until
from tests.support.webhook_receiver import SECRET, Receiver, Request
from tests.unit.webhooks.events import sent

EVENTS = 40


def conversation_of(said: Any) -> str:
    """Of which conversation a request is."""
    return str(said["data"]["conversationId"])


def environment(folder: Path, receiver: Receiver, database_url: str, kafka: KafkaConfig) -> dict[str, str]:
    """One endpoint that wants the messages of conversations."""
    identities.write(folder / "keys", identities.key_sets())
    endpoint = {"name": "bots", "url": receiver.url, "secrets": [SECRET], "events": ["message.*"]}
    (folder / "webhooks.json").write_text(json.dumps({"endpoints": [endpoint]}))
    return {
        **identities.environment(folder / "keys", "webhooks"),
        "PARLEY_WEBHOOKS_ENDPOINTS_FILE": str(folder / "webhooks.json"),
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "PARLEY_KAFKA_IDEMPOTENT": "false",
        # As soon as Apache Kafka lets a dead member's partitions go.
        "PARLEY_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "PARLEY_KAFKA_FETCH_WAIT_MS": "10",
        "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
        "PARLEY_ADMIN_ADDRESS": "127.0.0.1:0",
        "PARLEY_METRICS_ADDRESS": "127.0.0.1:0",
        "PARLEY_WEBHOOKS_TIMEOUT_S": "2",
    }


async def test_a_killed_process_loses_nothing_and_keeps_the_order(
    tmp_path: Path, database_url: str, kafka: KafkaConfig, publisher: KafkaPublisher
) -> None:
    receiver = Receiver()
    await receiver.start()
    # Others' tests use the topic, too.
    conversations = [str(uuid4()) for _ in range(4)]
    base = uuid4().int & ~0xFFFF
    records = [
        sent(base + number, conversations[number % len(conversations)], direct=number % 2 == 0)
        for number in range(EVENTS)
    ]
    wanted = {
        conversation: [str(UUID(int=base + number)) for number in range(EVENTS) if number % 4 == index]
        for index, conversation in enumerate(conversations)
    }
    reached = asyncio.Event()

    def ours() -> set[str]:
        return {one.webhook_id for one in receiver.taken if conversation_of(one.said) in wanted}

    def answer(request: Request) -> int:
        # In the middle: this one was sent, and nobody will hear the answer.
        if conversation_of(request.said) in wanted and len(ours()) == EVENTS // 3 and not reached.is_set():
            reached.set()
            return 0
        return 200

    receiver.answer = answer
    process = ServiceProcess("services.webhooks", environment(tmp_path, receiver, database_url, kafka))
    await process.start()
    try:
        await publisher.publish([Outgoing(MESSAGING_TOPIC, one.key, one.value) for one in records])
        await until(reached.is_set, what="the middle", progress=lambda: len(receiver.came))
        await process.kill()
        await process.start()
        await until(lambda: len(ours()) == EVENTS, what="all events", progress=lambda: len(receiver.taken))
        for conversation, ids in wanted.items():
            assert receiver.first_times(conversation_of, conversation) == ids
        # Whatever came more than once was one of them.
        came = [one.webhook_id for one in receiver.came if conversation_of(one.said) in wanted]
        assert set(came) == {webhook_id for ids in wanted.values() for webhook_id in ids}
        assert len(came) > EVENTS
    finally:
        await process.kill()
        await receiver.stop()
