"""What canary.py searches of a broker: the headers of all its records, dead letters among them."""

import asyncio
from pathlib import Path

from services.runtime.kafka.dead_letters import dead_letter, post
from services.runtime.kafka.producer import KafkaPublisher
from tests.support.canary import Canaries
from tests.support.headers import keep_headers

SAID = "behind the old mill"


async def test_a_text_in_a_dead_letters_reason_is_found(publisher: KafkaPublisher, broker: str, tmp_path: Path) -> None:
    await post(publisher, dead_letter("delivery.v1", b"key", b"value", f"bad: {SAID}"))
    kept = tmp_path / "headers.log"
    await asyncio.to_thread(keep_headers, broker, kept)
    canaries = Canaries()
    canaries.note(SAID, "a text")
    assert canaries.find_in(kept.read_text(), "headers")
    assert "delivery.v1.dlq/" in kept.read_text()
