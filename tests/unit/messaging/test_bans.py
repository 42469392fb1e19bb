"""Who was removed stays out, through every door, until an admin lifts the ban; late retries bring nobody back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import (
    Banned,
    ConversationNotFound,
    InvalidField,
    InviteNotFound,
    MessagingError,
    NotAGroup,
    RoleTooLow,
)
from services.messaging.kernel.model import AddAudience, Role, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.messages.service.requests import TextRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, at_work, group, send

CAROL, DAN = UserId("carol"), UserId("dan")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(World()) as world:
        yield world


async def names(world: World, conversation: str) -> set[str]:
    return {member.user_id for member in (await world.conversations.get_conversation(ALICE, conversation)).members}


class Removed:
    """Alice's group with Bob, out of which she took Mallory, who had come by `token`."""

    def __init__(self, world: World, conversation: str, token: str) -> None:
        self.world, self.conversation, self.token = world, conversation, token


@pytest.fixture
async def removed(world: World) -> Removed:
    conversation = await group(world, BOB)
    token, _ = await world.groups.create_invite(ALICE, conversation)
    await world.groups.join_by_invite(MALLORY, token, "j")
    await world.groups.remove_member(ALICE, conversation, MALLORY)
    return Removed(world, conversation, token)


async def join_by_the_old_link(at: Removed) -> None:
    await at.world.groups.join_by_invite(MALLORY, at.token)


async def join_by_the_old_request(at: Removed) -> None:
    await at.world.groups.join_by_invite(MALLORY, at.token, "j")


async def join_by_a_new_link(at: Removed) -> None:
    token, _ = await at.world.groups.create_invite(ALICE, at.conversation)
    await at.world.groups.join_by_invite(MALLORY, token, "j2")


async def be_added_by_a_member(at: Removed) -> None:
    await at.world.groups.add_members(BOB, at.conversation, [CAROL, MALLORY])


async def be_added_by_who_was_added_since(at: Removed) -> None:
    await at.world.groups.add_members(BOB, at.conversation, [DAN])
    await at.world.groups.add_members(DAN, at.conversation, [MALLORY], "k")


async def be_added_by_an_admin_of_before(at: Removed) -> None:
    await at.world.groups.set_role(ALICE, at.conversation, BOB, Role.ADMIN)
    await at.world.groups.set_role(ALICE, at.conversation, BOB, Role.MEMBER)
    await at.world.groups.add_members(BOB, at.conversation, [MALLORY])


async def accept_the_request(at: Removed) -> None:
    await at.world.relations.accept_request(MALLORY, at.conversation)


async def write(at: Removed) -> None:
    await at.world.sending.send(MALLORY, at.conversation, TextRequest("x", Text("let me in")))


async def lift_the_own_ban(at: Removed) -> None:
    await at.world.groups.unban(MALLORY, at.conversation, MALLORY)


async def have_a_member_lift_it(at: Removed) -> None:
    await at.world.groups.unban(BOB, at.conversation, MALLORY)


async def be_made_an_admin(at: Removed) -> None:
    await at.world.groups.set_role(ALICE, at.conversation, MALLORY, Role.ADMIN)


async def add_oneself(at: Removed) -> None:
    await at.world.groups.add_members(MALLORY, at.conversation, [MALLORY])


async def be_removed_again_by_a_member(at: Removed) -> None:
    await at.world.groups.remove_member(BOB, at.conversation, MALLORY)
    await at.world.groups.join_by_invite(MALLORY, at.token)


