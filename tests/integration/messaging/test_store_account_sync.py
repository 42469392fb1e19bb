"""The contract of Sync by a token, held by the fake and PostgreSQL."""

from dataclasses import replace
from uuid import uuid4

import pytest

from services.messaging.kernel.errors import SyncTokenUnknown
from services.messaging.kernel.model import Conversation, ConversationId, Cursor, UserId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.kernel.request import RequestState
from services.messaging.receipts.ports import ReceiptStore
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.sync.core.account import (
    AccountCatchup,
    Mark,
    SyncToken,
    cut_page,
    token_at,
)
from tests.support.clock import ManualClock
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_store import ALICE, BOB, CAROL, added, fill, founded, left, opened, text

MOST_BYTES = 1_000_000


async def page(
    store: Store,
    clock: ManualClock,
    token: SyncToken | None,
    cursors: dict[ConversationId, Cursor] | None = None,
    size: int = 100,
    user: UserId = ALICE,
) -> AccountCatchup:
    return cut_page(await store.sync_account(user, token, cursors or {}, 10, size, clock.now()), MOST_BYTES)


async def current(store: Store) -> SyncToken:
    return token_at(await store.snapshot())


def ids(catchup: AccountCatchup) -> set[ConversationId]:
    return {delta.conversation.id for delta in catchup.deltas}


async def conversations_of(store: Store, clock: ManualClock, count: int) -> list[Conversation]:
    return [await opened(store, clock, ALICE, UserId(f"peer{number:02}")) for number in range(count)]


def crowd(count: int) -> list[UserId]:
    return [UserId(f"member{number:02}") for number in range(count)]


async def test_an_empty_token_brings_everything_in_pages_that_end(store: Store, clock: ManualClock) -> None:
    conversations = await conversations_of(store, clock, 7)
    await fill(store, clock, conversations[3], 12)
    seen: list[ConversationId] = []
    catchup = await page(store, clock, None, size=3)
    seen += [delta.conversation.id for delta in catchup.deltas]
    while catchup.has_more:
        catchup = await page(store, clock, catchup.token, size=3)
        assert len(catchup.deltas) <= 3
        seen += [delta.conversation.id for delta in catchup.deltas]
    assert sorted(seen) == sorted(conversation.id for conversation in conversations)
    (delta,) = (await page(store, clock, None, {conversations[3].id: Cursor(0)}, size=1)).deltas
    assert [message.seq for message in delta.messages] == list(range(3, 13))


async def test_a_token_brings_what_changed_since_and_nothing_else(store: Store, clock: ManualClock) -> None:
    conversations = await conversations_of(store, clock, 7)
    token = await current(store)
    await fill(store, clock, conversations[2], 3)
    catchup = await page(store, clock, token)
    assert ids(catchup) == {conversations[2].id}
    assert not catchup.has_more
    # Of one that was not named, the newest messages.
    assert [message.seq for message in catchup.deltas[0].messages] == [1, 2, 3]
    assert not ids(await page(store, clock, catchup.token)) - {conversations[2].id}


async def test_what_changes_between_the_pages_is_told_by_the_later_ones(store: Store, clock: ManualClock) -> None:
    """A device may stop between two pages, and go on with the token another day: nothing else says what it missed."""
    conversations = await conversations_of(store, clock, 8)
    for begun in (None, SyncToken((await current(store)).epoch, Mark(-1, conversations[0].id))):
        catchup = await page(store, clock, begun, size=2)
        told = [conversation for conversation in conversations if conversation.id in ids(catchup)]
        later = [conversation for conversation in conversations if conversation.id not in ids(catchup)]
        for conversation in (told[0], later[0]):
            await fill(store, clock, conversation, 1)
        await store.change_own_state(told[1].id, ALICE, OwnChange(pinned=True), clock.now())
        await store.change_own_state(later[1].id, ALICE, OwnChange(pinned=True), clock.now())
        group = await founded(store, clock, f"k{begun}", BOB)
        newest, pages = {delta.conversation.id: delta for delta in catchup.deltas}, 1
        while catchup.has_more:
            # A busy account: something happens before every page, and yet they end.
            await store.append([text(clock, later[2], f"busy {pages} {begun}")])
            catchup = await page(store, clock, catchup.token, size=2)
            newest |= {delta.conversation.id: delta for delta in catchup.deltas}
            pages += 1
        assert pages <= 8
        assert newest.keys() == {group.id, *(conversation.id for conversation in conversations)}
        for conversation in (told[0], later[0], later[2]):
            found = await store.find_conversation(conversation.id)
            assert found is not None
            assert newest[conversation.id].conversation.last_seq == found.last_seq
        assert newest[told[1].id].own.pinned
        assert newest[later[1].id].own.pinned
        # And who goes meanwhile.
        first = await page(store, clock, begun, size=2)
        await left(store, clock, group, ALICE)
        gone: list[ConversationId] = []
        while first.has_more:
            first = await page(store, clock, first.token, size=2)
            gone += first.gone
        assert group.id in gone


