"""A group, live: who is told what, and what each sees afterwards."""

from __future__ import annotations

import grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.history import History
from tests.integration.api.conftest import DEADLINE_S, Online, World, new_user, refused, send
from tests.support.waiting import eventually


async def found_group(founder: Online, *users: str) -> str:
    request = messaging.CreateGroupRequest(client_conversation_id="g1", title="Trip", user_ids=users)
    return (await founder.device.messaging.CreateGroup(request)).conversation.conversation_id


def seen(online: Online, conversation_id: str) -> History:
    return online.stream.inbox.conversations.history(conversation_id)


async def until_title(online: Online, conversation_id: str, title: str) -> None:
    def has_title() -> bool:
        info = seen(online, conversation_id).info
        return info is not None and info.title == title

    await online.stream.until(has_title, DEADLINE_S, f"the title {title}")


async def until_revision(online: Online, conversation_id: str, revision: int) -> None:
    await online.stream.until(
        lambda: seen(online, conversation_id).revision >= revision, DEADLINE_S, f"revision {revision}"
    )


async def test_a_groups_life_is_seen_live_by_everybody_in_it(world: World) -> None:
    alice, bob, carol = await world.online(), await world.online(), await world.online()
    group = await found_group(alice, bob.user_id, carol.user_id)
    sent = await send(alice.device, group, "hello")
    for online in (alice, bob, carol):
        await online.until_seq(group, sent.seq)
    text = messages.TextContent(text="hello all")
    await alice.device.messaging.EditMessage(
        messaging.EditMessageRequest(conversation_id=group, seq=sent.seq, text=text)
    )
    await bob.device.messaging.SetReaction(
        messaging.SetReactionRequest(conversation_id=group, seq=sent.seq, emoji="👍", present=True)
    )
    await alice.device.messaging.UpdateGroup(messaging.UpdateGroupRequest(conversation_id=group, title="Trips"))
    for online in (alice, bob, carol):
        await until_title(online, group, "Trips")
        await until_revision(online, group, 3)
        entry = seen(online, group).entry(sent.seq)
        assert entry is not None
        assert (entry.text, entry.edit_count, entry.reactions) == ("hello all", 1, (("👍", (bob.user_id,)),))
        assert online.stream.inbox.resyncs == []
    await alice.device.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=group, seq=sent.seq))
    for online in (alice, bob, carol):
        await until_revision(online, group, 4)
        entry = seen(online, group).entry(sent.seq)
        assert entry is not None
        assert (entry.kind, entry.text, entry.reactions) == ("unsent", None, ())


async def test_who_is_removed_is_told_and_hears_nothing_more(world: World) -> None:
    alice, bob = await world.online(), await world.online()
    group = await found_group(alice, bob.user_id)
    await bob.until_seq(group, 1)
    await alice.device.messaging.RemoveMember(messaging.RemoveMemberRequest(conversation_id=group, user_id=bob.user_id))
    await bob.stream.until(lambda: group not in bob.stream.inbox.conversations, DEADLINE_S, "the removal")
    request = messaging.GetConversationRequest(conversation_id=group)
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await bob.device.messaging.GetConversation(request)
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await send(bob.device, group, "let me in")


async def test_who_comes_by_an_invite_sees_from_the_coming_on(world: World) -> None:
    alice, carol = await world.online(), await world.online()
    group = await found_group(alice)
    await send(alice.device, group, "before")
    invite = (await alice.device.messaging.CreateInvite(messaging.CreateInviteRequest(conversation_id=group))).invite
    await carol.device.messaging.JoinByInvite(messaging.JoinByInviteRequest(token=invite.token))
    sent = await send(alice.device, group, "after")
    await carol.until_seq(group, sent.seq)
    assert [entry.text or entry.kind for entry in seen(carol, group).shown] == ["system", "after"]
    history = await carol.device.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=group))
    assert [message.seq for message in history.messages] == [4, 3]
    with refused(grpc.StatusCode.NOT_FOUND, "INVITE_NOT_FOUND"):
        await carol.device.messaging.JoinByInvite(messaging.JoinByInviteRequest(token="x" * 22))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"):
        await carol.device.messaging.CreateInvite(messaging.CreateInviteRequest(conversation_id=group))


