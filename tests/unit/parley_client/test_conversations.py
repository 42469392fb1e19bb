"""All conversations of a device: live events, and the answers of Sync."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from parley_client.conversations import Conversations, Delta
from parley_client.history import Arrival, ConversationInfo
from tests.support.client_entries import entry


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


def test_a_device_forgets_what_the_retention_deleted_and_goes_on_from_there() -> None:
    conversations = Conversations()
    conversations.add_delta(Delta(ConversationInfo("c1", roles=(("me", 1),)), (entry(1), entry(2)), last_seq=2))
    conversations.take_info(ConversationInfo("c1", 1, roles=(("me", 1),), visible_after_seq=5), "me")
    assert conversations.history("c1").shown == []
    conversations.add(entry(6))
    assert [shown.seq for shown in conversations.history("c1").shown] == [6]
    assert not conversations.has_gap


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


IN, OUT = (("alice", 0), ("bob", 0)), (("bob", 0),)


def let_out(revision: int) -> Conversations:
    """Of a device that is told that its user is out of a conversation."""
    conversations = Conversations()
    conversations.take_info(ConversationInfo("c1", revision=1, roles=IN), "alice")
    conversations.take_info(ConversationInfo("c1", revision=revision, roles=OUT), "alice")
    assert "c1" not in conversations
    return conversations


def test_what_was_on_its_way_when_one_was_put_out_does_not_bring_the_conversation_back() -> None:
    conversations = let_out(revision=3)
    older = ConversationInfo("c1", revision=2, roles=IN)
    assert conversations.add_delta(Delta(older, (entry(1),), revision=2, last_seq=1))
    assert not conversations.add_info(older)
    assert conversations.take_info(older, "alice") is Arrival.SHOWN
    assert "c1" not in conversations


def test_who_comes_back_has_it_again_by_whatever_tells_it_first() -> None:
    newer = ConversationInfo("c1", revision=4, roles=IN)
    by_sync, by_list, live = let_out(3), let_out(3), let_out(3)
    by_sync.add_delta(Delta(newer, (entry(1),), revision=4, last_seq=1))
    by_list.add_info(newer)
    live.take_info(newer, "alice")
    for conversations in (by_sync, by_list, live):
        # What told of the removal comes once more, by the slower way.
        conversations.take_info(ConversationInfo("c1", revision=3, roles=OUT), "alice")
        assert "c1" in conversations
