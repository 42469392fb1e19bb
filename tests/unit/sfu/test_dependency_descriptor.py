"""Descriptors are read as the AV1 RTP specification's section A.8 writes them, and hostile ones cost no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.wire.dependency_descriptor import MAX_TEMPLATES, DescriptorReader, Frame, Structure
from tests.unit.sfu.counting import MOST_LINES, count_lines
from tests.unit.sfu.descriptors import L1T3, L3T3, Bits, Row, Table, descriptor, k_svc, l3t3, read_all


def read(*values: bytes) -> Frame | None:
    """What the last of them says."""
    reader = DescriptorReader()
    return [reader.read(value) for value in values][-1]


def structure_of(table: Table) -> Structure:
    frame = read(descriptor(table, 0, 1, structure=True))
    assert frame is not None
    return frame.structure


def bits_by_hand() -> bytes:
    """One template, one target, one chain, 640 x 360; by the syntax of section A.8.2."""
    bits = Bits()
    for value, count in [
        *((1, 1), (1, 1), (0, 6), (7, 16)),
        # Structure there; no active targets, nothing custom.
        *((1, 1), (0, 1), (0, 3)),
        # Offset, targets less one, layers, an indication (switch), fdiffs.
        *((0, 6), (0, 5), (3, 2), (2, 2), (0, 1)),
        # Chains below two; that which protects the target takes no bits; its fdiff.
        *((1, 1), (0, 4)),
        *((1, 1), (639, 16), (359, 16)),
    ]:
        bits.put(value, count)
    return bits.bytes()


def test_a_descriptor_is_read_field_by_field() -> None:
    frame = read(bits_by_hand())
    assert frame is not None
    assert (frame.starts, frame.ends, frame.number, frame.begins_sequence) == (True, True, 7, True)
    assert frame.structure.heights == (360,)
    assert [target.key() for target in frame.structure.targets] == [(0, 0, 0, 0, 1)]
    assert (frame.fdiffs, frame.chain_fdiffs, frame.active) == ((), (0,), 1)


def test_targets_are_told_by_the_layers_of_what_they_need() -> None:
    targets = structure_of(L3T3).targets
    assert [(target.spatial, target.temporal) for target in targets] == [(s, t) for s in range(3) for t in range(3)]
    # The first of the specification's table is HD at 30 frames a second.
    assert [target.bit.bit_length() - 1 for target in targets] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert [target.chain for target in targets] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert structure_of(L3T3).heights == (180, 360, 720)
    assert structure_of(L1T3).heights == ()


def test_a_frame_is_to_each_target_what_its_template_says() -> None:
    (key, _, _), (low, middle, _) = read_all([l3t3(0), l3t3(1)])
    assert (key.begins_sequence, low.begins_sequence) == (True, False)
    targets = key.structure.targets
    assert [key.indication(target) for target in targets] == [2] * 9
    # Rows 4 and 9 of the table.
    assert [low.indication(target) for target in targets] == [0, 0, 1, 0, 0, 3, 0, 0, 3]
    assert [middle.indication(target) for target in targets] == [0, 0, 0, 0, 0, 1, 0, 0, 3]
    assert (middle.spatial, middle.temporal, middle.fdiffs, middle.chain_fdiffs) == (1, 2, (3, 1), (4, 3, 2))
    assert (low.number, middle.number) == (4, 5)


def test_what_is_custom_goes_before_the_template() -> None:
    (key, *_), (low, middle, top) = read_all([k_svc(0), k_svc(1)])
    assert [frame.indications for frame in (low, middle, top)] == [0b100000, 0b001000, 0b000010]
    assert (low.fdiffs, low.chain_fdiffs) == ((3,), (3, 2, 1))
    given = read(
        descriptor(L1T3, 0, 1, structure=True),
        descriptor(L1T3, 3, 2, fdiffs=(1, 17, 4096), chains=(200,), active=0b011),
    )
    assert given is not None
    assert (given.fdiffs, given.chain_fdiffs, given.active) == ((1, 17, 4096), (200,), 0b011)
    assert key.active == 0b111


def test_active_targets_hold_until_they_are_told_anew() -> None:
    reader = DescriptorReader()
    values = [
        descriptor(L1T3, 0, 10, structure=True),
        descriptor(L1T3, 3, 11, active=0b001),
        descriptor(L1T3, 2, 12),
        # Late: what it says is older.
        descriptor(L1T3, 3, 9, active=0b111),
        descriptor(L1T3, 4, 13),
        descriptor(L1T3, 0, 14, structure=True),
    ]
    assert [frame.active for value in values if (frame := reader.read(value))] == [7, 1, 1, 7, 1, 7]


def test_late_packets_are_read_by_the_structure_of_before() -> None:
    reader = DescriptorReader()
    old = reader.read(descriptor(L1T3, 0, 1, structure=True))
    new = reader.read(descriptor(L3T3, 0, 5, structure=True))
    late = reader.read(descriptor(L1T3, 4, 4))
    assert old is not None
    assert new is not None
    assert late is not None
    assert late.structure is old.structure
    # A late structure does not take the newer one's place.
    reader.read(descriptor(L1T3, 0, 1, structure=True))
    after = reader.read(descriptor(L3T3, 4, 6))
    assert after is not None
    assert after.structure is new.structure


def test_the_same_structure_again_is_the_same() -> None:
    first, *_, again = read_all([l3t3(n, n % 4) for n in range(5)])
    assert again[0].begins_sequence
    assert again[0].structure is first[0].structure


def test_numbers_of_a_new_beginning_are_not_late() -> None:
    reader = DescriptorReader()
    reader.read(descriptor(L1T3, 0, 40_000, structure=True))
    begun = reader.read(descriptor(L3T3, 0, 7, structure=True))
    after = reader.read(descriptor(L3T3, 4, 8))
    assert begun is not None
    assert after is not None
    assert after.structure is begun.structure


def test_what_is_cut_short_or_names_no_template_says_nothing() -> None:
    whole = descriptor(L3T3, 0, 1, structure=True)
    for size in range(len(whole) - 1):
        assert read(whole[:size]) is None
    assert read(descriptor(L1T3, 1, 2)) is None
    assert read(whole, descriptor(L3T3, 20, 2)) is None
    # What could not be read changes nothing.
    assert read(whole, descriptor(L1T3, 0, 2, structure=True)[:8], descriptor(L3T3, 4, 2)) is not None


@pytest.mark.parametrize("row", [Row(4, 0, (), (), "S"), Row(0, 4, (), (), "S")])
def test_more_layers_than_are_told_apart_are_not_read(row: Row) -> None:
    steps = [Row(min(n, row.spatial), min(n, row.temporal), (), (), "S") for n in range(4)]
    assert read(descriptor(Table((*steps, row), (0,)), 0, 1, structure=True)) is None
    assert read(descriptor(Table(tuple(steps), (0,)), 0, 1, structure=True)) is not None


def hostile() -> list[bytes]:
    many = tuple(Row(0, 0, (), (), "S") for _ in range(MAX_TEMPLATES))
    wide = tuple(Row(0, 0, (), (0,) * 32, "S" * 32) for _ in range(9))
    needy = (Row(0, 0, (1,) * 390, (), "S"),)
    return [
        *(
            descriptor(Table(rows, protected), 0, 1, structure=True)
            for rows, protected in [
                (many, (0,)),
                (wide, tuple(range(32))),
                (needy, (0,)),
            ]
        ),
        descriptor(L1T3, 0, 1, structure=True, fdiffs=(1,) * 300),
        b"\x80\x00\x01" + b"\xff" * 252,
        b"\x80\x00\x01\x80" + bytes(251),
    ]


@pytest.mark.parametrize("value", hostile())
def test_no_descriptor_costs_more_than_its_share(value: bytes) -> None:
    assert len(value) <= 255
    # A packet has some other work.
    assert count_lines(lambda: read(value)) < MOST_LINES * 0.8


@given(st.lists(st.binary(max_size=255), max_size=6))
def test_no_bytes_raise(values: list[bytes]) -> None:
    reader = DescriptorReader()
    reader.read(descriptor(L3T3, 0, 1, structure=True))
    for value in values:
        frame = reader.read(value)
        if frame is not None:
            assert all(frame.indication(target) in range(4) for target in frame.structure.targets)
