"""The device's view of its conversations, and the proof built on it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from parley_client.conversations import Arrival, ConversationInfo, Conversations, Delta, Entry, History
from parley_client.delivery_checks import delivery_faults, order_differences


def entry(seq: int, message_id: str | None = None, client_id: str | None = None) -> Entry:
    return Entry("c1", seq, message_id or f"m{seq}", "alice", client_id or f"k{seq}", text=f"text {seq}")


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


def test_a_device_that_begins_with_the_newest_page_counts_from_there() -> None:
    conversations = Conversations()
    assert conversations.add(entry(52)) is Arrival.GAP
    assert conversations.add_delta(
        Delta(
            ConversationInfo("c1"),
            (
                entry(50),
                entry(51),
                entry(52),
            ),
        )
    )
    assert conversations.cursor("c1") == (52, 0)
    assert not conversations.has_gap


def test_a_copy_that_waited_where_the_device_is_to_begin_does_not_stand_before_the_newest_page() -> None:
    conversations = Conversations()
    conversations.add_info(ConversationInfo("c1"))
    assert conversations.add(entry(2)) is Arrival.GAP
    assert conversations.cursor("c1") == (0, 0)
    assert conversations.add_delta(Delta(ConversationInfo("c1", visible_after_seq=1), (entry(13),), last_seq=13))
    assert conversations.cursor("c1") == (13, 0)
    assert not conversations.has_gap


def test_a_change_that_came_while_sync_was_answered_outlives_the_older_answer() -> None:
    edited = replace(entry(2), text="edited", revision=5)
    older = Delta(ConversationInfo("c1", revision=4), tuple(entry(seq) for seq in (1, 2, 3)), revision=4, last_seq=3)
    for is_known in (True, False):
        conversations = Conversations()
        if is_known:
            conversations.add_info(ConversationInfo("c1", revision=4))
        conversations.add(edited)
        assert conversations.add_delta(older)
        # Nothing would tell it again: no later event shows that it is missing.
        assert conversations.history("c1").shown == [entry(1), edited, entry(3)]


def test_a_sync_answer_with_a_hole_is_reported() -> None:
    conversations = Conversations()
    conversations.add_delta(Delta(ConversationInfo("c1"), (entry(1),)))
    assert not conversations.add_delta(
        Delta(
            ConversationInfo("c1"),
            (
                entry(2),
                entry(4),
            ),
        )
    )
    assert conversations.has_gap


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


def test_a_device_forgets_what_the_retention_deleted_and_goes_on_from_there() -> None:
    conversations = Conversations()
    conversations.add_delta(Delta(ConversationInfo("c1", roles=(("me", 1),)), (entry(1), entry(2)), last_seq=2))
    conversations.take_info(ConversationInfo("c1", 1, roles=(("me", 1),), visible_after_seq=5), "me")
    assert conversations.history("c1").shown == []
    conversations.add(entry(6))
    assert [shown.seq for shown in conversations.history("c1").shown] == [6]
    assert not conversations.has_gap


def test_one_counts_what_others_wrote_above_ones_own_cursor() -> None:
    history = History("c1")
    for seq in range(1, 6):
        history.add(entry(seq))
    history.move_own_read(2)
    history.move_own_read(1)
    assert (history.unread("bob", 0.0), history.unread("alice", 0.0)) == (3, 0)


def test_the_proof_names_an_acknowledged_message_that_is_missing() -> None:
    history = History("c1")
    history.add(entry(1))
    assert delivery_faults(history, [("k1", 1), ("k2", 2)]) == ["acknowledged k2 is not at seq 2"]


def test_the_proof_names_a_client_id_that_stands_twice() -> None:
    history = History("c1")
    history.add(entry(1, client_id="k"))
    history.add(entry(2, client_id="k"))
    assert delivery_faults(history, []) == ["k stands twice: seq [1, 2]"]


def test_the_proof_names_a_gap_that_was_never_filled() -> None:
    history = History("c1")
    history.add(entry(3))
    assert delivery_faults(history, []) == ["seq 1 never came, though seq 3 did"]


def test_two_devices_with_other_messages_at_one_seq_differ() -> None:
    one, other = History("c1"), History("c1")
    one.add(entry(1))
    other.add(entry(1, message_id="x"))
    assert order_differences(one, other) == ["seq 1 differs between the devices"]


@given(st.permutations(list(range(1, 9))), st.lists(st.integers(1, 8), max_size=8))
def test_any_arrival_order_with_repeats_ends_in_the_one_order(order: list[int], repeats: list[int]) -> None:
    history = History("c1")
    for seq in [*order, *repeats]:
        assert history.add(entry(seq)) is not Arrival.CONFLICT
    assert [shown.seq for shown in history.shown] == list(range(1, 9))
    assert delivery_faults(history, [(f"k{seq}", seq) for seq in range(1, 9)]) == []
    assert history.duplicates == len(repeats)


@given(is_known=st.booleans(), is_changed_later=st.booleans())
def test_a_change_that_came_live_outlasts_an_older_answer_of_sync(is_known: bool, is_changed_later: bool) -> None:
    """The answer was made before the change, and comes after it: no later one brings the change again."""
    conversations = Conversations()
    info = ConversationInfo("c1", revision=7)
    if is_known:
        conversations.add_info(info)
    change = replace(entry(2), text="changed", revision=8 if is_changed_later else 6)
    conversations.add(change)
    conversations.history("c1").hear_revision(change.revision)
    page = (entry(1), replace(entry(2), text="of Sync", revision=7), entry(3))
    assert conversations.add_delta(Delta(info, page, revision=7, last_seq=3))
    history = conversations.history("c1")
    expected = "changed" if is_changed_later else "of Sync"
    assert [shown.text for shown in history.shown] == ["text 1", expected, "text 3"]
    assert not history.conflicts


def test_a_pin_of_what_one_may_not_see_or_of_what_is_gone_is_not_shown() -> None:
    conversations = Conversations()
    info = ConversationInfo("c1", revision=4, roles=(("me", 1),), visible_after_seq=1, pinned=(3, 9, 1, 2))
    shown = (replace(entry(2), expires_at_s=50.0), entry(3), entry(4))
    conversations.add_delta(Delta(info, shown, revision=4, last_seq=4))
    history = conversations.history("c1")
    # 9 is not on this device.
    assert history.pinned(49.0) == (3, 9, 2)
    assert history.pinned(50.0) == (3, 9)
    conversations.add(replace(entry(3), kind="unsent", text=None, revision=5))
    assert history.pinned(49.0) == (9, 2)


def test_a_late_word_of_the_conversation_brings_no_pin_back() -> None:
    conversations = Conversations()
    info = ConversationInfo("c1", revision=4, roles=(("me", 1),), pinned=(1,))
    conversations.take_info(info, "me")
    history = conversations.history("c1")
    history.begin_at(9)
    # Below what this device has.
    conversations.add(replace(entry(1), kind="expired", text=None, revision=5))
    conversations.take_info(info, "me")
    assert history.pinned(0.0) == ()
    conversations.take_info(replace(info, revision=6, pinned=(2,)), "me")
    assert history.pinned(0.0) == (2,)
