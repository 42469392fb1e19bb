"""Messages that are written now and sent at a time: changed until then, checked anew then, sent once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Allow, Hold, Refuse, Surface
from services.messaging.hooks.ports import NoAnswer, Problem
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import (
    AccountDeleted,
    AccountRestricted,
    AttachmentNotFound,
    ConversationFrozen,
    ConversationNotFound,
    InvalidField,
    MessageHeld,
    MessagingError,
    NotAllowed,
    ScheduledCancelled,
    ScheduledNotFound,
    ScheduledSent,
    TooManyScheduled,
)
from services.messaging.kernel.model import ConversationId, Message, Role, UserId
from services.messaging.messages.service.requests import request_of
from services.messaging.rpc import ERRORS
from services.messaging.scheduling import core
from services.messaging.scheduling.core import Refused, Scheduled, ScheduledState, Step
from services.messaging.scheduling.rpc import refusal_in
from services.messaging.scheduling.service.scheduling import Scheduling
from services.messaging.scheduling.service.sending import LEASE, LOOK_S, MIN_SLEEP_S, ScheduledSender
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import new_id
from tests.support.hooks import MemoryHeld
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, said
from tests.support.scheduled import MemoryScheduled
from tests.support.waiting import eventually
from tests.unit.messaging.test_attachments import uploaded
from tests.unit.messaging.test_judging import Judged

HOUR = timedelta(hours=1)


class Planned:
    """A world of messaging with messages that wait for their time, from now on."""

    def __init__(self, world: World, held: MemoryHeld | None = None) -> None:
        self.world, self.clock = world, world.clock
        self.store = MemoryScheduled(world.store)
        self.gone: set[UserId] = set()
        self.use(held or MemoryHeld(world.store))

    def use(self, held: MemoryHeld) -> None:
        world = self.world
        refusal_of = partial(refusal_in, ERRORS)
        self.sender = ScheduledSender(self.store, world.sending, self.admit, refusal_of, self.clock, new_id)
        withdrawals = Withdrawals(held, self.clock)
        self.scheduling = Scheduling(
            *(self.store, world.sending, world.store, withdrawals, self.clock, new_id, self.sender.wake)
        )

    async def admit(self, user_id: UserId) -> None:
        if user_id in self.gone:
            raise AccountDeleted

    async def schedule(
        self, conversation: str, key: str = "k", words: str = "later", after: timedelta = HOUR, user: UserId = ALICE
    ) -> Scheduled | Message:
        request = request_of(Text(words), key, 0, ())
        return await self.scheduling.schedule(user, conversation, request, self.clock.now() + after)

    async def change(
        self, conversation: str, words: str | None = None, after: timedelta | None = None, key: str = "k"
    ) -> Scheduled:
        wanted = request_of(Text(words), key, 0, ()) if words is not None else None
        at = self.clock.now() + after if after is not None else None
        return await self.scheduling.update(ALICE, conversation, key, wanted, at)

    async def pass_time(self, time: timedelta = HOUR) -> None:
        """Time passes, and whatever is due then is done."""
        self.clock.advance(time.total_seconds())
        await self.sender.send_due()

    async def own(self, user: UserId = ALICE) -> list[Scheduled]:
        found, _ = await self.scheduling.list_own(user, 0, "")
        return list(found)

    async def texts(self, conversation: str, user: UserId = BOB) -> list[object]:
        messages, _ = await self.world.history.list_messages(user, conversation, 0, 50)
        return [message.content for message in reversed(messages)]


@pytest.fixture
def planned(world: World) -> Planned:
    return Planned(world)


async def with_a_hook(world: World) -> tuple[Judged, Planned, str]:
    """The network judges what is sent; and a conversation that both let in."""
    judged = Judged(world)
    return judged, Planned(world, judged.held), await said(world, ALICE, BOB, both=True)


# Writing.


async def test_a_message_is_sent_at_its_time_and_nobody_sees_it_before(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    scheduled = await planned.schedule(conversation)
    assert isinstance(scheduled, Scheduled)
    assert await planned.own() == [scheduled]
    await planned.pass_time(HOUR - timedelta(seconds=1))
    assert await planned.texts(conversation) == []
    await planned.pass_time(timedelta(seconds=1))
    (message,), _ = await planned.world.history.list_messages(BOB, conversation, 0, 50)
    assert (message.content, message.client_message_id) == (Text("later"), "k")
    assert message.sent_at == planned.clock.now()
    assert await planned.own() == []
    assert await planned.own(BOB) == []
    assert planned.store.told == [(ScheduledState.WAITING, 1), (None, 2)]


async def test_a_retry_gets_what_stands_and_after_the_time_what_was_sent(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    first = await planned.schedule(conversation)
    assert await planned.schedule(conversation, words="something else") == first
    await planned.pass_time()
    sent = await planned.schedule(conversation)
    assert isinstance(sent, Message)
    assert sent.content == Text("later")
    await planned.pass_time()
    assert await planned.texts(conversation) == [Text("later")]


async def test_a_time_that_is_over_is_now(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation, after=-HOUR)
    await planned.pass_time(timedelta(0))
    assert await planned.texts(conversation) == [Text("later")]


async def test_content_and_time_are_changed_until_then_and_all_devices_are_told(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    await planned.change(conversation, words="other")
    moved = await planned.change(conversation, after=2 * HOUR)
    assert (moved.content, moved.revision) == (Text("other"), 3)
    assert await planned.change(conversation, after=2 * HOUR) == moved, "it is so already"
    assert [revision for _, revision in planned.store.told] == [1, 2, 3]
    await planned.pass_time(HOUR)
    assert await planned.texts(conversation) == []
    await planned.pass_time(HOUR)
    assert await planned.texts(conversation) == [Text("other")]
    with pytest.raises(ScheduledSent):
        await planned.change(conversation, words="too late")
    with pytest.raises(ScheduledSent):
        await planned.scheduling.cancel(ALICE, conversation, "k")


async def test_what_was_cancelled_is_never_sent_and_a_late_retry_does_not_bring_it_back(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    for _ in range(2):
        await planned.scheduling.cancel(ALICE, conversation, "k")
    assert planned.store.told == [(ScheduledState.WAITING, 1), (None, 2)]
    assert await planned.own() == []
    with pytest.raises(ScheduledCancelled):
        await planned.schedule(conversation)
    with pytest.raises(ScheduledNotFound):
        await planned.change(conversation, words="back")
    await planned.pass_time()
    await planned.pass_time(core.CANCELLED_KEPT)
    assert await planned.texts(conversation) == []
    assert await planned.store.next_due() is None, "it is forgotten"
    assert planned.store.told[2:] == [], "they knew"


async def test_what_is_not_there_is_cancelled_already_and_cannot_be_changed(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.scheduling.cancel(ALICE, conversation, "k")
    with pytest.raises(ScheduledNotFound):
        await planned.change(conversation, after=HOUR)
    await planned.schedule(conversation)
    with pytest.raises(ScheduledNotFound):
        await planned.scheduling.update(BOB, conversation, "k", None, planned.clock.now())


@pytest.mark.parametrize(
    ("after", "words"), [(core.MAX_AHEAD + timedelta(seconds=1), "later"), (HOUR, ""), (HOUR, "x" * 21)]
)
async def test_what_could_never_be_sent_is_refused_when_it_is_written(
    planned: Planned, after: timedelta, words: str
) -> None:
    conversation = await planned.world.conversation()
    with pytest.raises(InvalidField):
        await planned.schedule(conversation, after=after, words=words)
    await planned.schedule(conversation)
    with pytest.raises(InvalidField):
        await planned.change(conversation, words, after)


async def test_a_person_has_a_bounded_number_of_them(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    for number in range(core.MAX_SCHEDULED):
        planned.clock.advance(1)
        await planned.schedule(conversation, f"k{number}")
    with pytest.raises(TooManyScheduled):
        await planned.schedule(conversation)
    assert isinstance(await planned.schedule(conversation, "k0"), Scheduled), "a retry is none more"
    await planned.scheduling.cancel(ALICE, conversation, "k0")
    planned.clock.advance(1)
    await planned.schedule(conversation)
    page, following = await planned.scheduling.list_own(ALICE, 60, "")
    rest, end = await planned.scheduling.list_own(ALICE, 60, following)
    assert [each.key.client_message_id for each in (*page, *rest)] == [*(f"k{n}" for n in range(1, 100)), "k"]
    assert end == ""


async def test_a_place_where_nothing_can_be_said_takes_none(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    with pytest.raises(ConversationNotFound):
        await planned.schedule(conversation, user=MALLORY)
    await blocked(planned, ConversationId(UUID(conversation)))
    with pytest.raises(NotAllowed):
        await planned.schedule(conversation)
    await frozen(planned, ConversationId(UUID(conversation)))
    with pytest.raises(ConversationFrozen):
        await planned.schedule(conversation)


async def test_files_wait_with_their_message_and_no_other_takes_them(planned: Planned) -> None:
    world = planned.world
    conversation = await said(world, ALICE, BOB, both=True)
    upload = await uploaded(world)
    request = request_of(Text("see"), "k", 0, [str(upload.attachment.id)])
    await planned.scheduling.schedule(ALICE, conversation, request, planned.clock.now() + core.MAX_AHEAD)
    with pytest.raises(AttachmentNotFound):
        await planned.scheduling.schedule(
            *(ALICE, conversation, replace(request, client_message_id="other"), planned.clock.now() + HOUR)
        )
    planned.clock.advance((core.MAX_AHEAD - HOUR).total_seconds())
    await world.collector.collect()
    await planned.pass_time()
    messages, _ = await world.history.list_messages(BOB, conversation, 0, 1)
    assert [file.id for file in messages[0].attachments] == [upload.attachment.id]


async def test_files_of_what_was_cancelled_go(planned: Planned) -> None:
    world = planned.world
    conversation = await said(world, ALICE, BOB, both=True)
    upload = await uploaded(world)
    request = request_of(Text(""), "k", 0, [str(upload.attachment.id)])
    await planned.scheduling.schedule(ALICE, conversation, request, planned.clock.now() + core.MAX_AHEAD)
    await planned.scheduling.cancel(ALICE, conversation, "k")
    planned.clock.advance(timedelta(days=1).total_seconds())
    await world.collector.collect()
    assert upload.attachment.id not in world.store.unused_uploads


# At its time.


async def blocked(planned: Planned, conversation: ConversationId) -> None:
    planned.world.store.set_blocked(conversation, True)


async def removed(planned: Planned, conversation: ConversationId) -> None:
    await planned.world.groups.remove_member(BOB, str(conversation), str(ALICE))


async def frozen(planned: Planned, conversation: ConversationId) -> None:
    await planned.world.store.set_frozen(conversation, frozen=True)


async def deleted(planned: Planned, _: ConversationId) -> None:
    planned.gone.add(ALICE)


async def restricted(planned: Planned, _: ConversationId) -> None:
    def refuse(_: UserId) -> None:
        raise AccountRestricted(planned.clock.now() + HOUR)

    planned.world.rates.require_may_write = refuse


Happening = Callable[[Planned, ConversationId], Awaitable[None]]


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (blocked, "NOT_ALLOWED"),
        (removed, "CONVERSATION_NOT_FOUND"),
        (frozen, "CONVERSATION_FROZEN"),
        (deleted, "ACCOUNT_DELETED"),
        (restricted, "ACCOUNT_RESTRICTED"),
    ],
)
async def test_what_is_refused_at_its_time_stays_for_its_writer_alone(
    planned: Planned, happens: Happening, reason: str
) -> None:
    conversation = await group(planned.world, BOB)
    await planned.world.groups.set_role(ALICE, conversation, str(BOB), Role.OWNER)
    await planned.schedule(conversation)
    await happens(planned, ConversationId(UUID(conversation)))
    before = await planned.texts(conversation)
    await planned.pass_time()
    (stays,) = await planned.own()
    assert (stays.state, stays.refusal, stays.content) == (ScheduledState.REFUSED, reason, Text("later"))
    assert planned.store.told[-1:] == [(ScheduledState.REFUSED, 2)]
    assert await planned.texts(conversation) == before
    await planned.pass_time(timedelta(days=1))
    assert await planned.own() == [stays], "it is not tried again by itself"
    await planned.pass_time(core.REFUSED_KEPT)
    assert await planned.own() == []
    assert planned.store.told[-1:] == [(None, 3)]


async def test_what_was_refused_is_sent_when_its_writer_moves_it(planned: Planned) -> None:
    conversation = await said(planned.world, ALICE, BOB, both=True)
    await planned.schedule(conversation)
    await blocked(planned, ConversationId(UUID(conversation)))
    await planned.pass_time()
    planned.world.store.set_blocked(ConversationId(UUID(conversation)), False)
    again = await planned.change(conversation, after=timedelta(0))
    assert (again.state, again.refusal) == (ScheduledState.WAITING, "")
    await planned.pass_time(timedelta(0))
    assert (await planned.texts(conversation))[-1] == Text("later")


async def test_what_was_refused_goes_when_a_message_there_would_have_vanished(planned: Planned) -> None:
    conversation = await said(planned.world, ALICE, BOB, both=True)
    await planned.world.vanishing.set_vanishing(ALICE, conversation, HOUR)
    await planned.schedule(conversation)
    await blocked(planned, ConversationId(UUID(conversation)))
    await planned.pass_time()
    assert len(await planned.own()) == 1
    await planned.pass_time()
    assert await planned.own() == []


async def test_a_message_vanishes_by_its_own_time_not_by_that_of_its_writing(planned: Planned) -> None:
    conversation = await said(planned.world, ALICE, BOB, both=True)
    await planned.schedule(conversation)
    await planned.world.vanishing.set_vanishing(ALICE, conversation, HOUR)
    await planned.pass_time()
    messages, _ = await planned.world.history.list_messages(BOB, conversation, 0, 1)
    assert messages[0].expires_at == planned.clock.now() + HOUR


async def test_what_cannot_be_taken_just_then_is_tried_again_and_given_up_in_the_end(world: World) -> None:
    judged, planned, conversation = await with_a_hook(world)
    judged.answer(NoAnswer(Problem.TIMEOUT))
    judged.use(HookPolicy(dict.fromkeys(Surface, WithoutAnswer.CLOSED)))
    planned.use(judged.held)
    await planned.schedule(conversation)
    await planned.pass_time()
    (waiting,) = await planned.own()
    assert (waiting.state, waiting.due_at) == (ScheduledState.WAITING, planned.clock.now() + core.FIRST_RETRY)
    for _ in range(core.MAX_ATTEMPTS):
        await planned.pass_time(core.MAX_RETRY)
    (stays,) = await planned.own()
    assert (stays.state, stays.refusal) == (ScheduledState.REFUSED, "HOOK_UNAVAILABLE")
    judged.answer(Allow())
    await planned.change(conversation, after=timedelta(0))
    await planned.pass_time(timedelta(0))
    assert (await planned.texts(conversation))[-1] == Text("later")


@pytest.mark.parametrize("is_let_pass", [True, False])
async def test_what_is_held_for_a_review_is_as_what_becomes_of_it(world: World, is_let_pass: bool) -> None:
    judged, planned, conversation = await with_a_hook(world)
    await planned.schedule(conversation)
    judged.answer(Hold("ODD"))
    await planned.pass_time()
    (held,) = await planned.own()
    assert held.state is ScheduledState.HELD
    await planned.pass_time(core.HELD_LOOK)
    assert planned.store.told[1:] == [(ScheduledState.HELD, 2)], "they are told once"
    with pytest.raises(MessageHeld):
        await planned.change(conversation, words="other")
    (waiting,) = await judged.waiting()
    if is_let_pass:
        await judged.reviews.release(str(waiting))
    else:
        await judged.reviews.refuse(str(waiting))
    await planned.pass_time(core.HELD_LOOK)
    assert [each.refusal for each in await planned.own()] == ([] if is_let_pass else ["MESSAGE_REFUSED"])
    assert (Text("later") in await planned.texts(conversation)) is is_let_pass


async def test_what_is_cancelled_while_it_is_reviewed_is_withdrawn(world: World) -> None:
    judged, planned, conversation = await with_a_hook(world)
    await planned.schedule(conversation)
    judged.answer(Hold("ODD"))
    await planned.pass_time()
    await planned.scheduling.cancel(ALICE, conversation, "k")
    assert await judged.waiting() == []
    judged.answer(Allow())
    await planned.pass_time(core.HELD_LOOK)
    assert Text("later") not in await planned.texts(conversation)


async def test_what_the_network_refuses_is_refused(world: World) -> None:
    judged, planned, conversation = await with_a_hook(world)
    await planned.schedule(conversation)
    judged.answer(Refuse("SPAM"))
    await planned.pass_time()
    assert [each.refusal for each in await planned.own()] == ["MESSAGE_REFUSED"]


# Once.


async def test_what_a_killed_replica_had_sent_is_not_sent_again(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    planned.clock.advance(HOUR.total_seconds())
    now = planned.clock.now()
    (taken,) = await planned.store.claim(now, now + LEASE, new_id(now), 10)
    # It was killed before it could note it.
    await planned.world.sending.send(ALICE, conversation, request_of(taken.content, "k", 0, ()))
    with pytest.raises(ScheduledSent):
        await planned.scheduling.cancel(ALICE, conversation, "k")
    await planned.pass_time(LEASE)
    assert await planned.texts(conversation) == [Text("later")]
    assert await planned.own() == []


async def test_what_a_killed_replica_had_only_taken_is_sent_by_another(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    planned.clock.advance(HOUR.total_seconds())
    now = planned.clock.now()
    await planned.store.claim(now, now + LEASE, new_id(now), 10)
    with pytest.raises(ScheduledSent):
        await planned.change(conversation, words="it may be sent")
    await planned.pass_time(timedelta(0))
    assert await planned.texts(conversation) == [], "it is another's"
    await planned.pass_time(LEASE)
    assert await planned.texts(conversation) == [Text("later")]


async def test_what_may_be_stored_is_not_changed_until_that_is_known(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    real = planned.world.store.append
    planned.world.store.append = unanswered  # type: ignore[assignment,method-assign]
    await planned.pass_time()
    planned.world.store.append = real  # type: ignore[method-assign]
    with pytest.raises(ScheduledSent):
        await planned.scheduling.cancel(ALICE, conversation, "k")
    await planned.pass_time(LEASE)
    assert await planned.texts(conversation) == [Text("later")]


async def unanswered(_: object) -> Sequence[Message | MessagingError]:
    raise StoreUnavailable("the connection broke")


async def test_what_becomes_of_a_claim_that_another_has_by_now_is_not_noted(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    await planned.schedule(conversation)
    planned.clock.advance(HOUR.total_seconds())
    now = planned.clock.now()
    slow, fast = new_id(now), new_id(now)
    (taken,) = await planned.store.claim(now, now, slow, 10)
    await planned.store.claim(now, now + LEASE, fast, 10)
    await planned.store.settle(core.settle(taken, Refused("NOT_ALLOWED"), now), slow, now)
    await planned.store.forget(taken, slow, now)
    assert [each.state for each in await planned.own()] == [ScheduledState.SENDING]


async def test_a_process_that_stood_still_sends_nothing_of_what_it_had_taken(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    for key, minutes in (("a", 59), ("b", 60)):
        await planned.schedule(conversation, key, key, timedelta(minutes=minutes))
    real = planned.world.store.append

    async def slow(drafts: object) -> Sequence[Message | MessagingError]:
        planned.clock.advance(LEASE.total_seconds())
        return await real(drafts)  # type: ignore[arg-type]

    planned.world.store.append = slow  # type: ignore[method-assign]
    await planned.pass_time()
    assert await planned.texts(conversation) == [Text("a")]
    planned.world.store.append = real  # type: ignore[method-assign]
    await planned.pass_time(timedelta(0))
    assert await planned.texts(conversation) == [Text("a"), Text("b")]


async def test_what_is_due_at_once_is_sent_in_the_order_of_its_times(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    for minutes in (30, 10, 20):
        await planned.schedule(conversation, str(minutes), str(minutes), timedelta(minutes=minutes))
    await planned.pass_time()
    assert await planned.texts(conversation) == [Text("10"), Text("20"), Text("30")]


async def test_one_that_cannot_be_sent_for_a_fault_of_ours_keeps_no_other_from_it(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await planned.world.conversation()
    for key in ("bad", "good"):
        await planned.schedule(conversation, key, key)
    real = planned.world.sending.send

    async def faulty(user: UserId, target: str, request: object) -> Message:
        if getattr(request, "client_message_id", "") == "bad":
            raise ZeroDivisionError
        return await real(user, target, request)  # type: ignore[arg-type]

    monkeypatch.setattr(planned.world.sending, "send", faulty)
    await planned.pass_time()
    assert await planned.texts(conversation) == [Text("good")]
    monkeypatch.undo()
    await planned.pass_time(LEASE)
    assert await planned.texts(conversation) == [Text("good"), Text("bad")]


# The loop.


async def test_the_loop_sleeps_until_something_is_due_and_is_woken_by_what_is_sooner(planned: Planned) -> None:
    conversation = await planned.world.conversation()
    assert await planned.sender.sleep_s() == LOOK_S
    await planned.schedule(conversation, "far")
    assert await planned.sender.sleep_s() == LOOK_S
    await planned.schedule(conversation, "near", after=timedelta(seconds=7))
    assert await planned.sender.sleep_s() == 7
    planned.clock.step(60)
    assert await planned.sender.sleep_s() == MIN_SLEEP_S, "the clock was set forward"
    planned.clock.step(-3600)
    assert await planned.sender.sleep_s() == LOOK_S, "and back"
    loop = asyncio.create_task(planned.sender.run())
    try:
        await planned.schedule(conversation, "now", "now", timedelta(0))

        async def is_sent() -> bool:
            return await planned.texts(conversation) == [Text("now")]

        await eventually(is_sent, what="the message is sent")
    finally:
        loop.cancel()


# The core.


MOVES = {
    (ScheduledState.SENDING, Step.REFUSE): ScheduledState.REFUSED,
    (ScheduledState.SENDING, Step.HOLD): ScheduledState.HELD,
    (ScheduledState.SENDING, Step.PUT_OFF): ScheduledState.WAITING,
    (ScheduledState.REFUSED, Step.CHANGE): ScheduledState.WAITING,
    **{
        (state, Step.CANCEL): ScheduledState.CANCELLED
        for state in (ScheduledState.WAITING, ScheduledState.REFUSED, ScheduledState.HELD)
    },
}
IMPOSSIBLE = {
    (ScheduledState.SENDING, Step.CHANGE): ScheduledSent,
    (ScheduledState.SENDING, Step.CANCEL): ScheduledSent,
    (ScheduledState.HELD, Step.CHANGE): MessageHeld,
    (ScheduledState.CANCELLED, Step.CHANGE): ScheduledNotFound,
}


@pytest.mark.parametrize("state", ScheduledState)
@pytest.mark.parametrize("taken", Step)
def test_the_table_is_total_and_everything_else_stays_as_it_is(state: ScheduledState, taken: Step) -> None:
    if (state, taken) in IMPOSSIBLE:
        with pytest.raises(IMPOSSIBLE[state, taken]):
            core.step(state, taken)
    else:
        assert core.step(state, taken) is MOVES.get((state, taken), state)
