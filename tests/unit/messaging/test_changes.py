from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from emoji import EMOJI_DATA, STATUS
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible
from services.messaging.kernel.content import (
    CallOutcome,
    CallRecord,
    Link,
    Mention,
    SystemContent,
    SystemKind,
    Text,
    Unsent,
)
from services.messaging.kernel.emojis import bare
from services.messaging.kernel.errors import (
    EditTooLate,
    InvalidField,
    MessageNotFound,
    NotEditable,
    NotTheSender,
    TooManyEdits,
    TooManyReactions,
)
from services.messaging.kernel.model import (
    ConversationId,
    Edit,
    Message,
    MessageId,
    Reaction,
    UserId,
    open_direct,
)
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import (
    ChangePolicy,
    MessageChange,
    ReactionChange,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION = ConversationId(UUID(int=1))
ALICE, BOB, MALLORY = UserId("alice"), UserId("bob"), UserId("mallory")
POLICY = ChangePolicy(edit_window=timedelta(minutes=15), max_edits=2, max_emojis=2)
CALL = CallRecord(UUID(int=3), True, CallOutcome.MISSED, timedelta(0))


def message(content: object = None) -> Message:
    kept = content if isinstance(content, Text | CallRecord | SystemContent | Unsent) else Text("hello")
    return Message(MessageId(UUID(int=2)), CONVERSATION, 1, ALICE, "k", NOW, kept)


def made(change: MessageChange | None) -> MessageChange:
    assert change is not None
    return change


def test_an_edit_keeps_the_former_text_and_its_time() -> None:
    first = made(changes.edit(message(), ALICE, Text("hullo"), NOW + timedelta(minutes=1), POLICY))
    assert first.edit == Edit(Text("hello"), NOW)
    second = made(changes.edit(first.after, ALICE, Text("hi"), NOW + timedelta(minutes=2), POLICY))
    assert second.edit == Edit(Text("hullo"), NOW + timedelta(minutes=1))
    assert second.after.edit_count == 2
    with pytest.raises(TooManyEdits):
        changes.edit(second.after, ALICE, Text("third"), NOW, POLICY)


def test_the_same_text_is_no_edit() -> None:
    assert changes.edit(message(), ALICE, Text("hello"), NOW + timedelta(days=9), POLICY) is None


def test_edits_end_with_the_window() -> None:
    changes.edit(message(), ALICE, Text("x"), NOW + timedelta(minutes=15), POLICY)
    with pytest.raises(EditTooLate):
        changes.edit(message(), ALICE, Text("x"), NOW + timedelta(minutes=15, seconds=1), POLICY)


def test_only_the_sender_edits_and_unsends() -> None:
    with pytest.raises(NotTheSender):
        changes.edit(message(), BOB, Text("x"), NOW, POLICY)
    with pytest.raises(NotTheSender):
        changes.unsend(message(), BOB)


@pytest.mark.parametrize("content", [CALL, SystemContent(SystemKind.LEFT)])
def test_what_nobody_wrote_is_neither_edited_nor_unsent(content: object) -> None:
    with pytest.raises(NotEditable):
        changes.edit(message(content), ALICE, Text("x"), NOW, POLICY)
    with pytest.raises(NotEditable):
        changes.unsend(message(content), ALICE)


def test_nothing_of_an_unsent_message_is_left() -> None:
    edited = made(changes.edit(message(), ALICE, Text("secret"), NOW, POLICY)).after
    reacted = made(changes.react(edited, BOB, "👍", POLICY, present=True)).after
    after = made(changes.unsend(reacted, ALICE)).after
    assert (after.content, after.reactions, after.edited_at, after.edit_count) == (Unsent(), (), None, 0)
    assert changes.unsend(after, ALICE) is None
    with pytest.raises(NotEditable):
        changes.react(after, BOB, "👍", POLICY, present=True)
    with pytest.raises(NotEditable):
        changes.edit(after, ALICE, Text("back"), NOW, POLICY)


def test_each_emoji_once_a_person() -> None:
    once = made(changes.react(message(), BOB, "👍", POLICY, present=True)).after
    assert once.reactions == (Reaction("👍", (BOB,)),)
    assert changes.react(once, BOB, "👍", POLICY, present=True) is None
    both = made(changes.react(once, BOB, "❤", POLICY, present=True)).after
    assert {reaction.emoji for reaction in both.reactions} == {"👍", "❤"}
    with pytest.raises(TooManyReactions):
        changes.react(both, ALICE, "😀", POLICY, present=True)
    assert made(changes.react(both, BOB, "👍", POLICY, present=False)).after.reactions == (Reaction("❤", (BOB,)),)
    assert changes.react(message(), BOB, "👍", POLICY, present=False) is None


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB]), st.sampled_from("ab"), st.booleans())))
def test_reactions_are_a_set_of_person_and_emoji(steps: list[tuple[UserId, str, bool]]) -> None:
    reactions: tuple[Reaction, ...] = ()
    expected: set[tuple[str, str]] = set()
    for user, emoji, present in steps:
        reactions = changes.apply_reaction(reactions, ReactionChange(user, emoji, present))
        (expected.add if present else expected.discard)((emoji, user))
    assert {(r.emoji, user) for r in reactions for user in r.user_ids} == expected
    assert [reaction.emoji for reaction in reactions] == sorted(reaction.emoji for reaction in reactions)
    assert all(reaction.user_ids for reaction in reactions)


