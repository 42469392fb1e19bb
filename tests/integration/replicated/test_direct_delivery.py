"""Messages that go to presence directly, in a whole stack: sooner while the way is there, and safe without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded.record import StackRecord
from loadtests.event_routing.replicas import counters
from tests.support.waiting import eventually
from tests.support.writing_pair import Pair

MESSAGES = 30


@contextmanager
def losing(file: Path) -> Iterator[None]:
    file.touch()
    try:
        yield
    finally:
        file.unlink()


async def total(record: StackRecord, counter: str, **labels: str) -> int:
    """Of all presence replicas."""
    return sum((await counters(record, "presence", counter, **labels)).values())


async def figures(record: StackRecord) -> tuple[int, int, int]:
    """Deliveries that were passed on, those that came directly, and those that had come before the other way."""
    routed = await total(record, "presence_events", result="routed")
    came = await total(record, "presence_direct_deliveries")
    late = await total(record, "presence_direct_deliveries", result="known")
    return routed, came, late + await total(record, "presence_known_deliveries")


async def at_rest(record: StackRecord, at_least: int) -> tuple[int, int]:
    """Deliveries that were passed on, and those that came directly, once so many of these have come both ways."""
    found = (0, 0)

    async def has_come() -> bool:
        nonlocal found
        routed, came, dropped = await figures(record)
        found = (routed, came)
        return came == dropped >= at_least

    await eventually(has_come, what="what was handed over has come by Kafka, and was dropped")
    return found


async def test_each_message_comes_both_ways_and_is_passed_on_once(record: StackRecord, pair: Pair) -> None:
    # The first may have found a new stream not open yet.
    first = await pair.write(1)
    await pair.until_read(first)
    routed_before, came_before = await at_rest(record, 2 * len(first))
    acknowledged = await pair.write(MESSAGES)
    await pair.until_read(acknowledged)
    routed, came = await at_rest(record, came_before + 2 * len(acknowledged))
    # A send that was broken off may have been stored as well.
    assert routed - routed_before == came - came_before >= 2 * len(acknowledged)


async def test_what_is_lost_on_the_direct_way_comes_by_kafka(record: StackRecord, pair: Pair, lost: Path) -> None:
    acknowledged = await pair.write(MESSAGES)
    await pair.until_read(acknowledged)
    routed_before, came_before = await at_rest(record, 2 * len(acknowledged))
    with losing(lost):
        acknowledged += await pair.write(MESSAGES)
        await pair.until_read(acknowledged)
        routed, came, _ = await figures(record)
    # Else this shows nothing.
    assert came == came_before
    assert routed >= routed_before + 2 * MESSAGES
    acknowledged += await pair.write(MESSAGES)
    await pair.until_read(acknowledged)
    await at_rest(record, came_before + 2 * MESSAGES)
