"""Guests of a call: who lets them in, what they may do and are told, and when they go."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley.calls.v1 import messages_pb2

from services.signaling.core.errors import (
    CallEnded,
    CallFull,
    CallNotFound,
    CallsError,
    LobbyRefused,
    NotAdmin,
    NotHost,
    ParticipantNotFound,
)
from services.signaling.core.model import CallState, EndReason, LegState, LinkId, UserId
from services.signaling.links.core import JoinLink
from services.signaling.mapping.calls import encode_call
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    LAPTOP,
    PHONE,
    TABLET,
    TALK,
    WORKER,
)
from tests.unit.signaling.meeting import EVE, FAY, GUS, Meeting, told


@pytest.mark.parametrize(("host", "error"), [(BOB, None), (ALICE, None), (CAROL, NotHost), (DAVE, CallNotFound)])
async def test_the_links_maker_and_admins_decide_and_nobody_else(
    meeting: Meeting, host: UserId, error: type[CallsError] | None
) -> None:
    _, secret = await meeting.link(BOB)
    for guest in (EVE, FAY):
        await meeting.lobby.open_link(secret, guest)
    if error:
        for decide in (meeting.lobby.admit_guest, meeting.lobby.refuse_guest):
            with pytest.raises(error):
                await decide(meeting.call_id, host, EVE)
        return
    for _ in range(2):
        await meeting.lobby.admit_guest(meeting.call_id, host, EVE)
        await meeting.lobby.refuse_guest(meeting.call_id, host, FAY)
    assert (await meeting.state_of(EVE), await meeting.state_of(FAY)) == (LegState.NOT_IN_CALL, LegState.REFUSED)
    for decide in (meeting.lobby.admit_guest, meeting.lobby.refuse_guest):
        # A maker is host of those who came by the link; there is nobody.
        with pytest.raises(ParticipantNotFound if host == ALICE else NotHost):
            await decide(meeting.call_id, host, GUS)


async def test_a_maker_who_went_from_the_group_is_no_host(meeting: Meeting) -> None:
    _, secret = await meeting.link(BOB)
    await meeting.lobby.open_link(secret, EVE)
    meeting.members.conversations[GROUP_TALK].remove(BOB)
    with pytest.raises(CallNotFound):
        await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE)
    await meeting.lobby.admit_guest(meeting.call_id, ALICE, EVE)


async def test_who_was_refused_knocks_no_more_by_whatever_link(meeting: Meeting) -> None:
    (_, secret), (_, other) = await meeting.link(), await meeting.link(ALICE)
    await meeting.lobby.open_link(secret, EVE)
    before = await meeting.call()
    await meeting.lobby.refuse_guest(meeting.call_id, BOB, EVE)
    (place,) = told(before, await meeting.call())[EVE]
    assert place.state == messages_pb2.LOBBY_PLACE_STATE_REFUSED
    for each in (secret, other):
        with pytest.raises(LobbyRefused):
            await meeting.lobby.open_link(each, EVE)


async def test_a_late_retry_of_letting_in_lets_nobody_in_who_knocked_again(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, EVE)
    await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE, "once")
    link = (await meeting.call()).leg_of(EVE)
    assert link is not None
    assert link.link_id is not None
    await meeting.links.revoke_link(link.link_id, BOB)
    _, new = await meeting.link()
    await meeting.lobby.open_link(new, EVE)
    await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE, "once")
    assert await meeting.state_of(EVE) is LegState.LOBBY


async def test_a_guest_takes_part_and_is_marked_to_all_and_knows_nobody_who_was_not_there(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, EVE)
    before = await meeting.call()
    await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE)
    frames = told(before, await meeting.call())
    place, call = sorted(frames[EVE], key=lambda frame: isinstance(frame, messages_pb2.Call))
    assert place.state == messages_pb2.LOBBY_PLACE_STATE_ADMITTED
    assert isinstance(call, messages_pb2.Call)
    joined, grant = await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    assert grant is not None
    for shown in (call, encode_call(joined), encode_call(await meeting.service.get_call(meeting.call_id, EVE))):
        # Carol never was in the call, so that a guest does not learn that she is in the group.
        assert {each.user_id: each.guest for each in shown.participants} == {ALICE: False, BOB: False, EVE: True}
        assert list(shown.lobby) == []
    to_members = encode_call(await meeting.service.get_call(meeting.call_id, CAROL))
    assert [each.user_id for each in to_members.participants if each.guest] == [EVE]
    (listed,) = await meeting.service.list_active_calls(EVE)
    assert CAROL not in listed.user_ids
    assert await meeting.service.access.join_media(EVE, grant.join_token, "offer")
    await meeting.service.set_hand(meeting.call_id, EVE, raised=True)
    await meeting.service.take_over(meeting.call_id, EVE, TABLET)
    for attempt in (
        meeting.service.set_lock(meeting.call_id, EVE, locked=True),
        meeting.service.end_for_all(meeting.call_id, EVE),
        meeting.service.remove_participant(meeting.call_id, EVE, BOB),
        meeting.service.request_mute(meeting.call_id, EVE, BOB),
    ):
        with pytest.raises(NotAdmin):
            await attempt


async def test_guests_stay_in_the_call_when_members_are_read_again(meeting: Meeting) -> None:
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    meeting.members.conversations[GROUP_TALK] = [ALICE, BOB, DAVE]
    await meeting.service.roster.sync_call_of_group(GROUP_TALK)
    version = (await meeting.call()).version
    await meeting.service.roster.sync_call_of_group(GROUP_TALK)
    assert (await meeting.call()).version == version
    assert await meeting.state_of(EVE) is LegState.JOINED
    # Added to the group, a guest is one no more, wherever they stand.
    _, secret = await meeting.link(ALICE)
    await meeting.lobby.open_link(secret, FAY)
    meeting.members.conversations[GROUP_TALK] += [EVE, FAY]
    await meeting.service.roster.sync_call_of_group(GROUP_TALK)
    legs = {leg.user_id: leg for leg in (await meeting.call()).legs}
    assert (legs[EVE].state, legs[EVE].is_guest) == (LegState.JOINED, False)
    assert (legs[FAY].state, legs[FAY].is_guest) == (LegState.NOT_IN_CALL, False)


async def test_a_guest_is_in_one_call_at_a_time_and_fits_in(meeting: Meeting) -> None:
    meeting.members.conversations[TALK] = [EVE, DAVE]
    other = await meeting.start(EVE, LAPTOP, "other", TALK)
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    assert (await meeting.service.get_call(other.call_id, DAVE)).end_reason is EndReason.CANCELLED
    await meeting.service.join_call(meeting.call_id, CAROL, PHONE)
    await meeting.admitted(FAY)
    # Four is what the group holds.
    with pytest.raises(CallFull):
        await meeting.service.join_call(meeting.call_id, FAY, LAPTOP)


async def test_whom_an_admin_removes_learns_nothing_more_and_does_not_come_back(meeting: Meeting) -> None:
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    before = await meeting.call()
    await meeting.service.remove_participant(meeting.call_id, ALICE, EVE)
    call = await meeting.call()
    # Told once, and of themselves alone.
    (last,) = told(before, call)[EVE]
    assert isinstance(last, messages_pb2.Call)
    assert [each.user_id for each in last.participants] == [EVE]
    await meeting.service.set_lock(meeting.call_id, ALICE, locked=True)
    await meeting.service.set_lock(meeting.call_id, ALICE, locked=False)
    assert EVE not in told(call, await meeting.call())
    assert meeting.closer.removed == [(WORKER, EVE, LAPTOP)]
    service = meeting.service
    for attempt in (service.join_call(meeting.call_id, EVE, LAPTOP), service.get_call(meeting.call_id, EVE)):
        with pytest.raises(CallNotFound):
            await attempt
    assert await meeting.service.list_active_calls(EVE) == []
    _, secret = await meeting.link()
    with pytest.raises(CallsError):
        await meeting.lobby.open_link(secret, EVE)
    assert await meeting.state_of(EVE) is LegState.REMOVED


async def test_guests_do_not_keep_a_call_without_members(meeting: Meeting) -> None:
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    await meeting.service.leave_call(meeting.call_id, ALICE, PHONE)
    assert (await meeting.call()).state is CallState.ACTIVE
    await meeting.service.leave_call(meeting.call_id, BOB, TABLET)
    assert (await meeting.call()).end_reason is EndReason.HUNG_UP


async def test_the_end_of_a_call_ends_its_lobby(meeting: Meeting) -> None:
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, EVE)
    before = await meeting.call()
    await meeting.service.end_for_all(meeting.call_id, ALICE)
    call = await meeting.call()
    (place,) = told(before, call)[EVE]
    assert place.state == messages_pb2.LOBBY_PLACE_STATE_CLOSED
    assert list(encode_call(call).lobby) == []
    for user in (EVE, CAROL):
        with pytest.raises(CallEnded):
            await meeting.lobby.open_link(secret, user)
    with pytest.raises(CallEnded):
        await meeting.lobby.admit_guest(meeting.call_id, BOB, EVE)
    await meeting.lobby.leave_lobby(meeting.call_id, EVE)


STEPS = st.lists(
    st.tuples(
        st.sampled_from((EVE, FAY, GUS)),
        st.sampled_from(
            (
                *("open", "open", "open", "admit", "admit", "admit", "join", "join", "join", "refuse", "withdraw"),
                *("leave", "remove", "revoke", "lock", "bob goes", "bob comes", "alice goes", "wait"),
            )
        ),
        st.integers(0, 2),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
async def test_whatever_is_done_who_is_outside_learns_nothing_and_no_guest_stays_by_a_closed_link(
    steps: list[tuple[UserId, str, int]],
) -> None:
    meeting = Meeting()
    await meeting.begin()
    made = [await meeting.link(maker) for maker in (ALICE, BOB, CAROL)]
    let_in: set[UserId] = set()
    for user, action, which in steps:
        before = await meeting.call()
        with suppress(CallsError):
            await act(meeting, user, action, *made[which])
        call = await meeting.call()
        let_in |= {user} if action == "admit" and call.leg_of(user) else set()
        frames = told(before, call) if call is not before else {}
        for outsider in (EVE, FAY, GUS):
            leg = next((leg for leg in call.legs if leg.user_id == outsider), None)
            if outsider not in let_in:
                assert all(isinstance(frame, messages_pb2.LobbyPlace) for frame in frames.get(outsider, ()))
                assert call.leg_of(outsider) is None
            if leg and leg.state is LegState.JOINED:
                assert leg.is_guest
                link = await meeting.link_store.find(leg.link_id or LinkId(""))
                assert call.state is CallState.ENDED or (link and not link.revoke_time)
        if call.state is not CallState.ENDED:
            assert any(not leg.is_guest for leg in call.joined)


async def act(meeting: Meeting, user: UserId, action: str, link: JoinLink, secret: str) -> None:
    """One step of it."""
    service, links, lobby, call_id = meeting.service, meeting.links, meeting.lobby, meeting.call_id
    if action == "wait":
        meeting.clock.advance(6 * 3600)
        return
    is_locked = (await meeting.call()).locked
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "open": lambda: lobby.open_link(secret, user),
        "admit": lambda: lobby.admit_guest(call_id, ALICE, user),
        "refuse": lambda: lobby.refuse_guest(call_id, ALICE, user),
        "withdraw": lambda: lobby.leave_lobby(call_id, user),
        "join": lambda: service.join_call(call_id, user, LAPTOP),
        "leave": lambda: service.leave_call(call_id, user, LAPTOP),
        "remove": lambda: service.remove_participant(call_id, ALICE, user),
        "revoke": lambda: links.revoke_link(link.link_id, ALICE),
        "lock": lambda: service.set_lock(call_id, ALICE, locked=not is_locked),
        "bob goes": lambda: service.leave_call(call_id, BOB, TABLET),
        "bob comes": lambda: service.join_call(call_id, BOB, TABLET),
        "alice goes": lambda: service.leave_call(call_id, ALICE, PHONE),
    }
    await acts[action]()
