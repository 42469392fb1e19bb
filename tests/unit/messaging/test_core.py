from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel import checks, model, paging
from services.messaging.kernel.content import CallOutcome, CallRecord, Text
from services.messaging.kernel.errors import ConversationNotFound, InvalidField, NotAllowed
from services.messaging.kernel.model import (
    ConversationId,
    Draft,
    Message,
    MessageId,
    PageMark,
    UserId,
)
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core.sequencing import ConversationStates, sequence_drafts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION, OTHER, NOWHERE = (ConversationId(UUID(int=number)) for number in (1, 2, 3))
ALICE, BOB, MALLORY = UserId("alice"), UserId("bob"), UserId("mallory")


def draft(number: int, conversation: ConversationId = CONVERSATION, sender: UserId = ALICE, key: str = "") -> Draft:
    return Draft(MessageId(UUID(int=number)), conversation, sender, key or str(number), NOW, Text("hello"))


def states(
    last_seqs: dict[ConversationId, int], *, blocked: bool = False, request: RequestState = RequestState.ACCEPTED
) -> ConversationStates:
    """Conversations of Alice, who let them in, and Bob."""
    senders = {(conversation, user): RequestState.ACCEPTED for conversation in last_seqs for user in (ALICE, BOB)}
    senders |= {(conversation, BOB): request for conversation in last_seqs}
    return ConversationStates(last_seqs, senders, set(last_seqs) if blocked else ())


def test_drafts_take_the_next_numbers_of_their_own_conversation() -> None:
    sequenced = sequence_drafts([draft(1), draft(2, OTHER), draft(3)], states({CONVERSATION: 7, OTHER: 0}), {})
    assert [(message.conversation_id, message.seq) for message in sequenced.inserted] == [
        (CONVERSATION, 8),
        (OTHER, 1),
        (CONVERSATION, 9),
    ]
    assert sequenced.last_seqs == {CONVERSATION: 9, OTHER: 1}


@given(st.lists(st.integers(min_value=-1_000, max_value=1_000), min_size=1))
def test_no_message_has_a_time_before_that_of_the_one_before_it(offsets_ms: list[int]) -> None:
    last = NOW
    for number, offset_ms in enumerate(offsets_ms):
        late = replace(draft(number), sent_at=NOW + timedelta(milliseconds=offset_ms))
        known = replace(states({CONVERSATION: number}), last_times={CONVERSATION: last})
        (message,) = sequence_drafts([late], known, {}).inserted
        assert last <= message.sent_at <= max(last, late.sent_at)
        last = message.sent_at


def test_two_of_a_batch_follow_each_other_in_time() -> None:
    drafts = [draft(1), replace(draft(2), sent_at=NOW - timedelta(milliseconds=30))]
    assert [message.sent_at for message in sequence_drafts(drafts, states({CONVERSATION: 0}), {}).inserted] == [NOW] * 2


def test_a_time_that_is_far_ahead_holds_for_its_own_message_alone() -> None:
    known = replace(states({CONVERSATION: 4}), last_times={CONVERSATION: NOW + timedelta(hours=2)})
    assert sequence_drafts([draft(1)], known, {}).inserted[0].sent_at == NOW


def test_a_message_vanishes_by_the_time_that_it_has() -> None:
    after = timedelta(minutes=1)
    last = NOW + timedelta(seconds=1)
    known = replace(states({CONVERSATION: 0}), last_times={CONVERSATION: last}, vanish_after={CONVERSATION: after})
    assert sequence_drafts([draft(1)], known, {}).inserted[0].expires_at == last + after


def test_a_refused_draft_takes_no_number() -> None:
    drafts = [draft(1), draft(2, sender=MALLORY), draft(3, NOWHERE), draft(4)]
    outcomes = sequence_drafts(drafts, states({CONVERSATION: 0}), {}).outcomes
    assert isinstance(outcomes[1], ConversationNotFound)
    assert isinstance(outcomes[2], ConversationNotFound)
    assert isinstance(outcomes[3], Message)
    assert outcomes[3].seq == 2


def test_a_stored_key_gives_the_first_result() -> None:
    first = sequence_drafts([draft(1, key="k")], states({CONVERSATION: 0}), {}).inserted[0]
    again = sequence_drafts([draft(2, key="k")], states({CONVERSATION: 1}), {draft(1, key="k").key: first})
    assert again.outcomes == [first]
    assert again.inserted == []


def test_where_a_block_stands_nothing_new_is_placed_but_what_was_stored_stays_acknowledged() -> None:
    first = sequence_drafts([draft(1, key="k")], states({CONVERSATION: 0}), {}).inserted[0]
    drafts = [draft(2, key="k"), draft(3), draft(4, sender=BOB)]
    sequenced = sequence_drafts(drafts, states({CONVERSATION: 1}, blocked=True), {drafts[0].key: first})
    assert sequenced.outcomes[0] == first
    assert [type(outcome) for outcome in sequenced.outcomes[1:]] == [NotAllowed, NotAllowed]
    assert sequenced.inserted == []


