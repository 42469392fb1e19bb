"""Vanishing messages and retention: who sets it, what is shown, and what the sweeper asks of the store."""

import asyncio
from datetime import datetime, timedelta

import pytest

from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import Expired, SystemContent, SystemKind, Text
from services.messaging.kernel.errors import (
    ConversationNotFound,
    InvalidField,
    NotAllowed,
    NotEditable,
    RoleTooLow,
)
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.messages.core.changes import ChangePolicy, react, unsend
from services.messaging.messages.service.requests import TextRequest
from services.messaging.vanishing.core import check_vanish_after, end_of_old
from services.messaging.vanishing.service import Sweeper, SweepPolicy
from services.runtime import tasks
from services.runtime.errors import StatementCutOff
from tests.support.clock import ManualClock
from tests.support.cut_off import cut_off
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, send
from tests.support.waiting import eventually

FIVE_MINUTES, HOUR = timedelta(minutes=5), timedelta(hours=1)


async def vanishing(world: World, count: int = 2) -> str:
    """A conversation in which texts vanish after five minutes, with some of them, a minute apart."""
    conversation = await world.conversation()
    await world.vanishing.set_vanishing(ALICE, conversation, FIVE_MINUTES)
    for number in range(count):
        await send(world, ALICE, conversation, f"v{number}", f"secret {number}")
        world.clock.advance(60)
    return conversation


async def listed(world: World, conversation: str) -> list[Message]:
    messages, _ = await world.history.list_messages(BOB, conversation, 0, 0)
    return list(reversed(messages))


@pytest.mark.parametrize(
    "length", [timedelta(seconds=1), timedelta(minutes=-5), timedelta(seconds=299.9), timedelta(days=366)]
)
def test_a_time_out_of_bounds_is_refused(length: timedelta) -> None:
    with pytest.raises(InvalidField):
        check_vanish_after(length)


@pytest.mark.parametrize("length", [timedelta(0), FIVE_MINUTES, timedelta(days=365)])
def test_times_within_the_bounds_are_taken(length: timedelta) -> None:
    assert check_vanish_after(length) == length
    assert check_vanish_after(FIVE_MINUTES + timedelta(milliseconds=1)) == FIVE_MINUTES


async def test_either_of_two_people_sets_it_and_a_line_tells(world: World) -> None:
    conversation = await world.conversation()
    for _ in range(2):
        after = await world.vanishing.set_vanishing(BOB, conversation, HOUR)
        assert (after.vanish_after, after.revision) == (HOUR, 1)
    assert [message.content for message in await listed(world, conversation)] == [
        SystemContent(SystemKind.VANISHING_CHANGED, vanish_after=HOUR)
    ]
    off = await world.vanishing.set_vanishing(ALICE, conversation, timedelta(0))
    assert (off.vanish_after, off.revision) == (timedelta(0), 2)
    await send(world, ALICE, conversation, "k", "stays")
    assert (await listed(world, conversation))[-1].expires_at is None


@pytest.mark.parametrize(("blocker", "blocked"), [(ALICE, BOB), (BOB, ALICE)])
async def test_neither_of_two_people_sets_it_while_a_block_stands(
    world: World, blocker: UserId, blocked: UserId
) -> None:
    conversation = await world.conversation()
    await world.relations.block_user(blocker, blocked)
    for actor in (ALICE, BOB):
        with pytest.raises(NotAllowed):
            await world.vanishing.set_vanishing(actor, conversation, HOUR)
    await world.relations.unblock_user(blocker, blocked)
    assert (await world.vanishing.set_vanishing(ALICE, conversation, HOUR)).vanish_after == HOUR


async def test_in_a_group_members_may_not_and_a_strangers_group_does_not_exist(world: World) -> None:
    group = await world.groups.create_group(ALICE, GroupRequest("g", "Trip", [BOB], "", False))
    await world.vanishing.set_vanishing(ALICE, str(group.id), HOUR)
    with pytest.raises(RoleTooLow):
        await world.vanishing.set_vanishing(BOB, str(group.id), FIVE_MINUTES)
    with pytest.raises(ConversationNotFound):
        await world.vanishing.set_vanishing(MALLORY, str(group.id), FIVE_MINUTES)
    renamed = await world.groups.update_group(ALICE, str(group.id), Settings(title="Journey"))
    assert renamed.vanish_after == HOUR