async def test_named_conversations_lack_nothing_between(store: Store, clock: ManualClock) -> None:
    conversation, other = await conversations_of(store, clock, 2)
    await fill(store, clock, conversation, 30)
    token = await current(store)
    catchup = await page(store, clock, token, {conversation.id: Cursor(4), other.id: Cursor(0)})
    (delta,) = catchup.deltas
    assert ([message.seq for message in delta.messages], delta.has_more) == (list(range(5, 15)), True)
    # Of one that the device has all messages of, what else there is: it may know it by its messages alone.
    await fill(store, clock, other, 1)
    (delta,) = (await page(store, clock, token, {conversation.id: Cursor(30), other.id: Cursor(1)})).deltas
    assert (delta.conversation.id, list(delta.messages), delta.has_more) == (other.id, [], False)
    # In the page that tells it as a named one, it is told once.
    (delta,) = (await page(store, clock, token, {other.id: Cursor(0)})).deltas
    assert [message.seq for message in delta.messages] == [1]


async def test_more_named_ones_than_a_page_holds_come_before_the_rest(store: Store, clock: ManualClock) -> None:
    conversations = await conversations_of(store, clock, 5)
    token = await current(store)
    for conversation in conversations:
        clock.advance(1)
        await fill(store, clock, conversation, 1)
    cursors = {conversation.id: Cursor(0) for conversation in conversations[:4]}
    first = await page(store, clock, token, cursors, size=3)
    assert ([delta.conversation.id for delta in first.deltas], first.has_more) == (
        [r.id for r in conversations[:3]],
        True,
    )
    cursors |= {delta.conversation.id: delta.cursor for delta in first.deltas}
    second = await page(store, clock, first.token, cursors, size=3)
    assert ids(second) >= {conversations[3].id}
    third = await page(store, clock, second.token, cursors | {conversations[3].id: Cursor(1)}, size=3)
    assert conversations[4].id in ids(second) | ids(third)
    assert not third.has_more


