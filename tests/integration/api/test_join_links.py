"""Join links over a whole stack: the lobby, guests with media, and what puts them out, as every device is told it."""

from __future__ import annotations

import grpc
import pytest
from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api
from parley.messaging.v1 import relations_pb2
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.calls import ACTIVE, ENDED
from parley_client.join_links import ADMITTED, CLOSED, REFUSED, WAITING, JoinLinks
from tests.integration.api.conftest import DEADLINE_S, Online, World, refused
from tests.integration.api.test_calls import until_call, until_record
from tests.integration.api.test_groups import found_group

FAILED, NOT_FOUND = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
DENIED = grpc.StatusCode.PERMISSION_DENIED


def links_of(online: Online) -> JoinLinks:
    return JoinLinks(online.device, online.stream)


async def until_lobby(online: Online, call_id: str, *waiting: str) -> None:
    """The device has been told that these people wait, and no others."""

    def lobby() -> tuple[str, ...]:
        known = online.stream.inbox.calls.get(call_id)
        return tuple(guest.user_id for guest in known.lobby) if known else ()

    await online.stream.until(lambda: lobby() == waiting, DEADLINE_S, f"{waiting} in the lobby")


async def group_call(world: World) -> tuple[Online, Online, str, str]:
    """Alice, who made the group, has called Bob, who answered; the conversation and the call."""
    alice, bob = await world.online(), await world.online()
    conversation_id = await found_group(alice, bob.user_id)
    accept = relations_pb2.AcceptRequestRequest(conversation_id=conversation_id)
    await bob.device.relations.AcceptRequest(accept)
    call = await alice.phone.start(conversation_id, video=False)
    await bob.phone.until_ring(DEADLINE_S)
    await bob.phone.accept(call.call_id)
    return alice, bob, conversation_id, call.call_id


async def test_a_guest_waits_is_let_in_talks_and_goes_with_the_link(world: World) -> None:
    alice, bob, conversation_id, call_id = await group_call(world)
    eve, other = await world.online(), await world.online()
    await alice.phone.join_media()
    link, secret = await links_of(bob).create(call_id)
    assert (await links_of(bob).open(secret)).call.call_id == call_id
    opened = await links_of(eve).open(secret)
    assert (opened.place.state, opened.host_user_id, opened.HasField("call")) == (WAITING, bob.user_id, False)
    for member in (alice, bob):
        await until_lobby(member, call_id, eve.user_id)
    # In the lobby there is no media, nobody, and nothing of the conversation.
    for attempt in (eve.phone.join(call_id), eve.device.calls.GetCall(api.GetCallRequest(call_id=call_id))):
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await attempt
    assert call_id not in eve.stream.inbox.calls
    await links_of(bob).admit(call_id, eve.user_id)
    assert await links_of(eve).until_decided(call_id, DEADLINE_S) == ADMITTED
    await eve.phone.join(call_id)
    media = await eve.phone.join_media()
    await media.until_media(DEADLINE_S)

    def guests(online: Online) -> dict[str, bool]:
        joined = calls.PARTICIPANT_STATE_JOINED
        return {
            each.user_id: each.guest for each in online.stream.inbox.calls[call_id].participants if each.state == joined
        }

    for online in (alice, bob, eve):
        await online.stream.until(
            lambda online=online: guests(online) == {alice.user_id: False, bob.user_id: False, eve.user_id: True},
            DEADLINE_S,
            "the guest in the call",
        )
    with refused(NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await eve.device.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    with refused(DENIED, "NOT_ADMIN"):
        await eve.device.calls.EndCall(api.EndCallRequest(call_id=call_id))
    # Somebody else waits by it too; the link is revoked, and both are out.
    await links_of(other).open(secret)
    await links_of(alice).revoke(link.link_id)
    assert await links_of(other).until_decided(call_id, DEADLINE_S) == CLOSED
    await media.until_lost(DEADLINE_S)
    await alice.stream.until(
        lambda: guests(alice) == {alice.user_id: False, bob.user_id: False}, DEADLINE_S, "the guest out of the call"
    )
    for attempt in (eve.phone.join(call_id), eve.phone.rejoin()):
        with refused(NOT_FOUND, "CALL_NOT_FOUND"):
            await attempt
    with refused(FAILED, "JOIN_LINK_CLOSED"):
        await links_of(eve).open(secret)
    await alice.device.calls.EndCall(api.EndCallRequest(call_id=call_id))
    assert await until_record(bob, conversation_id, call_id) == "COMPLETED"
    history = bob.stream.inbox.conversations.history(conversation_id)
    (record,) = [entry.call for entry in history.shown if entry.call]
    assert eve.user_id not in str(record)


async def test_who_is_refused_or_blocked_gets_no_further_and_the_end_of_the_call_is_that_of_the_lobby(
    world: World,
) -> None:
    alice, bob, _, call_id = await group_call(world)
    eve, fay, gus = await world.online(), await world.online(), await world.online()
    (_, secret), (_, of_alice) = await links_of(bob).create(call_id), await links_of(alice).create(call_id, ttl_s=60)
    assert len(await links_of(alice).list(call_id)) == 2
    assert len(await links_of(bob).list(call_id)) == 1
    await links_of(eve).open(secret)
    await links_of(bob).refuse(call_id, eve.user_id)
    assert await links_of(eve).until_decided(call_id, DEADLINE_S) == REFUSED
    for each in (secret, of_alice):
        with refused(DENIED, "LOBBY_REFUSED"):
            await links_of(eve).open(each)
    await alice.device.relations.BlockUser(relations_pb2.BlockUserRequest(user_id=fay.user_id))
    with refused(FAILED, "JOIN_LINK_CLOSED"):
        await links_of(fay).open(of_alice)
    await links_of(fay).open(secret)
    await links_of(fay).leave_lobby(call_id)
    assert await links_of(fay).until_decided(call_id, DEADLINE_S) == CLOSED
    await links_of(gus).open(of_alice)
    for host in (alice, bob):
        await until_lobby(host, call_id, gus.user_id)
    # Bob made another link, and is no admin.
    with refused(DENIED, "NOT_HOST"):
        await links_of(bob).admit(call_id, gus.user_id)
    await alice.phone.hang_up()
    await until_call(bob, call_id, ACTIVE)
    await bob.phone.hang_up()
    await until_call(alice, call_id, ENDED)
    assert await links_of(gus).until_decided(call_id, DEADLINE_S) == CLOSED
    with refused(FAILED, "CALL_ENDED"):
        await links_of(gus).open(of_alice)


@pytest.mark.parametrize("secret", ["", "a" * 32, "not a secret"])
async def test_a_secret_of_no_link_opens_nothing(world: World, secret: str) -> None:
    eve = await world.online()
    with refused(NOT_FOUND, "JOIN_LINK_NOT_FOUND"):
        await links_of(eve).open(secret)