DOORS = [
    join_by_the_old_link,
    join_by_the_old_request,
    join_by_a_new_link,
    be_added_by_a_member,
    be_added_by_who_was_added_since,
    be_added_by_an_admin_of_before,
    accept_the_request,
    write,
    lift_the_own_ban,
    have_a_member_lift_it,
    be_made_an_admin,
    add_oneself,
    be_removed_again_by_a_member,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
async def test_who_was_removed_comes_in_by_no_door(
    removed: Removed, door: Callable[[Removed], Awaitable[None]]
) -> None:
    with suppress(MessagingError):
        await door(removed)
    assert MALLORY not in await names(removed.world, removed.conversation)
    callees = removed.world.relations.callees_of(removed.conversation, MALLORY)
    with pytest.raises(ConversationNotFound):
        await callees


async def test_the_ban_of_one_keeps_out_nobody_else_and_adds_nobody_of_the_request(removed: Removed) -> None:
    world, conversation = removed.world, removed.conversation
    with pytest.raises(Banned):
        await world.groups.add_members(BOB, conversation, [CAROL, MALLORY])
    assert await names(world, conversation) == {ALICE, BOB}
    await world.groups.add_members(BOB, conversation, [CAROL])
    await world.groups.join_by_invite(DAN, removed.token)
    assert await names(world, conversation) == {ALICE, BOB, CAROL, DAN}


async def test_the_person_is_told_and_others_learn_nothing_by_a_wrong_or_ended_invite(removed: Removed) -> None:
    with pytest.raises(Banned):
        await removed.world.groups.join_by_invite(MALLORY, removed.token)
    await removed.world.groups.revoke_invites(ALICE, removed.conversation)
    for token in (removed.token, "guessed"):
        for person in (MALLORY, DAN):
            with pytest.raises(InviteNotFound):
                await removed.world.groups.join_by_invite(person, token)


@pytest.mark.parametrize("how", ["lifted", "added"])
async def test_an_admin_lets_them_in_again(removed: Removed, how: str) -> None:
    world, conversation = removed.world, removed.conversation
    await world.groups.set_role(ALICE, conversation, BOB, Role.ADMIN)
    if how == "added":
        await world.groups.add_members(BOB, conversation, [MALLORY])
    else:
        for _ in range(2):
            await world.groups.unban(BOB, conversation, MALLORY)
        assert MALLORY not in await names(world, conversation)
        await world.groups.join_by_invite(MALLORY, removed.token)
    assert MALLORY in await names(world, conversation)
    assert await world.groups.list_bans(ALICE, conversation, 0, "") == ([], "")
    # Once more: each removal bans anew, and who leaves is not banned.
    await world.groups.leave_group(MALLORY, conversation)
    await world.groups.join_by_invite(MALLORY, removed.token)
    await world.groups.remove_member(BOB, conversation, MALLORY)
    with pytest.raises(Banned):
        await world.groups.join_by_invite(MALLORY, removed.token)


async def test_bans_are_for_admins_to_see_in_pages(removed: Removed) -> None:
    world, conversation = removed.world, removed.conversation
    for person in (CAROL, DAN):
        await world.groups.add_members(ALICE, conversation, [person])
        await world.groups.remove_member(ALICE, conversation, person)
    first, token = await world.groups.list_bans(ALICE, conversation, 2, "")
    rest, end = await world.groups.list_bans(ALICE, conversation, 2, token)
    assert {ban.user_id for ban in (*first, *rest)} == {CAROL, DAN, MALLORY}
    assert ({ban.banned_by for ban in first}, len(rest), end) == ({ALICE}, 1, "")
    with pytest.raises(RoleTooLow):
        await world.groups.list_bans(BOB, conversation, 0, "")
    for stranger in (MALLORY, UserId("nobody")):
        with pytest.raises(ConversationNotFound):
            await world.groups.list_bans(stranger, conversation, 0, "")
    direct = await world.conversation()
    with pytest.raises(NotAGroup):
        await world.groups.list_bans(ALICE, direct, 0, "")


async def test_the_invites_of_who_is_removed_let_nobody_in(world: World) -> None:
    conversation = await group(world, BOB)
    await world.groups.set_role(ALICE, conversation, BOB, Role.ADMIN)
    token, _ = await world.groups.create_invite(BOB, conversation)
    await world.groups.remove_member(ALICE, conversation, BOB)
    with pytest.raises(InviteNotFound):
        await world.groups.join_by_invite(MALLORY, token)


async def test_a_group_that_waits_in_requests_is_out_of_them_once_the_person_is_removed(world: World) -> None:
    asks = SettingsChange(messages=Audience.FOLLOWED)
    await world.store.relations.change_settings(MALLORY, asks, world.clock.now())
    conversation = await group(world, BOB, MALLORY)
    (member,) = [
        one
        for one in (await world.conversations.get_conversation(ALICE, conversation)).members
        if one.user_id == MALLORY
    ]
    assert member.request is RequestState.PENDING
    await world.groups.remove_member(ALICE, conversation, MALLORY)
    with pytest.raises(ConversationNotFound):
        await world.relations.accept_request(MALLORY, conversation)
    with pytest.raises(Banned):
        await world.groups.add_members(BOB, conversation, [MALLORY])


# Late retries.
@pytest.mark.parametrize("event", ["left", "removed"])
async def test_a_late_retry_of_adding_brings_nobody_back(world: World, event: str) -> None:
    conversation = await group(world, BOB)
    await world.groups.add_members(ALICE, conversation, [CAROL], "k")
    if event == "left":
        await world.groups.leave_group(CAROL, conversation)
    else:
        await world.groups.remove_member(ALICE, conversation, CAROL)
    again = await world.groups.add_members(ALICE, conversation, [CAROL], "k")
    assert {member.user_id for member in again.members} == await names(world, conversation) == {ALICE, BOB}
    # A new request is a new wish; so is that of somebody else under the same id.
    await world.groups.set_role(ALICE, conversation, BOB, Role.ADMIN)
    await world.groups.add_members(BOB, conversation, [CAROL], "k")
    assert CAROL in await names(world, conversation)


async def test_a_request_that_found_all_of_it_done_is_done_too(world: World) -> None:
    conversation = await group(world, BOB, CAROL)
    token, _ = await world.groups.create_invite(ALICE, conversation)
    await world.groups.add_members(ALICE, conversation, [CAROL], "k")
    await world.groups.join_by_invite(CAROL, token, "k")
    await world.groups.leave_group(CAROL, conversation)
    await world.groups.add_members(ALICE, conversation, [CAROL], "k")
    bare = await world.groups.join_by_invite(CAROL, token, "k")
    assert CAROL not in await names(world, conversation)
    assert (str(bare.id), bare.members, bare.title) == (conversation, (), "")


async def test_a_late_retry_of_joining_brings_nobody_back_and_tells_nothing(world: World) -> None:
    conversation = await group(world, BOB)
    token, _ = await world.groups.create_invite(ALICE, conversation)
    await world.groups.join_by_invite(MALLORY, token, "k")
    await world.groups.leave_group(MALLORY, conversation)
    await world.groups.update_group(ALICE, conversation, Settings(title="Later"))
    for _ in range(2):
        again = await world.groups.join_by_invite(MALLORY, token, "k")
        assert (str(again.id), again.members, again.title, again.last_seq) == (conversation, (), "", 0)
    assert MALLORY not in await names(world, conversation)
    # Asked anew, it lets in.
    assert (await world.groups.join_by_invite(MALLORY, token, "k2")).member(MALLORY)


async def test_a_retry_of_adding_gets_the_first_result_whatever_was_forbidden_since(world: World) -> None:
    conversation = await group(world, BOB)
    await world.groups.add_members(BOB, conversation, [CAROL], "k")
    await world.groups.update_group(ALICE, conversation, Settings(add_audience=AddAudience.ADMINS))
    assert (await world.groups.add_members(BOB, conversation, [CAROL], "k")).member(CAROL)
    await world.groups.remove_member(ALICE, conversation, BOB)
    assert (await world.groups.add_members(BOB, conversation, [CAROL], "k")).members == ()
    with pytest.raises(ConversationNotFound):
        await world.groups.add_members(BOB, conversation, [CAROL], "k2")


async def test_a_refused_request_is_not_done(world: World) -> None:
    conversation = await group(world, BOB)
    await world.groups.update_group(ALICE, conversation, Settings(add_audience=AddAudience.ADMINS))
    with pytest.raises(RoleTooLow):
        await world.groups.add_members(BOB, conversation, [CAROL], "k")
    await world.groups.update_group(ALICE, conversation, Settings(add_audience=AddAudience.MEMBERS))
    assert (await world.groups.add_members(BOB, conversation, [CAROL], "k")).member(CAROL)


@pytest.mark.parametrize("key", ["x" * 65, "é", "a\n"])
async def test_what_is_no_request_id_is_refused(world: World, key: str) -> None:
    conversation = await group(world, BOB)
    for attempt in (
        world.groups.add_members(ALICE, conversation, [CAROL], key),
        world.groups.join_by_invite(CAROL, "guessed", key),
    ):
        with pytest.raises(InvalidField) as refused:
            await attempt
        assert refused.value.field == "client_request_id"


# Who may add.
async def test_a_group_is_founded_with_who_may_add(world: World) -> None:
    request = GroupRequest("closed", "Closed", [BOB], "", False, AddAudience.ADMINS)
    conversation = await world.groups.create_group(ALICE, request)
    assert conversation.add_audience is AddAudience.ADMINS
    with pytest.raises(RoleTooLow):
        await world.groups.add_members(BOB, str(conversation.id), [CAROL])
    await send(world, BOB, str(conversation.id), "k", "hi")
    assert (await world.conversations.get_conversation(BOB, str(conversation.id))).add_audience is AddAudience.ADMINS


async def test_a_deleted_admins_bans_stand(removed: Removed) -> None:
    await removed.world.groups.set_role(ALICE, removed.conversation, BOB, Role.OWNER)
    await removed.world.delete_account(ALICE)
    token, _ = await removed.world.groups.create_invite(BOB, removed.conversation)
    with pytest.raises(Banned):
        await removed.world.groups.join_by_invite(MALLORY, token)
