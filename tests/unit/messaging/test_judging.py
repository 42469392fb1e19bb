"""What people write is judged before it is stored, by whatever way it comes; what is held waits for a review."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.messaging.forwarding.service import Forwarding
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.hooks.core.holding import MAX_HELD, HeldId, Place
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import (
    Allow,
    Hold,
    Mask,
    Question,
    Refuse,
    Replace,
    Surface,
    Verdict,
    Writing,
)
from services.messaging.hooks.ports import NoAnswer, Problem
from services.messaging.hooks.service.asking import Asking
from services.messaging.hooks.service.judging import Judging
from services.messaging.hooks.service.reviewing import HeldPurging, KeepingPolicy, Reviews
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.kernel.content import CallOutcome, CallRecord, LinkPreview, Text, Unsent
from services.messaging.kernel.errors import (
    ConversationFrozen,
    ConversationNotFound,
    EditTooLate,
    HeldDecided,
    HeldNotFound,
    HookUnavailable,
    InvalidField,
    MessageHeld,
    MessageNotFound,
    MessageRefused,
    NotAllowed,
    NotEditable,
    NotTheSender,
    RoleTooLow,
)
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.runtime.ids import new_id, new_secret
from tests.support.hooks import FakeHook, MemoryHeld, MemoryPlaces
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, send
from tests.unit.messaging.test_attachments import send_with, uploaded

CHARS = 40


class Judged:
    """A world of messaging with a hook, from now on."""

    def __init__(self, world: World) -> None:
        self.world, self.hook = world, FakeHook()
        self.held, self.places = MemoryHeld(world.store), MemoryPlaces()
        self.use(HookPolicy())

    def use(self, policy: HookPolicy) -> None:
        world = self.world
        asking = Asking(self.hook, world.clock, 1.0, 8, CHARS)
        judging = Judging(asking, self.held, self.places, policy, world.clock, new_id)
        limits = MessageLimits(text_chars=CHARS)
        cases = Cases(
            *(world.store, world.sends, world.rates, world.clock, new_id, limits, world.attachments), judging=judging
        )
        world.sending, world.changing = cases.sending, cases.changing
        world.forwarding = Forwarding(world.sending, world.store, world.store, world.attachments, world.clock)
        world.groups = Groups(
            *(world.store, world.store, world.store, world.store.relations, world.store.relations, world.rates),
            *(world.clock, new_id, new_secret, GroupLimits(), judging),
        )
        self.reviews = Reviews(self.held, world.sending, world.changing, world.clock)

    def answer(self, verdict: Verdict | NoAnswer) -> None:
        self.hook.says = lambda _: verdict

    async def edit(self, conversation: str, seq: int, words: str, user: UserId = ALICE) -> Message:
        return await self.world.changing.edit_message(user, conversation, seq, Text(words))

    async def hold(self, conversation: str) -> HeldId:
        """Alice writes under the key `k` what is held; from then on all is held."""
        self.answer(Hold())
        with pytest.raises(MessageHeld):
            await send(self.world, ALICE, conversation, "k", "buy this")
        (held_id,) = await self.waiting()
        return held_id

    async def texts(self, conversation: str, user: UserId = BOB) -> list[object]:
        messages, _ = await self.world.history.list_messages(user, conversation, 0, 50)
        return [message.content for message in reversed(messages)]

    async def waiting(self) -> list[HeldId]:
        found, _ = await self.reviews.list_held(0, "")
        return [each.id for each in found]


@pytest.fixture
def judged(world: World) -> Judged:
    return Judged(world)


async def accepted(world: World) -> str:
    """A conversation that both let in."""
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "first", "first")
    await send(world, BOB, conversation, "second", "second")
    return conversation


async def test_the_hook_is_told_what_is_written_by_whom_and_where(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    judged.hook.asked.clear()
    request = TextRequest("k", Text("hello"), reply_to_seq=1, by_server=True)
    await judged.world.sending.send(ALICE, conversation, request)
    (asked,) = judged.hook.asked
    assert asked == Question(
        *(asked.check_id, Writing.MESSAGE, Surface.DIRECT, ALICE, Text("hello"), judged.world.clock.now()),
        *(ConversationId(asked.conversation_id or new_id(judged.world.clock.now())), "k"),
        reply_to_seq=1,
        peer_id=BOB,
        by_server=True,
    )
    assert str(asked.conversation_id) == conversation


@pytest.mark.parametrize(
    ("verdict", "stored"),
    [
        (Allow(), Text("you pig")),
        (Replace(Text("you dear")), Text("you dear")),
        (Mask([(4, 3)]), Text("you ***", masked=True)),
        (Mask(), Text("***", masked=True)),
    ],
)
async def test_a_message_and_an_edit_are_stored_as_the_hook_has_them(
    judged: Judged, verdict: Verdict, stored: Text
) -> None:
    conversation = await accepted(judged.world)
    judged.answer(verdict)
    assert (await send(judged.world, ALICE, conversation, "k", "you pig")).content == stored
    edited = await judged.edit(conversation, 1, "you pig")
    assert edited.content == stored
    assert await judged.texts(conversation) == [stored, Text("second"), stored]
    assert [asked.writing for asked in judged.hook.asked[-2:]] == [Writing.MESSAGE, Writing.EDIT]


async def test_what_is_refused_is_stored_nowhere_and_the_word_for_it_is_told(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    judged.answer(Refuse("HATE"))
    with pytest.raises(MessageRefused) as refused:
        await send(judged.world, ALICE, conversation, "k", "you pig")
    assert refused.value.error_info == {"hook_reason": "HATE"}
    with pytest.raises(MessageRefused):
        await judged.edit(conversation, 1, "you pig")
    assert await judged.texts(conversation) == [Text("first"), Text("second")]
    # Nothing stands of it: the same request may pass another time.
    judged.answer(Allow())
    assert (await send(judged.world, ALICE, conversation, "k", "you pig")).seq == 3


async def test_the_retry_of_what_was_stored_has_the_first_result_whatever_the_hook_says_by_now(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    sent = await send(judged.world, ALICE, conversation, "k", "hello")
    for verdict in (Refuse(), Hold(), Mask(), NoAnswer(Problem.TIMEOUT)):
        judged.answer(verdict)
        assert await send(judged.world, ALICE, conversation, "k", "hello") == sent
    assert await judged.waiting() == []


async def test_a_caption_and_its_files_are_judged_together(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    upload = await uploaded(judged.world)
    sent = await send_with(judged.world, conversation, upload)
    assert judged.hook.asked[-1].attachments == sent.attachments == (upload.attachment,)


async def test_what_parley_writes_down_by_itself_is_not_judged(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.hook.asked.clear()
    record = CallRecord(new_id(world.clock.now()), False, CallOutcome.MISSED, timedelta(0), (ALICE,))
    target = ConversationId((await world.conversations.get_conversation(ALICE, conversation)).id)
    await world.sending.record_call(target, ALICE, record)
    await world.changing.set_reaction(BOB, conversation, 1, "👍", present=True)
    await world.changing.unsend_message(ALICE, conversation, 1)
    assert judged.hook.asked == []


# What is remembered of a conversation.


async def remembers(judged: Judged, conversation: str, user: UserId = ALICE) -> ConversationId:
    """From now on the replica remembers how the conversation stands, and all that changes is a new version of it."""
    found = await judged.world.conversations.get_conversation(user, conversation)
    place = Place(found.kind, is_member=True, peer_id=BOB, version=0)
    judged.places.known[user, found.id] = place
    return found.id


async def test_what_is_remembered_is_judged_without_looking_and_stored_while_it_holds(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    await remembers(judged, conversation)
    judged.held.looks = 0
    judged.answer(Mask())
    assert (await send(world, ALICE, conversation, "k", "you pig")).content == Text("***", masked=True)
    assert judged.held.looks == 0
    assert (judged.hook.asked[-1].surface, judged.hook.asked[-1].peer_id) == (Surface.DIRECT, BOB)


async def test_what_was_judged_by_what_holds_no_more_is_judged_anew(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    target = await remembers(judged, conversation)
    world.store.versions[target] = 1
    world.store.set_request(target, BOB, RequestState.DECLINED, world.clock.now())
    judged.hook.asked.clear()
    await send(world, ALICE, conversation, "k", "hello")
    assert [asked.surface for asked in judged.hook.asked] == [Surface.DIRECT, Surface.REQUEST]
    world.store.set_blocked(target, True)
    with pytest.raises(NotAllowed):
        await send(world, ALICE, conversation, "l", "hello")
    assert await judged.texts(conversation, ALICE) == [Text("first"), Text("second"), Text("hello")]


@pytest.mark.parametrize("verdict", [Refuse("HATE"), Hold(), NoAnswer(Problem.TIMEOUT)], ids=str)
async def test_how_it_stands_is_told_and_not_what_the_hook_makes_of_it(
    judged: Judged, verdict: Verdict | NoAnswer
) -> None:
    world = judged.world
    judged.use(HookPolicy({**HookPolicy().surfaces, Surface.DIRECT: WithoutAnswer.CLOSED}))
    conversation = await accepted(world)
    target = await remembers(judged, conversation)
    world.store.set_blocked(target, True)
    judged.answer(verdict)
    judged.hook.asked.clear()
    for _ in range(2):
        with pytest.raises(NotAllowed):
            await send(world, ALICE, conversation, "k", "hello")
    assert len(judged.hook.asked) == 1
    assert await judged.waiting() == []


async def test_what_is_held_is_not_remembered_as_free_of_it(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    await remembers(judged, conversation)
    judged.answer(Hold("SPAM"))
    judged.hook.asked.clear()
    for _ in range(2):
        with pytest.raises(MessageHeld):
            await send(judged.world, ALICE, conversation, "k", "buy this")
    assert len(judged.hook.asked) == 1


# Without an answer.


async def test_without_an_answer_strangers_wait_and_others_pass(judged: Judged) -> None:
    world = judged.world
    known = await accepted(world)
    strange = await stranger(world)
    judged.answer(NoAnswer(Problem.TIMEOUT))
    assert (await send(world, ALICE, known, "k", "hello")).content == Text("hello")
    with pytest.raises(HookUnavailable):
        await send(world, MALLORY, strange, "k", "hello")
    assert judged.hook.asked[-1].surface is Surface.REQUEST


async def test_what_is_configured_for_a_surface_holds_there(judged: Judged) -> None:
    world = judged.world
    known, strange = await accepted(world), await stranger(world)
    unasked, closed = WithoutAnswer.UNASKED, WithoutAnswer.CLOSED
    judged.use(HookPolicy({Surface.REQUEST: unasked, Surface.DIRECT: closed, Surface.GROUP: closed}, servers=False))
    judged.answer(NoAnswer(Problem.FAILED))
    judged.hook.asked.clear()
    assert (await send(world, MALLORY, strange, "k", "hello")).seq == 1
    with pytest.raises(HookUnavailable):
        await send(world, ALICE, known, "k", "hello")
    with pytest.raises(HookUnavailable):
        await judged.edit(known, 1, "other")
    assert [asked.surface for asked in judged.hook.asked] == [Surface.DIRECT] * 2
    # Servers are not asked about.
    assert (await world.sending.send(ALICE, known, TextRequest("s", Text("hi"), by_server=True))).seq == 3


async def test_a_hook_that_reads_no_previews_has_texts_stored_without(judged: Judged) -> None:
    """One that was made before there were any takes their words for none, and passes them."""
    url = "https://a.example/"
    bare, shown = Text(f"see {url}"), Text(f"see {url}", preview=LinkPreview(url, "you pig"))
    conversation = await accepted(judged.world)
    judged.use(HookPolicy(previews=False))
    judged.hook.asked.clear()
    sent = await judged.world.sending.send(ALICE, conversation, TextRequest("k", shown))
    other = replace(shown, text=f"look: {url}")
    edited = await judged.world.changing.edit_message(ALICE, conversation, sent.seq, other)
    assert (sent.content, edited.content) == (bare, replace(other, preview=None))
    assert [asked.content for asked in judged.hook.asked] == [sent.content, edited.content]
    judged.use(HookPolicy())
    sent = await judged.world.sending.send(ALICE, conversation, TextRequest("l", shown))
    assert (sent.content, judged.hook.asked[-1].content) == (shown, shown)


async def stranger(world: World) -> str:
    """Mallory's conversation with Bob, who did not let it in."""
    conversation = await world.conversations.open_direct(MALLORY, BOB)
    world.store.set_request(conversation.id, BOB, RequestState.PENDING, world.clock.now())
    return str(conversation.id)


