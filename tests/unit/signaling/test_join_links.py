"""Join links: who makes, opens and revokes them, and what the lobby is told."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest
from parley.calls.v1 import messages_pb2

from services.signaling.core.errors import (
    CallEnded,
    CallLocked,
    CallNotFound,
    ConversationNotFound,
    JoinLinkClosed,
    JoinLinkLimit,
    JoinLinkNotFound,
    LobbyFull,
    NotGroupCall,
    ParticipantNotFound,
)
from services.signaling.core.guests import LOBBY_CAPACITY, MAX_KNOCKERS
from services.signaling.core.model import CallId, LegState, LinkId, UserId
from services.signaling.links.core import DEFAULT_TTL_S, MAX_OPEN_LINKS, JoinLink, StoredLink, hash_of, is_secret
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    LAPTOP,
    PHONE,
    TABLET,
    WORKER,
)
from tests.unit.signaling.meeting import EVE, FAY, GUS, Meeting, told


async def test_only_a_hash_of_the_secret_is_stored_and_a_retry_gets_the_same_secret(meeting: Meeting) -> None:
    link, secret = await meeting.link(key="once")
    assert is_secret(secret)
    assert await meeting.link(key="once") == (link, secret)
    stored = meeting.link_store.stored[link.link_id]
    assert stored.secret_hash == hash_of(secret)
    assert secret not in str(stored)
    assert b"once" not in (stored.request_hash or b"")
    other, other_secret = await meeting.link(key="twice")
    assert other.link_id != link.link_id
    assert other_secret != secret
    # Another person's same id is another request.
    assert (await meeting.link(ALICE, "once"))[1] not in (secret, other_secret)


async def test_what_is_stored_of_a_link_without_a_request_gives_no_secret(meeting: Meeting) -> None:
    (link, secret), (other, other_secret) = await meeting.link(), await meeting.link()
    assert secret != other_secret
    assert [meeting.link_store.stored[each.link_id].salt for each in (link, other)] == [b"", b""]


async def test_of_two_of_one_request_at_once_both_get_the_one_that_was_stored(meeting: Meeting) -> None:
    first, secret = await meeting.link(key="once")
    stored, add = meeting.link_store.stored[first.link_id], meeting.link_store.add

    async def overtaken(other: StoredLink, now: datetime, limit: int) -> bool:
        meeting.link_store.stored[first.link_id] = stored
        return await add(other, now, limit)

    meeting.link_store.stored.clear()
    meeting.link_store.add = overtaken  # type: ignore[method-assign]
    assert await meeting.link(key="once") == (first, secret)
    assert list(meeting.link_store.stored) == [first.link_id]


async def test_who_is_not_in_the_conversation_makes_and_lists_none(meeting: Meeting) -> None:
    await meeting.admitted(EVE)
    for user in (DAVE, EVE):
        with pytest.raises(CallNotFound):
            await meeting.link(user)
        with pytest.raises(CallNotFound):
            await meeting.links.list_links(meeting.call_id, user)
    with pytest.raises(CallNotFound):
        await meeting.links.create_link(CallId(str(UUID(int=9))), BOB, 0, "")


async def test_a_call_of_two_and_an_ended_one_have_no_links(meeting: Meeting) -> None:
    await meeting.service.leave_call(meeting.call_id, ALICE, PHONE)
    await meeting.service.leave_call(meeting.call_id, BOB, TABLET)
    with pytest.raises(CallEnded):
        await meeting.link()
    direct = await meeting.start(key="direct")
    with pytest.raises(NotGroupCall):
        await meeting.links.create_link(direct.call_id, ALICE, 0, "")


async def test_a_maker_sees_own_links_and_an_admin_all(meeting: Meeting) -> None:
    (of_bob, _), (of_carol, _) = await meeting.link(BOB), await meeting.link(CAROL)
    assert await meeting.links.list_links(meeting.call_id, BOB) == [of_bob]
    assert await meeting.links.list_links(meeting.call_id, ALICE) == [of_bob, of_carol]


async def test_a_call_has_so_many_open_links_and_what_is_closed_makes_room(meeting: Meeting) -> None:
    made = [(await meeting.link())[0] for _ in range(MAX_OPEN_LINKS)]
    with pytest.raises(JoinLinkLimit):
        await meeting.link()
    await meeting.links.revoke_link(made[0].link_id, BOB)
    await meeting.link()
    meeting.clock.advance(DEFAULT_TTL_S)
    await meeting.link()


# Opening.


async def test_a_member_gets_the_call_at_once(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    opened = await meeting.lobby.open_link(secret, CAROL)
    assert (opened.is_part, opened.host_id, opened.call) == (True, BOB, await meeting.call())
    assert await meeting.state_of(CAROL) is LegState.RINGING


async def test_somebody_else_waits_in_the_lobby_and_learns_of_nobody(meeting: Meeting) -> None:
    link, secret = await meeting.link()
    before = await meeting.call()
    opened = await meeting.lobby.open_link(secret, EVE)
    assert (opened.is_part, opened.host_id) == (False, BOB)
    call = await meeting.call()
    frames = told(before, call)
    assert set(frames) == {ALICE, BOB, CAROL, EVE}
    (place,) = frames[EVE]
    assert place == messages_pb2.LobbyPlace(
        call_id=call.call_id,
        state=messages_pb2.LOBBY_PLACE_STATE_WAITING,
        version=call.version,
        link_id=link.link_id,
    )
    for member in (ALICE, BOB, CAROL):
        (shown,) = frames[member]
        assert isinstance(shown, messages_pb2.Call)
        assert [(guest.user_id, guest.link_id) for guest in shown.lobby] == [(EVE, link.link_id)]
        assert EVE not in [each.user_id for each in shown.participants]
    # And nothing else lets them in, or shows it to them.
    for attempt in (
        meeting.service.get_call(call.call_id, EVE),
        meeting.service.join_call(call.call_id, EVE, LAPTOP),
        meeting.service.accept_call(call.call_id, EVE, LAPTOP),
        meeting.service.leave_call(call.call_id, EVE, LAPTOP),
        meeting.service.decline_call(call.call_id, EVE),
        meeting.service.set_hand(call.call_id, EVE, raised=True),
        meeting.service.access.renew_grant(call.call_id, EVE, LAPTOP),
    ):
        with pytest.raises(CallNotFound):
            await attempt
    assert await meeting.service.list_active_calls(EVE) == []
    with pytest.raises(ConversationNotFound):
        await meeting.start(EVE, LAPTOP, "k", GROUP_TALK)


async def test_opened_again_it_says_how_the_place_stands_and_changes_nothing(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, EVE)
    before = await meeting.call()
    assert (await meeting.lobby.open_link(secret, EVE)).call == before
    await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE)
    opened = await meeting.lobby.open_link(secret, EVE)
    assert opened.is_part
    assert await meeting.call() == replace(before, version=before.version + 1, legs=(await meeting.call()).legs)


async def test_who_has_a_place_is_told_how_it_stands_also_when_the_link_opens_no_more(meeting: Meeting) -> None:
    (link, expired), (_, of_carol) = await meeting.link(ttl_s=60), await meeting.link(CAROL)
    await meeting.lobby.open_link(expired, EVE)
    await meeting.lobby.open_link(of_carol, FAY)
    meeting.clock.advance(60)
    meeting.members.conversations[GROUP_TALK].remove(CAROL)
    for guest, secret in ((EVE, expired), (FAY, of_carol)):
        assert (await meeting.lobby.open_link(secret, guest)).is_part is False
        assert await meeting.state_of(guest) is LegState.LOBBY
        with pytest.raises(JoinLinkClosed):
            await meeting.lobby.open_link(secret, GUS)
    await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE)
    assert (await meeting.lobby.open_link(expired, EVE)).is_part
    # By that link alone, and not once it is revoked.
    with pytest.raises(JoinLinkClosed):
        await meeting.lobby.open_link(of_carol, EVE)
    await meeting.links.revoke_link(link.link_id, BOB)
    with pytest.raises(JoinLinkClosed):
        await meeting.lobby.open_link(expired, EVE)


@pytest.mark.parametrize("secret", ["", "x", "x" * 32, "ж" * 32, "x" * 33])
async def test_a_secret_of_no_link_is_told_so_whatever_it_is(meeting: Meeting, secret: str) -> None:
    for user in (EVE, BOB):
        with pytest.raises(JoinLinkNotFound):
            await meeting.lobby.open_link(secret, user)


async def test_what_closes_a_link_is_told_apart_nowhere(meeting: Meeting) -> None:
    (link, revoked), (_, expired) = await meeting.link(), await meeting.link(ttl_s=60)
    _, blocking = await meeting.link(ALICE)
    _, gone = await meeting.link(CAROL)
    await meeting.links.revoke_link(link.link_id, BOB)
    meeting.clock.advance(60)
    meeting.members.blocks.add((EVE, ALICE))
    meeting.members.conversations[GROUP_TALK].remove(CAROL)
    for secret in (revoked, expired, blocking, gone):
        with pytest.raises(JoinLinkClosed):
            await meeting.lobby.open_link(secret, EVE)
    assert await meeting.state_of(EVE) is None
    assert (await meeting.lobby.open_link(blocking, FAY)).is_part is False


async def test_a_locked_call_and_a_full_lobby_let_nobody_knock(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.service.set_lock(meeting.call_id, ALICE, locked=True)
    with pytest.raises(CallLocked):
        await meeting.lobby.open_link(secret, EVE)
    await meeting.service.set_lock(meeting.call_id, ALICE, locked=False)
    for number in range(LOBBY_CAPACITY):
        await meeting.lobby.open_link(secret, UserId(f"guest-{number}"))
    with pytest.raises(LobbyFull):
        await meeting.lobby.open_link(secret, EVE)
    await meeting.lobby.refuse_guest(meeting.call_id, BOB, UserId("guest-0"))
    await meeting.lobby.open_link(secret, EVE)


async def test_a_crowd_of_knockers_does_not_grow_a_call_without_end(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    for number in range(MAX_KNOCKERS):
        await meeting.lobby.open_link(secret, UserId(f"guest-{number}"))
        await meeting.lobby.leave_lobby(meeting.call_id, UserId(f"guest-{number}"))
    with pytest.raises(LobbyFull):
        await meeting.lobby.open_link(secret, EVE)
    # Who was there before still may.
    await meeting.lobby.open_link(secret, UserId("guest-7"))


async def test_a_late_retry_of_opening_does_not_knock_again(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, EVE, "once")
    await meeting.lobby.leave_lobby(meeting.call_id, EVE)
    await meeting.lobby.leave_lobby(meeting.call_id, EVE)
    await meeting.lobby.open_link(secret, EVE, "once")
    assert await meeting.state_of(EVE) is LegState.WITHDRAWN
    await meeting.lobby.open_link(secret, EVE, "twice")
    assert await meeting.state_of(EVE) is LegState.LOBBY
    with pytest.raises(CallNotFound):
        await meeting.lobby.leave_lobby(meeting.call_id, DAVE)


async def test_while_messaging_is_asked_nobody_who_left_gets_in_by_a_link(meeting: Meeting) -> None:
    """A removal holds before its event comes: who went from the group is told to wait as anybody else."""
    _, secret = await meeting.link()
    meeting.members.conversations[GROUP_TALK].remove(CAROL)
    assert (await meeting.lobby.open_link(secret, CAROL)).is_part is False
    assert await meeting.state_of(CAROL) is LegState.LOBBY


async def test_a_revoked_link_puts_out_its_guests_and_nobody_elses(meeting: Meeting) -> None:
    link = await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    await meeting.admitted(FAY, ALICE)
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, GUS)
    before = await meeting.call()
    for _ in range(2):
        revoked = await meeting.links.revoke_link(link.link_id, ALICE)
        assert revoked.revoke_time == meeting.clock.now()
    assert [await meeting.state_of(each) for each in (EVE, FAY, GUS)] == [
        LegState.GONE,
        LegState.NOT_IN_CALL,
        LegState.LOBBY,
    ]
    assert meeting.closer.removed == [(WORKER, EVE, LAPTOP)]
    (last,) = told(before, await meeting.call())[EVE]
    assert isinstance(last, messages_pb2.Call)
    assert list(last.participants) == []
    with pytest.raises(CallNotFound):
        await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    assert meeting.link_store.closed == {link.link_id}


async def test_who_is_neither_maker_nor_admin_is_told_of_no_link(meeting: Meeting) -> None:
    link, _ = await meeting.link(BOB)
    for user, link_id in ((CAROL, link.link_id), (DAVE, link.link_id), (BOB, LinkId(str(UUID(int=9))))):
        with pytest.raises(JoinLinkNotFound):
            await meeting.links.revoke_link(link_id, user)
    meeting.members.conversations[GROUP_TALK].remove(BOB)
    assert (await meeting.links.revoke_link(link.link_id, BOB)).revoke_time


async def test_a_link_that_is_revoked_while_somebody_comes_in_by_it_lets_nobody_stay(meeting: Meeting) -> None:
    link, secret = await meeting.link()
    find, revoke = meeting.link_store.find, meeting.link_store.revoke

    async def find_revoked(link_id: LinkId) -> JoinLink | None:
        # Another replica was between marking it and closing it.
        await revoke(link_id, meeting.clock.now())
        return await find(link_id)

    meeting.link_store.find = find_revoked  # type: ignore[method-assign]
    with pytest.raises(JoinLinkClosed):
        await meeting.lobby.open_link(secret, EVE)
    assert await meeting.state_of(EVE) is LegState.WITHDRAWN
    meeting.link_store.find = find  # type: ignore[method-assign]
    _, other = await meeting.link()
    await meeting.lobby.open_link(other, FAY)
    calls = 0

    async def find_revoked_later(link_id: LinkId) -> JoinLink | None:
        nonlocal calls
        calls += 1
        return await (find_revoked(link_id) if calls > 1 else find(link_id))

    meeting.link_store.find = find_revoked_later  # type: ignore[method-assign]
    with pytest.raises(ParticipantNotFound):
        await meeting.lobby.admit_guest(meeting.call_id, BOB, FAY)
    assert await meeting.state_of(FAY) is LegState.GONE
    assert link.link_id in meeting.link_store.closed


async def test_what_a_replica_left_unclosed_the_sweep_closes(meeting: Meeting) -> None:
    link = await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    await meeting.link_store.revoke(link.link_id, meeting.clock.now())
    await meeting.links.sweep()
    assert await meeting.state_of(EVE) is LegState.GONE
    assert await meeting.link_store.list_unclosed(10) == []
