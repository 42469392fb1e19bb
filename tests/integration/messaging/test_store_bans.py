"""The contract of messaging's store, held by the fake and PostgreSQL: who comes into groups, and who does not."""

import asyncio
from datetime import timedelta

import pytest

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Ban, GroupChange, Settings
from services.messaging.groups.ports import REQUEST_KEYS_KEPT, Invite, InviteStore
from services.messaging.kernel.errors import Banned, RoleTooLow
from services.messaging.kernel.model import (
    AddAudience,
    Conversation,
    ConversationId,
    Cursor,
    Role,
    UserId,
)
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store
from tests.support.messaging_store import ALICE, BOB, CAROL, added, founded, left, quota, stamp

DAN = UserId("dan")


async def removed(
    store: Store, clock: ManualClock, conversation: Conversation, user: UserId, by: UserId = ALICE
) -> None:
    await store.change_group(conversation.id, lambda group: groups.remove_member(group, by, user), stamp(clock, by))


async def joined(
    store: Store, clock: ManualClock, conversation: Conversation, user: UserId, key: str = ""
) -> Conversation:
    return await store.change_group(
        conversation.id, lambda group: groups.join(group, user, clock.now(), 9), stamp(clock, user), key
    )


async def test_a_removal_bans_and_lifting_and_adding_take_the_ban_away(
    store: Store, invites: InviteStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL, DAN)
    other = await founded(store, clock, "other", CAROL)
    for user in (CAROL, DAN):
        await removed(store, clock, conversation, user)
        with pytest.raises(Banned):
            await joined(store, clock, conversation, user)
        clock.advance(1)
    bans = await invites.list_bans(conversation.id, None, 10)
    assert bans == [
        Ban(DAN, ALICE, clock.now() - timedelta(seconds=1)),
        Ban(CAROL, ALICE, clock.now() - timedelta(seconds=2)),
    ]
    # A page goes on below the last one.
    assert await invites.list_bans(conversation.id, None, 1) == bans[:1]
    assert await invites.list_bans(conversation.id, (bans[0].banned_at, bans[0].user_id), 10) == bans[1:]
    assert await invites.list_bans(other.id, None, 10) == []
    lifted = await store.change_group(conversation.id, lambda group: groups.unban(group, ALICE, CAROL), stamp(clock))
    assert await store.find_conversation(conversation.id) == lifted
    assert (await joined(store, clock, conversation, CAROL)).member(CAROL)
    assert (await added(store, clock, conversation, DAN)).member(DAN)
    assert await invites.list_bans(conversation.id, None, 10) == []