async def test_nothing_shows_what_a_message_said_once_its_time_is_over_whether_or_not_it_was_swept(
    world: World,
) -> None:
    conversation = await vanishing(world)
    await world.changing.edit_message(ALICE, conversation, 2, Text("secret edit"))
    await world.store.index_words([((await world.conversations.get_conversation(ALICE, conversation)).id, 2)])
    assert (await world.search.search(BOB, "secret", "", 0, ""))[0]
    world.clock.advance(181)
    shown = [
        *(await listed(world, conversation)),
        *(delta for delta in (await world.sync.sync(BOB, [], 0, None)).deltas[0].messages),
        *(await world.sync.sync(BOB, [(conversation, 3, 1)], 0, None)).deltas[0].changed,
        await send(world, ALICE, conversation, "v0", "secret 0"),
    ]
    over = [message for message in shown if message.seq == 2]
    assert len(over) == 4
    assert {(message.content, message.edit_count, message.edited_at) for message in over} == {(Expired(), 0, None)}
    assert await world.history.list_edits(BOB, conversation, 2) == []
    assert (await world.search.search(BOB, "secret", "", 0, ""))[0] == []
    world.clock.advance(60)
    last = (await world.sync.list_conversations(BOB, 0, "")).items[0].last_message
    assert last is not None
    assert last.content == Expired()


async def test_what_is_over_is_neither_edited_nor_unsent_nor_reacted_to(world: World) -> None:
    conversation = await vanishing(world)
    world.clock.advance(600)
    for refused in (
        world.changing.edit_message(ALICE, conversation, 2, Text("again")),
        world.changing.unsend_message(ALICE, conversation, 2),
        world.changing.set_reaction(BOB, conversation, 2, "👍", present=True),
    ):
        with pytest.raises(NotEditable):
            await refused


async def test_a_reply_stays_when_what_it_answers_is_gone(world: World) -> None:
    conversation = await vanishing(world, 1)
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(0))
    await world.sending.send(BOB, conversation, TextRequest("r", Text("an answer"), 2))
    world.clock.advance(600)
    await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    messages = await listed(world, conversation)
    assert [type(message.content) for message in messages] == [SystemContent, Expired, SystemContent, Text]
    assert messages[-1].reply_to_seq == 2


async def test_a_sweep_takes_all_that_is_due_in_batches(world: World) -> None:
    conversation = await vanishing(world, 7)
    world.clock.advance(600)
    await Sweeper(world.store, world.clock, SweepPolicy(batch=3)).sweep()
    assert [type(message.content) for message in await listed(world, conversation)] == [SystemContent, *[Expired] * 7]


@pytest.mark.parametrize("culprits", [1, 3])
async def test_messages_that_cannot_be_erased_do_not_keep_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, culprits: int
) -> None:
    """Their statement is cut off whenever they are in it, and they are the longest overdue."""
    await vanishing(world, 30)
    world.clock.advance(600)
    erase, erased = world.store.expire_due, 0

    async def expire_due(now: datetime, limit: int, skipped: int = 0) -> int:
        if skipped < culprits:
            raise cut_off()
        nonlocal erased
        erased += (count := await erase(now, limit, skipped))
        return count

    monkeypatch.setattr(world.store, "expire_due", expire_due)
    await Sweeper(world.store, world.clock, SweepPolicy(batch=20)).sweep()
    assert erased == 30 - culprits


@pytest.mark.parametrize("others_pass", [True, False])
async def test_a_sweep_ends_when_nothing_can_be_erased(
    world: World, monkeypatch: pytest.MonkeyPatch, others_pass: bool
) -> None:
    tried = 0

    async def expire_due(now: datetime, limit: int, skipped: int = 0) -> int:
        nonlocal tried
        tried += 1
        raise cut_off(others_pass=others_pass)

    monkeypatch.setattr(world.store, "expire_due", expire_due)
    with pytest.raises(StatementCutOff):
        await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    assert tried == 1 if not others_pass else tried < 20


