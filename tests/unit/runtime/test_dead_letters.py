from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import BusUnavailable, RecordRefused
from services.runtime.kafka.bus import REASON_HEADER, Outgoing
from services.runtime.kafka.dead_letters import (
    KEPT_KEY_BYTES,
    KEPT_VALUE_BYTES,
    MAX_REASON_BYTES,
    PART_HEADER,
    dead_letter,
    place,
    post,
    post_patiently,
)
from services.runtime.kafka.records import time_of


class Broker:
    """A publisher with room for so many bytes a record, that is away for the first calls."""

    def __init__(self, room: int, away: int = 0) -> None:
        self.room, self.away = room, away
        self.taken: list[Outgoing] = []

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            self.away -= 1
            raise BusUnavailable("away")
        if any(len(record.key) + len(record.value or b"") > self.room for record in records):
            raise RecordRefused(records, "too large")
        self.taken += records


@given(st.text(st.characters(codec=None), max_size=2_000))
def test_a_reason_of_any_length_and_characters_will_do(reason: str) -> None:
    said = dict(dead_letter("t", b"k", b"v", reason).headers)[REASON_HEADER]
    assert len(said) <= MAX_REASON_BYTES


def test_a_lone_surrogate_in_a_reason_will_do() -> None:
    assert dict(dead_letter("t", b"k", None, "\ud800").headers)[REASON_HEADER] == b"\\ud800"


async def test_a_letter_that_is_too_large_is_kept_by_its_head() -> None:
    broker = Broker(room=20_000)
    await post(broker, dead_letter("t", b"k" * 5_000, b"v" * 50_000, "why", place(3, 7)))
    letter = broker.taken[0]
    assert (len(letter.key), len(letter.value or b"")) == (KEPT_KEY_BYTES, KEPT_VALUE_BYTES)
    assert dict(letter.headers)[PART_HEADER] == b"cut of 50000"


async def test_a_letter_that_is_refused_even_so_stops_nobody() -> None:
    broker = Broker(room=10)
    await post_patiently(broker, dead_letter("t", b"k", b"v" * 50_000, "why"))
    assert broker.taken == []


async def test_a_letter_waits_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.kafka.dead_letters.FIRST_RETRY_S", 0.0)
    broker = Broker(room=1_000, away=3)
    await post_patiently(broker, dead_letter("t", b"k", b"v", "why"))
    assert [letter.topic for letter in broker.taken] == ["t.dlq"]


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_timestamp_is_some_time(timestamp_ms: int) -> None:
    assert time_of(timestamp_ms).tzinfo
