"""Guests, who come into a group's call by a join link: their part of the state table."""

from dataclasses import replace
from datetime import datetime

from services.signaling.core.conditions import is_direct, leaves_somebody
from services.signaling.core.errors import (
    CallEnded,
    CallLocked,
    LobbyFull,
    LobbyRefused,
    NotHost,
    ParticipantNotFound,
    RemovedFromCall,
)
from services.signaling.core.inputs import AdmitGuest, CloseLink, Hosting, Knock, LeaveLobby, RefuseGuest
from services.signaling.core.model import Call, Leg, LegState, UserId
from services.signaling.core.rules import (
    GROUP_ONLY,
    NON_MEMBER,
    STAY_ENDED,
    TELL,
    TELL_AND_REMOVE,
    Condition,
    Handler,
    TableRow,
    Timing,
    both,
    change,
    end_all,
    never,
    nothing,
    until_ended,
)
from services.signaling.core.transitions import emptied, map_leg_of, map_legs

# People who wait in a call's lobby at once. Raising it lets a link that was posted somewhere fill the hosts' screens;
# lowering it turns people away who come together.
LOBBY_CAPACITY = 32
# People who ever knocked at one call. Raising it makes a call that strangers find larger, for each change to write and
# to tell; lowering it lets them shut its door sooner, until a new call.
MAX_KNOCKERS = 256

# Which of them it is.


def is_part(call: Call, given: Knock, _: datetime) -> bool:
    """By somebody who is part of the call already."""
    return call.leg_of(given.user_id) is not None


def waits_already(call: Call, given: Knock | LeaveLobby, _: datetime) -> bool:
    """By somebody who is in the lobby."""
    return _has_knocked(call, given.user_id, LegState.LOBBY)


def was_refused(call: Call, given: Knock, _: datetime) -> bool:
    """By somebody to whom a host said no."""
    return _has_knocked(call, given.user_id, LegState.REFUSED)


def was_put_out(call: Call, given: Knock, _: datetime) -> bool:
    """By a guest whom an admin put out."""
    leg = call.past_leg_of(given.user_id)
    return leg is not None and leg.state is LegState.REMOVED


def is_locked(call: Call, _: object, __: datetime) -> bool:
    """Nobody new gets in."""
    return call.locked


def lobby_is_full(call: Call, given: Knock, _: datetime) -> bool:
    """As many wait, or have ever knocked, as may."""
    knockers = {leg.user_id for leg in call.legs if leg.is_guest}
    return len(call.lobby) >= LOBBY_CAPACITY or (given.user_id not in knockers and len(knockers) >= MAX_KNOCKERS)


def is_known(call: Call, given: LeaveLobby, _: datetime) -> bool:
    """By somebody who is not in the lobby any more, or is part of the call."""
    return any(leg.user_id == given.user_id for leg in call.legs)


def by_non_member_host(call: Call, given: Hosting, _: datetime) -> bool:
    """By somebody who is not part of the call, nor a host."""
    return call.leg_of(given.user_id) is None and not given.by_host


def by_no_host(_: Call, given: Hosting, __: datetime) -> bool:
    """By somebody who may not decide who comes in."""
    return not given.by_host


def target_is_guest(call: Call, given: Hosting, _: datetime) -> bool:
    """The person who is meant was let in."""
    leg = call.leg_of(given.target_id)
    return leg is not None and leg.is_guest


def target_was_refused(call: Call, given: Hosting, _: datetime) -> bool:
    """The person who is meant was not let in."""
    return _has_knocked(call, given.target_id, LegState.REFUSED)


def target_waits_not(call: Call, given: Hosting, _: datetime) -> bool:
    """The person who is meant is not in the lobby."""
    return not _has_knocked(call, given.target_id, LegState.LOBBY)


def link_has_no_guests(call: Call, given: CloseLink, _: datetime) -> bool:
    """Nobody who came by the link is in the call, may join it, or waits."""
    here = (LegState.LOBBY, LegState.NOT_IN_CALL, LegState.JOINED)
    return not any(leg.link_id == given.link_id and leg.state in here for leg in call.legs)


def link_leaves_somebody(call: Call, given: CloseLink, _: datetime) -> bool:
    """Somebody who did not come by the link stays in the call, or nobody was in it."""
    return leaves_somebody(call, {leg.user_id for leg in call.legs if leg.link_id == given.link_id})


def _has_knocked(call: Call, user_id: UserId, state: LegState) -> bool:
    knock = call.knock_of(user_id)
    return knock is not None and knock.state is state


# What it does.


