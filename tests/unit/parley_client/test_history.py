"""One conversation on one device: what arrives, in any order, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from parley_client.delivery_checks import delivery_faults
from parley_client.history import Arrival, History
from tests.support.client_entries import entry


def test_messages_in_order_are_shown_at_once() -> None:
    history = History("c1")
    assert [history.add(entry(seq)) for seq in (1, 2, 3)] == [Arrival.SHOWN] * 3
    assert history.cursor == 3
    assert not history.has_gap


def test_a_message_after_a_gap_is_kept_back_until_the_gap_is_filled() -> None:
    history = History("c1")
    history.add(entry(1))
    assert history.add(entry(3)) is Arrival.GAP
    assert history.cursor == 1
    assert history.has_gap
    assert history.add(entry(2)) is Arrival.SHOWN
    assert [shown.seq for shown in history.shown] == [1, 2, 3]
    assert not history.has_gap


def test_a_second_copy_is_counted_and_not_shown() -> None:
    history = History("c1")
    history.add(entry(1))
    assert history.add(entry(1)) is Arrival.DUPLICATE
    assert len(history.shown) == 1
    assert history.duplicates == 1


def test_another_message_under_a_taken_seq_is_a_conflict() -> None:
    history = History("c1")
    history.add(entry(1))
    assert history.add(entry(1, message_id="other")) is Arrival.CONFLICT
    assert delivery_faults(history, []) == ["seq 1 is both message m1 and other"]


def test_one_message_under_two_seqs_is_a_conflict() -> None:
    history = History("c1")
    history.add(entry(1))
    assert history.add(entry(2, message_id="m1")) is Arrival.CONFLICT
    assert history.cursor == 1


def test_a_late_cursor_changes_nothing_and_what_was_read_was_delivered() -> None:
    history = History("c1")
    history.move_cursors("bob", 5, 0)
    history.move_cursors("bob", 3, 4)
    assert (history.read_seq, history.delivered_seq) == ({"bob": 5}, {"bob": 5})
    history.move_cursors("bob", 0, 8)
    assert (history.read_seq, history.delivered_seq) == ({"bob": 5}, {"bob": 8})


def test_a_device_hides_by_itself_what_vanishes_and_takes_the_word_of_it_for_no_conflict() -> None:
    history = History("c1")
    said = replace(entry(1), expires_at_s=10.0)
    history.add(said)
    assert (said.as_of(9.9), history.unread("bob", 9.9)) == (said, 1)
    over = said.as_of(10.0)
    assert (over.kind, over.text, history.unread("bob", 10.0)) == ("expired", None, 0)
    assert history.add(over) is Arrival.CHANGED
    assert history.add(said) is Arrival.DUPLICATE
    assert history.shown == [over]
    assert history.add(replace(over, kind="expired", revision=4)) is Arrival.CHANGED
    other = History("c1")
    other.add(said)
    assert other.add(replace(over, kind="unsent")) is Arrival.CONFLICT


def test_one_counts_what_others_wrote_above_ones_own_cursor() -> None:
    history = History("c1")
    for seq in range(1, 6):
        history.add(entry(seq))
    history.move_own_read(2)
    history.move_own_read(1)
    assert (history.unread("bob", 0.0), history.unread("alice", 0.0)) == (3, 0)


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(1, 8), max_size=8))
def test_any_arrival_order_with_repeats_ends_in_the_one_order(order: list[int], repeats: list[int]) -> None:
    history = History("c1")
    for seq in [*order, *repeats]:
        assert history.add(entry(seq)) is not Arrival.CONFLICT
    assert [shown.seq for shown in history.shown] == list(range(1, 9))
    assert delivery_faults(history, [(f"k{seq}", seq) for seq in range(1, 9)]) == []
    assert history.duplicates == len(repeats)