async def test_who_left_is_not_banned(store: Store, invites: InviteStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await left(store, clock, conversation, BOB)
    assert await invites.list_bans(conversation.id, None, 10) == []
    assert (await joined(store, clock, conversation, BOB)).member(BOB)


async def test_a_refused_change_bans_nobody(store: Store, invites: InviteStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    with pytest.raises(RoleTooLow):
        await removed(store, clock, conversation, CAROL, BOB)
    assert await invites.list_bans(conversation.id, None, 10) == []


async def test_admins_who_act_at_once_leave_who_is_in_or_banned_but_not_both(
    store: Store, invites: InviteStore, clock: ManualClock
) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    await store.change_group(
        conversation.id, lambda group: groups.set_role(group, ALICE, BOB, Role.ADMIN), stamp(clock)
    )
    for _ in range(5):
        await asyncio.gather(
            removed(store, clock, conversation, CAROL, ALICE),
            removed(store, clock, conversation, CAROL, BOB),
            store.change_group(conversation.id, lambda group: groups.unban(group, BOB, CAROL), stamp(clock, BOB)),
            added(store, clock, conversation, CAROL),
            joined(store, clock, conversation, CAROL),
            return_exceptions=True,
        )
        now = await store.find_conversation(conversation.id)
        assert now is not None
        bans = [ban.user_id for ban in await invites.list_bans(conversation.id, None, 10)]
        assert not (now.member(CAROL) and bans)
        await added(store, clock, conversation, CAROL)


async def test_two_removals_at_once_make_one_ban(store: Store, invites: InviteStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock, "k", BOB, CAROL)
    await asyncio.gather(*(removed(store, clock, conversation, CAROL) for _ in range(5)))
    assert [ban.user_id for ban in await invites.list_bans(conversation.id, None, 10)] == [CAROL]


async def test_the_invites_of_who_is_removed_end_and_no_others(
    store: Store, invites: InviteStore, clock: ManualClock
) -> None:
    conversation, other = await founded(store, clock), await founded(store, clock, "other")
    end = clock.now() + timedelta(days=1)
    await invites.put_invite(Invite(b"bobs", conversation.id, BOB, end))
    await invites.put_invite(Invite(b"bobs elsewhere", other.id, BOB, end))
    await removed(store, clock, conversation, BOB)
    assert await invites.find_invite(b"bobs", clock.now()) is None
    assert await invites.find_used_invite(b"bobs") is not None
    assert await invites.find_invite(b"bobs elsewhere", clock.now()) is not None
    await invites.put_invite(Invite(b"alices", conversation.id, ALICE, end))
    await removed(store, clock, other, BOB)
    assert await invites.find_invite(b"alices", clock.now()) is not None


async def test_a_key_does_its_request_once(store: Store, invites: InviteStore, clock: ManualClock) -> None:
    conversation, other = await founded(store, clock), await founded(store, clock, "other")
    assert not await invites.was_done(conversation.id, CAROL, "k")
    assert (await joined(store, clock, conversation, CAROL, "k")).member(CAROL)
    assert await invites.was_done(conversation.id, CAROL, "k")
    for place, user, key in ((other.id, CAROL, "k"), (conversation.id, DAN, "k"), (conversation.id, CAROL, "l")):
        assert not await invites.was_done(place, user, key)
    gone = await left(store, clock, conversation, CAROL)
    assert (
        await joined(store, clock, conversation, CAROL, "k") == gone == await store.find_conversation(conversation.id)
    )
    # Also one that found nothing to do; not one that was refused.
    await joined(store, clock, conversation, BOB, "b")
    assert await invites.was_done(conversation.id, BOB, "b")
    await removed(store, clock, conversation, BOB)
    with pytest.raises(Banned):
        await joined(store, clock, conversation, BOB, "c")
    assert not await invites.was_done(conversation.id, BOB, "c")


async def test_retries_at_once_make_one_line(store: Store, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    answers = await asyncio.gather(*(joined(store, clock, conversation, CAROL, "k") for _ in range(5)))
    assert {answer.last_seq for answer in answers} == {2}


async def test_keys_are_kept_for_their_time(store: Store, invites: InviteStore, clock: ManualClock) -> None:
    conversation = await founded(store, clock)
    await joined(store, clock, conversation, CAROL, "k")
    clock.advance(REQUEST_KEYS_KEPT.total_seconds())
    await joined(store, clock, conversation, BOB, "b")
    assert await invites.was_done(conversation.id, CAROL, "k")
    clock.advance(1)
    await joined(store, clock, conversation, BOB, "c")
    assert not await invites.was_done(conversation.id, CAROL, "k")


async def test_who_may_add_is_kept_and_told(store: Store, clock: ManualClock) -> None:
    def closed(group: Conversation) -> GroupChange | None:
        return groups.update(group, ALICE, Settings(add_audience=AddAudience.ADMINS))

    conversation = await founded(store, clock)
    after = await store.change_group(conversation.id, closed, stamp(clock))
    assert (after.add_audience, after.revision) == (AddAudience.ADMINS, 1)
    assert await store.find_conversation(conversation.id) == after
    (delta,) = await store.sync(BOB, {conversation.id: Cursor(1, 0)}, None, 10, 10, clock.now())
    assert delta.conversation.add_audience is AddAudience.ADMINS
    settings = Settings("Closed", add_audience=AddAudience.ADMINS)
    made = groups.create_group(ConversationId(new_id(clock.now())), ALICE, [BOB], settings, clock.now())
    founded_so = await store.create_group(made, "closed", stamp(clock), quota(clock))
    assert (await store.find_conversation(founded_so.id)) == founded_so
    assert founded_so.add_audience is AddAudience.ADMINS