@change("seat in the lobby")
def seat_in_lobby(call: Call, given: Knock, timing: Timing) -> Call:
    """Also somebody who was there before, or in the conversation."""
    seat = Leg(given.user_id, LegState.LOBBY, link_id=given.link_id, knock_time=timing.now)
    if any(leg.user_id == given.user_id for leg in call.legs):
        return map_leg_of(
            call, given.user_id, lambda leg: replace(seat, join_time=leg.join_time, leave_time=leg.leave_time)
        )
    return replace(call, legs=(*call.legs, seat))


@change("let the guest in")
def admit(call: Call, given: AdmitGuest, _: Timing) -> Call:
    """Until the guest joins it is as a member who is not rung."""
    return map_leg_of(call, given.target_id, lambda leg: replace(leg, state=LegState.NOT_IN_CALL))


@change("put out of the lobby for good")
def refuse(call: Call, given: RefuseGuest, _: Timing) -> Call:
    """By a host."""
    return map_leg_of(call, given.target_id, lambda leg: replace(leg, state=LegState.REFUSED))


@change("take out of the lobby")
def withdraw(call: Call, given: LeaveLobby, _: Timing) -> Call:
    """By the one who waits, who may knock again."""
    return map_leg_of(call, given.user_id, lambda leg: replace(leg, state=LegState.WITHDRAWN))


@change("take out the link's guests")
def close_link(call: Call, given: CloseLink, timing: Timing) -> Call:
    """Those in the call and those in the lobby. Who was refused, or removed by an admin, stays so."""
    without = map_legs(
        call,
        lambda leg: leg.link_id == given.link_id and leg.state is LegState.LOBBY,
        lambda leg: replace(leg, state=LegState.WITHDRAWN),
    )
    return map_legs(
        without,
        lambda leg: leg.link_id == given.link_id and leg.state in (LegState.NOT_IN_CALL, LegState.JOINED),
        lambda leg: emptied(leg, LegState.GONE, timing.now),
    )


# The handlers.

KNOCK: Handler[Knock] = Handler(
    (
        (is_direct, GROUP_ONLY),
        (is_part, nothing("group: somebody who is part of the call knocks")),
        (waits_already, nothing("group: somebody who waits in the lobby knocks")),
        (was_put_out, until_ended("group: a guest whom an admin removed knocks", RemovedFromCall)),
        (was_refused, until_ended("group: somebody whom a host refused knocks", LobbyRefused)),
        (is_locked, until_ended("group: somebody knocks at a locked call", CallLocked)),
        (lobby_is_full, until_ended("group: somebody knocks when the lobby is full", LobbyFull)),
    ),
    both("group: somebody with a join link knocks", (seat_in_lobby,), TELL, CallEnded),
)
LEAVE_LOBBY: Handler[LeaveLobby] = Handler(
    (
        (waits_already, both("group: somebody who waits in the lobby gives up", (withdraw,), TELL, STAY_ENDED)),
        (is_known, nothing("somebody who is not in the lobby any more gives up")),
    ),
    NON_MEMBER,
)
_HOSTING: tuple[tuple[Condition[AdmitGuest | RefuseGuest], TableRow[object]], ...] = (
    (by_non_member_host, NON_MEMBER),
    (is_direct, GROUP_ONLY),
)
_NO_HOST = never("group: somebody who is no host lets in or refuses", NotHost)
_NOBODY_WAITS = until_ended("group: a host lets in or refuses somebody who does not wait", ParticipantNotFound)
ADMIT_GUEST: Handler[AdmitGuest] = Handler(
    (
        *_HOSTING,
        (target_is_guest, nothing("group: a guest who was let in is let in")),
        (by_no_host, _NO_HOST),
        (target_waits_not, _NOBODY_WAITS),
        (is_locked, until_ended("group: a host lets somebody into a locked call", CallLocked)),
    ),
    both("group: a host lets somebody in", (admit,), TELL, CallEnded),
)
REFUSE_GUEST: Handler[RefuseGuest] = Handler(
    (
        *_HOSTING,
        (target_was_refused, nothing("group: somebody who was refused is refused")),
        (by_no_host, _NO_HOST),
        (target_waits_not, _NOBODY_WAITS),
    ),
    both("group: a host refuses somebody", (refuse,), TELL, CallEnded),
)
CLOSE_LINK: Handler[CloseLink] = Handler(
    (
        (link_has_no_guests, nothing("a join link by which nobody is here is revoked")),
        (link_leaves_somebody, both("group: a join link is revoked", (close_link,), TELL_AND_REMOVE, STAY_ENDED)),
    ),
    end_all("group: the join link of all who are in the call is revoked", close_link),
)