async def test_who_leaves_is_removed_or_declines_hears_that_it_is_gone(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    group = await founded(store, clock, "k", BOB, CAROL)
    await relations.change_settings(BOB, SettingsChange(messages=Audience.FOLLOWED), clock.now())
    waiting = await opened(store, clock)
    token = await current(store)
    await left(store, clock, group, BOB)
    await relations.decline(waiting.id, BOB, clock.now())
    catchup = await page(store, clock, token, user=BOB)
    assert (ids(catchup), set(catchup.gone)) == (set(), {group.id, waiting.id})
    assert set((await page(store, clock, token, {group.id: Cursor(1)}, user=BOB)).gone) >= {group.id}
    # Whoever begins has nothing to forget.
    assert (await page(store, clock, None, user=BOB)).gone == []
    # What is said meanwhile is no news; coming back is.
    await fill(store, clock, group, 2)
    assert ids(await page(store, clock, catchup.token, user=BOB)) == set()
    await added(store, clock, group, BOB)
    await store.append([text(clock, waiting, "hello", BOB)])
    back = await page(store, clock, catchup.token, user=BOB)
    assert ids(back) == {group.id, waiting.id}
    assert not set(back.gone) & ids(back)
    by_id = {delta.conversation.id: delta for delta in back.deltas}
    assert by_id[waiting.id].own.request is RequestState.ACCEPTED


async def test_cursors_of_others_and_own_state_are_told(
    store: Store, receipts: ReceiptStore, clock: ManualClock
) -> None:
    read, got, kept, still = await conversations_of(store, clock, 4)
    for conversation in (read, got, kept, still):
        await fill(store, clock, conversation, 2)
    token = await current(store)
    has_all = {conversation.id: Cursor(2) for conversation in (read, got, kept, still)}
    await receipts.move_read_cursor(read.id, UserId("peer00"), 2, clock.now())
    await receipts.move_delivered_cursors(UserId("peer01"), {got.id: 2}, clock.now(), 32)
    await store.change_own_state(kept.id, ALICE, OwnChange(pinned=True), clock.now())
    for cursors in ({}, has_all):
        catchup = await page(store, clock, token, cursors)
        assert ids(catchup) == {read.id, got.id, kept.id}
        by_id = {delta.conversation.id: delta for delta in catchup.deltas}
        assert by_id[kept.id].own.pinned
        peer = by_id[read.id].conversation.member(UserId("peer00"))
        assert peer is not None
        assert peer.read_seq == 2
    # One's own reading is told to one's own devices, also when the others may not know.
    token = await current(store)
    await receipts.move_read_cursor(still.id, ALICE, 2, clock.now())
    (delta,) = [each for each in (await page(store, clock, token, has_all)).deltas if each.conversation.id == still.id]
    assert delta.own.read_seq == 2


async def test_a_large_group_is_told_of_as_any_other(store: Store, receipts: ReceiptStore, clock: ManualClock) -> None:
    quiet, group = await founded(store, clock, "quiet", *crowd(20)), await founded(store, clock, "k", *crowd(20))
    token = await current(store)
    await fill(store, clock, group, 3)
    assert ids(await page(store, clock, token)) == {group.id}
    seen = await page(store, clock, token, {group.id: Cursor(1)}, size=1)
    assert [message.seq for message in seen.deltas[0].messages] == [2, 3, 4]
    everything = await page(store, clock, None, size=1)
    rest = await page(store, clock, everything.token, size=1)
    assert ids(everything) | ids(rest) == {quiet.id, group.id}
    # What its members have read is told where it is named.
    token = await current(store)
    member = crowd(1)[0]
    await receipts.move_read_cursor(group.id, member, 3, clock.now())
    assert group.id not in ids(await page(store, clock, token))
    named = await page(store, clock, token, {group.id: Cursor(4), quiet.id: Cursor(1)})
    assert ids(named) == {group.id}
    # Who is taken out hears of it, and then nothing more.
    token = await current(store)
    await left(store, clock, group, member)
    catchup = await page(store, clock, token, user=member)
    assert (ids(catchup), list(catchup.gone)) == (set(), [group.id])


async def test_a_group_that_grows_large_loses_nothing(store: Store, clock: ManualClock) -> None:
    group = await founded(store, clock, "k", *crowd(10))
    token = await current(store)
    await added(store, clock, group, *[UserId(f"later{number}") for number in range(10)])
    assert ids(await page(store, clock, token)) == {group.id}
    token = await current(store)
    await fill(store, clock, group, 1)
    for user in (ALICE, UserId("member03"), UserId("later9")):
        assert ids(await page(store, clock, token, user=user)) == {group.id}


async def test_large_and_small_conversations_are_one_list(store: Store, clock: ManualClock) -> None:
    conversations: list[Conversation] = []
    for number in range(6):
        clock.advance(1)
        people = crowd(20) if number % 2 else crowd(2)
        conversations.append(await founded(store, clock, f"k{number}", *people))
    clock.advance(1)
    await fill(store, clock, conversations[1], 1)
    rows = await store.list_conversations(ALICE, None, 10, clock.now())
    assert [row.conversation.id for row in rows] == [conversations[n].id for n in (1, 5, 4, 3, 2, 0)]


@pytest.mark.parametrize("kind", ["another epoch", "the future", "begun in the future", "a horizon in the future"])
async def test_a_token_that_leads_nowhere_is_refused(store: Store, clock: ManualClock, kind: str) -> None:
    await conversations_of(store, clock, 2)
    token = await current(store)
    ahead = Mark(token.mark.position + 1_000_000_000, token.mark.conversation_id)
    if kind == "another epoch":
        token = replace(token, epoch=uuid4())
    elif kind == "the future":
        token = replace(token, mark=ahead)
    elif kind == "begun in the future":
        token = replace(token, begun_at=ahead.position)
    else:
        token = replace(token, horizon=ahead.position)
    with pytest.raises(SyncTokenUnknown):
        await page(store, clock, token)


async def test_cursors_alone_serve_accounts_of_a_thousand(store: Store, clock: ManualClock) -> None:
    await conversations_of(store, clock, 4)
    assert not await store.has_more_conversations_than(ALICE, 4)
    assert await store.has_more_conversations_than(ALICE, 3)
