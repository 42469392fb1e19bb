"""What goes to the broker of one partition: in its order, whatever becomes of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.lines import MAX_RECORD_BYTES, Line, lines
from services.runtime.partitions import partition_of

BATCH_BYTES = 1000


def line_of(sizes: Sequence[int]) -> Line:
    line = Line("things", 0)
    line.waiting.extend((Outgoing("things", b"key", bytes(size)), ()) for size in sizes)
    return line


def fill(line: Line) -> list[Outgoing]:
    return line.fill(BatchBuilder(BATCH_BYTES, 0))


def sent(line: Line) -> list[int]:
    return [len(record.value or b"") for record, _ in line.sent]


def test_a_batch_takes_the_first_as_far_as_there_is_room() -> None:
    line = line_of([400, 401, 402])
    assert fill(line) == []
    assert sent(line) == [400, 401]
    line.note_acknowledged()
    fill(line)
    assert sent(line) == [402]
    assert not line.waiting


def test_of_a_refused_batch_each_goes_alone_before_what_follows() -> None:
    line = line_of([400, 401, 402, 403])
    fill(line)
    assert line.note_refused() == []
    fill(line)
    assert sent(line) == [400]
    line.note_acknowledged()
    fill(line)
    assert sent(line) == [401]
    assert [len(record.value or b"") for record in line.note_refused()] == [401]
    fill(line)
    assert sent(line) == [402, 403]


@pytest.mark.parametrize(
    "odd",
    [
        Outgoing("things", b"key", bytes(MAX_RECORD_BYTES)),
        Outgoing("things", b"key", "no bytes"),  # type: ignore[arg-type]
        Outgoing("things", "no bytes", b"value"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_written_down_is_given_back_and_the_others_go(odd: Outgoing) -> None:
    line = line_of([1])
    line.waiting.append((odd, ()))
    line.waiting.append((Outgoing("things", b"key", bytes(2)), ()))
    assert fill(line) == [odd]
    assert sent(line) == [1, 2]


@given(st.lists(st.integers(0, 2 * BATCH_BYTES), max_size=30), st.sets(st.integers(0, 29)))
def test_all_come_in_their_order_but_those_that_are_refused(sizes: list[int], bad: set[int]) -> None:
    """A broker that refuses each batch with a bad record in it."""
    line, came, refused = Line("things", 0), [], []
    line.waiting.extend(
        (Outgoing("things", b"key", number.to_bytes(4) + bytes(size)), ()) for number, size in enumerate(sizes)
    )
    while line.waiting:
        fill(line)
        numbers = [int.from_bytes((record.value or b"")[:4]) for record, _ in line.sent]
        if bad.intersection(numbers):
            refused += [int.from_bytes((record.value or b"")[:4]) for record in line.note_refused()]
        else:
            line.note_acknowledged()
            came += numbers
    assert came == [number for number in range(len(sizes)) if number not in bad]
    assert refused == [number for number in range(len(sizes)) if number in bad]


def test_a_key_has_one_line_and_it_is_the_one_of_its_partition() -> None:
    keys = [f"user-{number}" for number in range(50)]
    records = [(Outgoing("things", key.encode(), value), ()) for key in keys for value in (b"first", b"second")]
    found = lines(records, {"things": range(12)})
    for line in found:
        assert {partition_of(record.key.decode(), 12) for record, _ in line.waiting} == {line.partition}
        for first, second in zip(list(line.waiting)[::2], list(line.waiting)[1::2], strict=True):
            assert (first[0].key, first[0].value, second[0].value) == (second[0].key, b"first", b"second")
    assert sum(len(line.waiting) for line in found) == len(records)