# Who may not write is not judged, and not let in by it.


async def test_the_hook_is_not_asked_for_who_may_not_write(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.hook.asked.clear()
    with pytest.raises(ConversationNotFound):
        await send(world, MALLORY, conversation, "k", "hello")
    with pytest.raises(ConversationNotFound):
        await judged.edit(conversation, 1, "mine", MALLORY)
    with pytest.raises(NotTheSender):
        await judged.edit(conversation, 1, "mine", BOB)
    with pytest.raises(MessageNotFound):
        await judged.edit(conversation, 99, "mine")
    found = await world.conversations.get_conversation(ALICE, conversation)
    world.store.set_blocked(found.id, True)
    with pytest.raises(NotAllowed):
        await send(world, ALICE, conversation, "k", "hello")
    await world.store.set_frozen(found.id, frozen=True)
    with pytest.raises(ConversationFrozen):
        await send(world, ALICE, conversation, "k", "hello")
    assert judged.hook.asked == []


async def test_an_edit_that_changes_nothing_or_comes_too_late_is_not_judged(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    judged.hook.asked.clear()
    judged.answer(Refuse())
    assert (await judged.edit(conversation, 1, "first")).content == Text("first")
    judged.world.clock.advance(3600)
    with pytest.raises(EditTooLate):
        await judged.edit(conversation, 1, "other")
    assert judged.hook.asked == []


# Titles.


async def test_titles_are_judged_when_a_group_is_made_and_renamed(judged: Judged) -> None:
    world = judged.world
    judged.answer(Replace(Text("Nice")))
    made = await world.groups.create_group(ALICE, GroupRequest("k", "Rude", [BOB], "", False))
    assert made.title == "Nice"
    judged.answer(Mask([(0, 2)]))
    renamed = await world.groups.update_group(ALICE, str(made.id), Settings(title="Rude"))
    assert renamed.title == "**de"
    for verdict in (Refuse(), Hold()):
        judged.answer(verdict)
        with pytest.raises(MessageRefused):
            await world.groups.update_group(ALICE, str(made.id), Settings(title="Ruder"))
        with pytest.raises(MessageRefused):
            await world.groups.create_group(ALICE, GroupRequest("k2", "Rude", [], "", False))
        # A group that is there already is given whatever the hook says.
        again = await world.groups.create_group(ALICE, GroupRequest("k", "Rude", [BOB], "", False))
        assert again.id == made.id
    assert {asked.writing for asked in judged.hook.asked} == {Writing.GROUP_TITLE}
    assert await judged.waiting() == []


async def test_a_title_is_judged_only_when_it_changes_by_who_may_change_it(judged: Judged) -> None:
    world = judged.world
    made = await world.groups.create_group(ALICE, GroupRequest("k", "Trip", [BOB], "", False))
    judged.hook.asked.clear()
    judged.answer(Refuse())
    await world.groups.update_group(ALICE, str(made.id), Settings(title="Trip", history_open=True))
    with pytest.raises(RoleTooLow):
        await world.groups.update_group(BOB, str(made.id), Settings(title="Mine"))
    with pytest.raises(ConversationNotFound):
        await world.groups.update_group(MALLORY, str(made.id), Settings(title="Mine"))
    assert judged.hook.asked == []


# What is held.


async def test_what_is_held_is_seen_by_nobody_until_it_is_released(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold("SPAM"))
    for _ in range(2):
        with pytest.raises(MessageHeld):
            await send(world, ALICE, conversation, "k", "buy this")
    # It was judged once: what it is held for is not changed by a hook that thinks otherwise by now.
    judged.answer(Allow())
    with pytest.raises(MessageHeld):
        await send(world, ALICE, conversation, "k", "buy this")
    assert await judged.texts(conversation) == [Text("first"), Text("second")]
    await send(world, ALICE, conversation, "later", "later")
    ((held,), _) = await judged.reviews.list_held(0, "")
    assert (held.content, held.hook_reason, held.key.sender_id) == (Text("buy this"), "SPAM", ALICE)
    released = await judged.reviews.release(str(held.id))
    assert (released.seq, released.content, released.client_message_id) == (4, Text("buy this"), "k")
    assert await judged.reviews.release(str(held.id)) == released
    assert await send(world, ALICE, conversation, "k", "buy this") == released
    with pytest.raises(HeldDecided):
        await judged.reviews.refuse(str(held.id))
    assert await judged.waiting() == []


async def test_its_sender_takes_back_what_is_held_and_nobody_else_does(judged: Judged) -> None:
    world, withdrawals = judged.world, Withdrawals(judged.held, judged.world.clock)
    conversation = await accepted(world)
    judged.answer(Hold("SPAM"))
    with pytest.raises(MessageHeld):
        await send(world, ALICE, conversation, "k", "buy this")
    with pytest.raises(MessageHeld):
        await judged.edit(conversation, 1, "other")
    message, edit = await judged.waiting()
    for nobody in (
        withdrawals.message(BOB, conversation, "k"),
        withdrawals.message(ALICE, conversation, "other"),
        withdrawals.edit(BOB, conversation, 1),
        withdrawals.edit(ALICE, conversation, 2),
    ):
        with pytest.raises(HeldNotFound):
            await nobody
    for _ in range(2):
        await withdrawals.message(ALICE, conversation, "k")
        await withdrawals.edit(ALICE, conversation, 1)
    assert await judged.waiting() == []
    judged.answer(Allow())
    # A retry that was on its way does not bring it back, and no reviewer does.
    with pytest.raises(MessageRefused):
        await send(world, ALICE, conversation, "k", "buy this")
    for each in (message, edit):
        with pytest.raises(HeldDecided):
            await judged.reviews.release(str(each))
    assert await judged.texts(conversation) == [Text("first"), Text("second")]
    # The message may be edited again.
    assert (await judged.edit(conversation, 1, "new")).content == Text("new")


async def test_what_was_released_is_taken_back_as_the_message_that_it_is(judged: Judged) -> None:
    world, withdrawals = judged.world, Withdrawals(judged.held, judged.world.clock)
    conversation = await accepted(world)
    judged.answer(Hold())
    with pytest.raises(MessageHeld):
        await send(world, ALICE, conversation, "k", "buy this")
    (held,) = await judged.waiting()
    released = await judged.reviews.release(str(held))
    with pytest.raises(HeldDecided):
        await withdrawals.message(ALICE, conversation, "k")
    assert await judged.texts(conversation) == [Text("first"), Text("second"), Text("buy this")]
    assert (await world.changing.unsend_message(ALICE, conversation, released.seq)).content == Unsent()


async def test_what_is_forwarded_is_judged_and_says_so_when_it_was_held(judged: Judged) -> None:
    world = judged.world
    source, target = await accepted(world), await group(world, BOB)
    judged.answer(Hold("SPAM"))
    (refused,) = await world.forwarding.forward(ALICE, source, 1, [(target, "f")])
    assert isinstance(refused, MessageHeld)
    assert judged.hook.asked[-1].forwarded
    (waiting,) = await judged.waiting()
    released = await judged.reviews.release(str(waiting))
    assert (released.content, released.forwarded) == (Text("first"), True)
    assert await world.forwarding.forward(ALICE, source, 1, [(target, "f")]) == [released]


async def test_what_is_opened_once_is_judged_and_stays_so_when_it_was_held(judged: Judged) -> None:
    world = judged.world
    conversation, upload = await accepted(world), await uploaded(world)
    judged.answer(Hold("NUDE"))
    wanted = TextRequest("once", Text(""), attachment_ids=[str(upload.attachment.id)], view_once=True)
    with pytest.raises(MessageHeld):
        await world.sending.send(ALICE, conversation, wanted)
    asked = judged.hook.asked[-1]
    assert (asked.view_once, asked.attachments) == (True, (upload.attachment,))
    (waiting,) = await judged.waiting()
    released = await judged.reviews.release(str(waiting))
    assert (released.view_once, released.attachments) == (True, (upload.attachment,))


async def test_what_a_reviewer_refuses_is_gone_and_its_sender_is_told(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    held_id = await judged.hold(conversation)
    for _ in range(2):
        await judged.reviews.refuse(str(held_id))
    judged.answer(Allow())
    with pytest.raises(MessageRefused):
        await send(world, ALICE, conversation, "k", "buy this")
    with pytest.raises(HeldDecided):
        await judged.reviews.release(str(held_id))
    assert await judged.texts(conversation) == [Text("first"), Text("second")]


async def test_a_held_edit_leaves_the_text_as_it_was_and_the_last_one_counts(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold())
    for words in ("buy this", "buy that"):
        with pytest.raises(MessageHeld):
            await judged.edit(conversation, 1, words)
    assert await judged.texts(conversation) == [Text("first"), Text("second")]
    ((held,), _) = await judged.reviews.list_held(0, "")
    assert (held.seq, held.content) == (1, Text("buy that"))
    # It was in time when it was written.
    world.clock.advance(86_400)
    released = await judged.reviews.release(str(held.id))
    assert (released.content, released.edit_count) == (Text("buy that"), 1)
    assert await judged.reviews.release(str(held.id)) == released
    assert [edit.text for edit in await world.history.list_edits(BOB, conversation, 1)] == [Text("first")]


async def test_what_its_sender_may_no_longer_send_goes_on_waiting(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    held_id = await judged.hold(conversation)
    target = (await world.conversations.get_conversation(ALICE, conversation)).id
    await world.store.set_frozen(target, frozen=True)
    with pytest.raises(ConversationFrozen):
        await judged.reviews.release(str(held_id))
    assert await judged.waiting() == [held_id]
    await world.store.set_frozen(target, frozen=False)
    assert (await judged.reviews.release(str(held_id))).seq == 3


async def test_an_edit_of_what_is_gone_cannot_be_released_and_can_be_refused(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold())
    with pytest.raises(MessageHeld):
        await judged.edit(conversation, 1, "buy this")
    await world.changing.unsend_message(ALICE, conversation, 1)
    (held_id,) = await judged.waiting()
    with pytest.raises(NotEditable):
        await judged.reviews.release(str(held_id))
    await judged.reviews.refuse(str(held_id))
    assert (await judged.texts(conversation))[0] == Unsent()


async def test_two_reviewers_at_once_send_it_once(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    held_id = await judged.hold(conversation)
    both = await asyncio.gather(*(judged.reviews.release(str(held_id)) for _ in range(2)))
    assert both[0] == both[1]
    assert len(await judged.texts(conversation)) == 3


async def test_one_sender_fills_no_more_of_the_queue_than_may_be(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold())
    for number in range(MAX_HELD):
        with pytest.raises(MessageHeld):
            await send(world, ALICE, conversation, f"k{number}", "buy this")
    with pytest.raises(MessageRefused):
        await send(world, ALICE, conversation, "more", "buy this")
    # Those of others are held, and what waits already does.
    with pytest.raises(MessageHeld):
        await send(world, BOB, conversation, "k", "buy this")
    with pytest.raises(MessageHeld):
        await send(world, ALICE, conversation, "k0", "buy this")
    assert len(await judged.waiting()) == 50


async def test_the_queue_is_read_in_pages_the_oldest_first(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold())
    for number in range(5):
        world.clock.advance(1)
        with pytest.raises(MessageHeld):
            await send(world, ALICE, conversation, f"k{number}", str(number))
    first, token = await judged.reviews.list_held(3, "")
    rest, end = await judged.reviews.list_held(3, token)
    assert [each.content for each in (*first, *rest)] == [Text(str(number)) for number in range(5)]
    assert end == ""
    with pytest.raises(InvalidField):
        await judged.reviews.list_held(3, "x")


async def test_what_nobody_reviews_is_forgotten_and_what_was_decided_on_later_too(judged: Judged) -> None:
    world = judged.world
    conversation = await accepted(world)
    judged.answer(Hold())
    for key in ("old", "refused"):
        # Ids of one millisecond have no order.
        world.clock.advance(1)
        with pytest.raises(MessageHeld):
            await send(world, ALICE, conversation, key, "buy this")
    old, refused = await judged.waiting()
    await judged.reviews.refuse(str(refused))
    policy = KeepingPolicy()
    purging = HeldPurging(judged.held, world.clock, policy)
    world.clock.advance(policy.waiting.total_seconds() + 1)
    await purging.purge()
    with pytest.raises(HeldNotFound):
        await judged.reviews.release(str(old))
    with pytest.raises(MessageRefused):
        await send(world, ALICE, conversation, "refused", "buy this")
    world.clock.advance(policy.decided.total_seconds())
    await purging.purge()
    judged.answer(Allow())
    assert (await send(world, ALICE, conversation, "refused", "buy this")).seq == 3


async def test_a_mask_stays_on_a_message_until_it_is_edited(judged: Judged) -> None:
    conversation = await accepted(judged.world)
    judged.answer(Mask())
    sent = await send(judged.world, ALICE, conversation, "k", "you pig")
    assert sent.content == Text("***", masked=True)
    judged.answer(Allow())
    # What a sender says of it is not looked at.
    forged = TextRequest("k2", replace(Text("stars"), masked=True))
    assert (await judged.world.sending.send(ALICE, conversation, forged)).content == Text("stars")
    assert (await judged.edit(conversation, sent.seq, "you dear")).content == Text("you dear")