def test_the_record_of_a_call_is_placed_whoever_blocked_whom_and_lets_nothing_in() -> None:
    record = CallRecord(UUID(int=7), False, CallOutcome.COMPLETED, timedelta(seconds=3))
    call = replace(draft(1, sender=BOB), content=record)
    sequenced = sequence_drafts([call], states({CONVERSATION: 0}, blocked=True, request=RequestState.PENDING), {})
    assert [message.seq for message in sequenced.inserted] == [1]
    assert not sequenced.accepted


@pytest.mark.parametrize("request_state", [RequestState.PENDING, RequestState.DECLINED])
def test_writing_lets_a_conversation_in(request_state: RequestState) -> None:
    sequenced = sequence_drafts([draft(1), draft(2, sender=BOB)], states({CONVERSATION: 0}, request=request_state), {})
    assert list(sequenced.accepted) == [(CONVERSATION, BOB)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CONVERSATION, OTHER, NOWHERE]), st.sampled_from([ALICE, BOB, MALLORY]), st.text("ab")
        )
    )
)
def test_numbers_have_no_gaps_and_keys_no_doubles(sends: list[tuple[ConversationId, UserId, str]]) -> None:
    drafts = [
        draft(number, conversation, sender, key or "-") for number, (conversation, sender, key) in enumerate(sends)
    ]
    sequenced = sequence_drafts(drafts, states({CONVERSATION: 0, OTHER: 0}), {})
    for conversation in (CONVERSATION, OTHER):
        seqs = [message.seq for message in sequenced.inserted if message.conversation_id == conversation]
        assert seqs == list(range(1, len(seqs) + 1))
    keys = [(m.conversation_id, m.sender_id, m.client_message_id) for m in sequenced.inserted]
    assert len(keys) == len(set(keys))
    by_key = dict(zip(keys, sequenced.inserted, strict=True))
    for one, outcome in zip(drafts, sequenced.outcomes, strict=True):
        if isinstance(outcome, Message):
            assert by_key[one.conversation_id, one.sender_id, one.client_message_id] == outcome


@given(st.text(), st.text())
def test_no_two_pairs_share_a_key(one: str, other: str) -> None:
    users = [UserId(name.replace(" ", "") or "x") for name in (one, other)]
    assert model.pair_key(users[0], users[1]) == model.pair_key(users[1], users[0])
    assert set(model.pair_key(users[0], users[1]).split(" ")) == set(users)


def test_nobody_talks_to_oneself() -> None:
    with pytest.raises(InvalidField, match="another person"):
        model.open_direct(CONVERSATION, ALICE, ALICE, NOW)


@pytest.mark.parametrize(
    "text", ["", "   \n", "a\x00b", "x" * 11, "a\ud83d", "\u200b\u2060", "\u3164", "\u2800 \ufe0f"]
)
def test_a_faulty_text_names_its_field(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        checks.check_text(text, limit=10)
    assert caught.value.field == "text.text"


@pytest.mark.parametrize("text", ["hi", "👩‍👩‍👧‍👦", "مرحبا", "𝄞", " a "])
def test_a_text_survives_unchanged(text: str) -> None:
    assert checks.check_text(text, limit=10) == text


@pytest.mark.parametrize("value", ["", "x" * 65, "ä", "a\n", model.CALL_KEY_PREFIX + "1"])
def test_a_faulty_client_id_is_refused(value: str) -> None:
    with pytest.raises(InvalidField):
        checks.check_client_id("client_message_id", value)


@pytest.mark.parametrize("value", ["", "x", "{" + str(UUID(int=1)) + "}", UUID(int=1).hex])
def test_only_the_usual_form_of_a_uuid_is_taken(value: str) -> None:
    with pytest.raises(InvalidField):
        checks.check_uuid("conversation_id", value)


@given(st.integers(0, 2**57), st.uuids())
def test_a_page_token_gives_back_its_mark(micros: int, id_: UUID) -> None:
    mark = PageMark(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros), ConversationId(id_))
    assert paging.decode_page_mark(paging.encode_page_mark(mark)) == mark


@given(st.text())
def test_a_foreign_page_token_is_refused_or_is_one(token: str) -> None:
    try:
        mark = paging.decode_page_mark(token)
    except InvalidField:
        return
    assert mark is None or mark.active_at >= datetime(1970, 1, 1, tzinfo=UTC)


def test_a_stranger_and_nothing_look_alike() -> None:
    conversation = model.open_direct(CONVERSATION, ALICE, BOB, NOW + timedelta(0))
    messages = []
    for candidate in (conversation, None):
        with pytest.raises(ConversationNotFound) as caught:
            model.require_member(candidate, MALLORY)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