async def test_who_is_removed_stays_out_until_an_admin_lifts_the_ban(world: World) -> None:
    alice, bob, mallory = await world.online(), await world.online(), await world.online()
    group = await found_group(alice, bob.user_id)
    api, banned = alice.device.messaging, messaging.AddMembersRequest(conversation_id=group, user_ids=[mallory.user_id])
    invite = (await api.CreateInvite(messaging.CreateInviteRequest(conversation_id=group))).invite
    join = messaging.JoinByInviteRequest(token=invite.token, client_request_id="j")
    await mallory.device.messaging.JoinByInvite(join)
    await api.RemoveMember(messaging.RemoveMemberRequest(conversation_id=group, user_id=mallory.user_id))
    # The retry of the first coming lets nobody in, and tells nothing.
    late = (await mallory.device.messaging.JoinByInvite(join)).conversation
    assert (late.conversation_id, late.title, list(late.members)) == (group, "", [])
    with refused(grpc.StatusCode.PERMISSION_DENIED, "BANNED"):
        await mallory.device.messaging.JoinByInvite(messaging.JoinByInviteRequest(token=invite.token))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "BANNED"):
        await bob.device.messaging.AddMembers(banned)
    listed = await api.ListBannedUsers(messaging.ListBannedUsersRequest(conversation_id=group))
    assert [(ban.user_id, ban.banned_by_user_id) for ban in listed.bans] == [(mallory.user_id, alice.user_id)]
    lift = messaging.UnbanUserRequest(conversation_id=group, user_id=mallory.user_id)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"):
        await bob.device.messaging.UnbanUser(lift)
    await api.UnbanUser(lift)
    again = (await bob.device.messaging.AddMembers(banned)).conversation
    assert mallory.user_id in {member.user_id for member in again.members}


async def test_who_may_add_is_seen_live_and_kept_to(world: World) -> None:
    alice, bob = await world.online(), await world.online()
    group = await found_group(alice, bob.user_id)
    await bob.until_seq(group, 1)
    closed = messaging.UpdateGroupRequest(conversation_id=group, add_audience=messages.ADD_AUDIENCE_ADMINS)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"):
        await bob.device.messaging.UpdateGroup(closed)
    await alice.device.messaging.UpdateGroup(closed)
    await until_revision(bob, group, 1)
    info = seen(bob, group).info
    assert info is not None
    assert info.add_audience == messages.ADD_AUDIENCE_ADMINS
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW"):
        await bob.device.messaging.AddMembers(messaging.AddMembersRequest(conversation_id=group, user_ids=["carol"]))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        unknown = messages.AddAudience.ValueType(9)
        await alice.device.messaging.UpdateGroup(
            messaging.UpdateGroupRequest(conversation_id=group, add_audience=unknown)
        )


async def test_what_one_keeps_is_told_to_ones_own_devices_alone(world: World) -> None:
    user = new_user()
    phone, tablet, bob = await world.online(user), await world.online(user), await world.online()
    group = await found_group(phone, bob.user_id)
    await tablet.until_seq(group, 1)
    await phone.device.messaging.UpdateOwnState(messaging.UpdateOwnStateRequest(conversation_id=group, pinned=True))
    # A Sync may have told the state before.
    states = tablet.stream.inbox.own_states
    await tablet.stream.until(lambda: group in states and states[group].pinned, DEADLINE_S, "the pin")
    sent = await send(phone.device, group, "to be seen")
    await bob.until_seq(group, sent.seq)
    assert not bob.stream.inbox.own_states.get(group, messages.OwnState()).pinned


async def test_a_text_is_found_by_those_who_may_see_it(world: World) -> None:
    alice, bob, stranger = await world.online(), await world.online(), await world.online()
    group = await found_group(alice, bob.user_id)
    sent = await send(alice.device, group, "the café is closed")
    request = messaging.SearchMessagesRequest(query="CAFE clo")

    async def found(online: Online) -> list[str]:
        answer = await online.device.messaging.SearchMessages(request)
        return [message.message_id for message in answer.messages]

    async def is_found() -> bool:
        return await found(bob) == [sent.message_id]

    await eventually(is_found, what="the text in the index")
    assert await found(stranger) == []