async def test_a_conversation_that_cannot_be_emptied_does_not_keep_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = [
        str((await world.conversations.open_direct(ALICE, UserId(f"peer{number}"))).id) for number in range(3)
    ]
    for conversation in conversations:
        await send(world, ALICE, conversation, "k", "old")
    world.clock.advance(86_400 * 31)
    delete, bad = world.store.delete_old, sorted(conversations)[0]

    async def delete_old(conversation_id: ConversationId, cutoff: datetime, now: datetime, limit: int) -> int:
        if str(conversation_id) == bad:
            raise cut_off()
        return await delete(conversation_id, cutoff, now, limit)

    monkeypatch.setattr(world.store, "delete_old", delete_old)
    await Sweeper(world.store, world.clock, SweepPolicy(retention=timedelta(days=30))).sweep()
    left = [
        len((await world.history.list_messages(ALICE, conversation, 0, 0))[0]) for conversation in sorted(conversations)
    ]
    assert left == [1, 0, 0]


async def test_what_cannot_vanish_does_not_keep_old_messages_from_going(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "k", "old")
    world.clock.advance(86_400 * 31)

    async def expire_due(now: datetime, limit: int, skipped: int = 0) -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(world.store, "expire_due", expire_due)
    sweeping = asyncio.create_task(Sweeper(world.store, world.clock, SweepPolicy(timedelta(days=30))).run())
    await eventually(lambda: _is_empty(world, conversation), what="the old message to go")
    await tasks.stop(sweeping)


async def _is_empty(world: World, conversation: str) -> bool:
    return await listed(world, conversation) == []


async def test_without_a_policy_messages_are_kept_for_ever(world: World) -> None:
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "k", "old")
    world.clock.advance(86_400 * 3_650)
    await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    assert len(await listed(world, conversation)) == 1


async def test_by_the_policy_old_messages_go_from_every_conversation_within_a_walk(world: World) -> None:
    conversations = [
        str((await world.conversations.open_direct(ALICE, UserId(f"peer{number}"))).id) for number in range(5)
    ]
    for conversation in conversations:
        for number in range(5):
            await send(world, ALICE, conversation, str(number), "old")
    world.clock.advance(86_400 * 31)
    for conversation in conversations:
        await send(world, ALICE, conversation, "young", "young")
    policy = SweepPolicy(retention=timedelta(days=30), batch=2, conversations=2)
    sweeper = Sweeper(world.store, world.clock, policy)
    for _ in range(3):
        await sweeper.sweep()
    for conversation in conversations:
        messages, _ = await world.history.list_messages(ALICE, conversation, 0, 0)
        assert [message.seq for message in messages] == [6]
        assert (await world.conversations.get_conversation(ALICE, conversation)).history_start_seq == 5


async def test_after_retention_history_sync_and_replies_go_on(world: World) -> None:
    conversation = await world.conversation()
    for number in range(4):
        await send(world, ALICE, conversation, str(number), "old")
    world.clock.advance(86_400 * 2)
    await Sweeper(world.store, world.clock, SweepPolicy(retention=timedelta(days=1))).sweep()
    assert await listed(world, conversation) == []
    answer = await world.sending.send(BOB, conversation, TextRequest("r", Text("what was it?"), 3))
    assert (answer.seq, answer.reply_to_seq) == (5, 3)
    (delta,) = (await world.sync.sync(ALICE, [(conversation, 2, 0)], 0, None)).deltas
    assert ([message.seq for message in delta.messages], delta.has_more) == ([5], False)
    assert delta.own.unread == 1


def test_the_end_of_what_is_old_is_before_the_first_that_is_kept() -> None:
    now = ManualClock().now()
    times = [(1, now), (2, now - HOUR), (3, now)]
    assert end_of_old(times, now) is None
    assert end_of_old(times, now + HOUR) == 3
    assert end_of_old(times[1:], now) == 2
    assert end_of_old([], now) is None


async def test_a_tombstone_takes_no_reaction_and_no_second_death(world: World) -> None:
    conversation = await vanishing(world, 1)
    message = (await listed(world, conversation))[1]
    gone = as_of(message, world.clock.now() + HOUR)
    assert as_of(gone, world.clock.now() + HOUR) == gone
    with pytest.raises(NotEditable):
        react(gone, BOB, "👍", ChangePolicy(), present=True)
    with pytest.raises(NotEditable):
        unsend(gone, ALICE)