def test_what_one_may_not_see_is_not_there() -> None:
    conversation = open_direct(CONVERSATION, ALICE, BOB, NOW)
    assert find_visible(conversation, BOB, message()) == message()
    for user, candidate in ((MALLORY, message()), (BOB, None)):
        with pytest.raises(MessageNotFound):
            find_visible(conversation, user, candidate)


@pytest.mark.parametrize(
    "entities",
    [
        (Mention(-1, 2, BOB),),
        (Mention(4, 2, BOB),),
        (Mention(0, 0, BOB),),
        (Mention(0, 3, BOB), Link(2, 1, "https://x.example")),
        (Mention(3, 1, BOB), Mention(0, 1, BOB)),
        (Link(0, 1, "javascript:alert(1)"),),
        (Link(0, 1, "https://"),),
        (Link(0, 1, "https://x.example/ y"),),
        (Mention(0, 1, UserId("")),),
        tuple(Mention(0, 1, BOB) for _ in range(51)),
    ],
)
def test_faulty_entities_are_refused(entities: tuple[Mention | Link, ...]) -> None:
    with pytest.raises(InvalidField):
        checks.check_entities("hello", entities)


def test_entities_within_the_text_are_kept() -> None:
    entities = (Mention(0, 2, BOB), Link(2, 3, "HTTPS://x.example/é?a=b#c"))
    assert checks.check_entities("hello", entities) == Text("hello", entities)


@pytest.mark.parametrize(
    "emoji",
    [
        *("", "a", "👍 👍", "x" * 33, "\x00", "ß", "\n", "!", "1", "#", "+", "…", "€", "a\ufe0f", "\ud83d"),
        # Two, none, halves, and what Unicode recommends to nobody.
        *(
            "👍👍",
            "👍a",
            "\ufe0f",
            "\u200d",
            "👍\u200d",
            "\u200d👍",
            "🇩",
            "🇽🇽",
            "🇩🇪🇫🇷",
            "👩\u200d👩",
            "\u20e3",
            "9\ufe0f",
        ),
        *(
            "🏴\U000e0067\U000e007f",
            "🏴\U000e0067\U000e0062",
            "👍\u0301",
            "👍🏽🏽",
            "👍\ufe0f\ufe0f",
            "\ufe0f👍",
            "👩\u200d\ufe0f🚀",
        ),
    ],
)
def test_what_is_no_emoji_is_refused(emoji: str) -> None:
    with pytest.raises(InvalidField):
        checks.check_emoji(emoji)


@pytest.mark.parametrize("emoji", ["👍", "❤️", "👩‍👩‍👧‍👦", "🏳️‍🌈", "1️⃣", "🇧🇭", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "👩🏻‍❤️‍💋‍👨🏿", "🧑🏽‍🚀", "🏽"])
def test_emojis_are_taken_whole(emoji: str) -> None:
    assert checks.check_emoji(emoji) == emoji


def test_every_emoji_of_unicode_is_taken_and_its_other_spellings_are_the_same() -> None:
    kept: dict[str, str] = {}
    for spelling, facts in EMOJI_DATA.items():
        known = checks.check_emoji(spelling)
        assert known == spelling or facts["status"] > STATUS["fully_qualified"]
        assert kept.setdefault(bare(spelling), known) == known
        # With every character's picture asked for in black and white, or in colour where it may be.
        assert checks.check_emoji(known.replace("\ufe0f", "\ufe0e")) == known
        assert checks.check_emoji(known.replace("\ufe0f", "")) == known
    whole = {spelling for spelling, facts in EMOJI_DATA.items() if facts["status"] <= STATUS["fully_qualified"]}
    assert set(kept.values()) == whole
    assert len(kept) == len(whole)


@pytest.mark.parametrize("spelling", ["❤", "❤\ufe0e", "❤\ufe0f"])
def test_spellings_of_an_emoji_are_one_reaction(spelling: str) -> None:
    emoji = checks.check_emoji(spelling)
    once = made(changes.react(message(), BOB, emoji, POLICY, present=True)).after
    assert once.reactions == (Reaction("❤️", (BOB,)),)
    assert changes.react(once, BOB, checks.check_emoji("❤"), POLICY, present=True) is None
    assert made(changes.react(once, BOB, checks.check_emoji("❤"), POLICY, present=False)).after.reactions == ()


def test_reactions_of_before_are_gathered_by_emoji_in_the_order_of_the_people() -> None:
    put = [("❤", ALICE), ("!!", BOB), ("❤️", BOB), ("👍", BOB), ("❤️", ALICE), ("❤︎", MALLORY)]
    gathered = changes.gather_reactions(put)
    assert gathered == (Reaction("!!", (BOB,)), Reaction("❤️", (ALICE, BOB, MALLORY)), Reaction("👍", (BOB,)))
    old = replace(message(), reactions=gathered)
    # What is none can be taken away where it stands, and put nowhere.
    assert changes.check_reaction(old, "!!", present=False) == "!!"
    for emoji, present in (("!!", True), ("??", False)):
        with pytest.raises(InvalidField):
            changes.check_reaction(old, emoji, present=present)


def test_the_web_clients_list_of_emojis_is_that_of_the_library() -> None:
    listed = (Path(__file__).parents[2] / "support" / "emoji_spellings.txt").read_text().split()
    assert listed == [each for each, facts in EMOJI_DATA.items() if facts["status"] <= STATUS["fully_qualified"]]
