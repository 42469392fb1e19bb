"""What is printed of the broker's stages, and that they are those of the services."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from services.ops.broker import committed_by
from services.ops.core.topics import STAGES, DeadLetter, Stage, lag, letters, replayed

SERVICES = Path(__file__).resolve().parents[3] / "services"
LETTER = DeadLetter(7, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "ann", 120, "not a Delivery")


def test_lag_is_shown_by_stage_in_seconds() -> None:
    lines = lag([Stage("delivery.v1", "presence", 12, 3.25, True), Stage("calls.events.v1", "x", 4, 9, False)])
    assert lines[1].split() == ["delivery.v1", "presence", "12", "3.2", "reading"]
    assert lines[2].endswith("never committed")


def test_dead_letters_are_shown_without_what_is_in_them() -> None:
    assert letters([LETTER])[1].split() == ["7", "2026-01-02T03:04:05+00:00", "ann", "120", "not", "a", "Delivery"]
    assert letters([]) == ["no dead letters"]


def test_a_replay_says_what_it_did() -> None:
    assert "again" in replayed("delivery.v1", 7, LETTER)[0]
    assert replayed("delivery.v1", 8, None) == ["there is no dead letter 8 of delivery.v1"]


def test_the_stages_are_all_groups_that_the_services_have() -> None:
    found = set()
    for service in ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "sfu"):
        text = "".join(path.read_text() for path in (SERVICES / service).glob("*.py"))
        # Each group is written out once: in a subscription, or as a constant beside its consumer.
        found |= set(re.findall(r'(?:Subscription|in_background)\(\([\w.]+,\), "([\w-]+)"', text))
        found |= set(re.findall(r'^\w*GROUP = "([\w-]+)"', text, re.MULTILINE))
    assert found == {group for _, group in STAGES}


async def test_what_a_group_has_committed_is_waited_for_while_the_broker_loads_it() -> None:
    partition = TopicPartition("delivery.v1", 0)
    answers = [{}, {}, {partition: OffsetAndMetadata(7, "")}]

    class Loading:
        """A broker that has just started: it leaves out what it has not loaded."""

        async def list_consumer_group_offsets(self, group: str, partitions: object) -> object:
            return answers.pop(0)

    assert await committed_by(Loading(), "presence", [partition], retry_s=0.0) == {partition: 7}
