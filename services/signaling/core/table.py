"""The state machine of a call: (state, input) -> (changes, effects, state) or a named refusal. It is total.

Each type of input has a handler, and each row of a handler has an outcome for each state.
`python -m services.signaling.core.table docs/design/call-states.md` renders it into that file.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from services.signaling.core import conditions as when
from services.signaling.core import transitions as to
from services.signaling.core.errors import (
    AlreadyAnswered,
    AnsweredElsewhere,
    CallEnded,
    CallFull,
    CallLocked,
    NotAdmin,
    NotCallee,
    NotCaller,
    NotInCall,
    ParticipantNotFound,
    RemovedFromCall,
    WorkerNotOfCall,
)
from services.signaling.core.guests import ADMIT_GUEST, CLOSE_LINK, KNOCK, LEAVE_LOBBY, REFUSE_GUEST
from services.signaling.core.inputs import (
    Accept,
    AdmitGuest,
    Cancel,
    CloseLink,
    Decline,
    DeviceReturned,
    EndByNetwork,
    EndForAll,
    Input,
    Join,
    Knock,
    Leave,
    LeaveLobby,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    Moderation,
    Move,
    PairClosed,
    RefuseGuest,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
    Tick,
    WorkerLost,
    WorkerRecovered,
)
from services.signaling.core.model import Call, EndReason
from services.signaling.core.rules import (
    GROUP_ONLY,
    NON_MEMBER,
    STAY_ACTIVE,
    STAY_ENDED,
    STAY_RINGING,
    TELL,
    TELL_AND_REMOVE,
    A,
    Condition,
    E,
    Effect,
    Handler,
    R,
    Rule,
    TableRow,
    both,
    end,
    end_all,
    never,
    nothing,
    until_ended,
)
from services.signaling.core.table_page import insert

InputT = TypeVar("InputT", bound=Input)

# Answering and joining.

_AGAIN = nothing("accepts or joins again on the device that is in the call")
_ELSEWHERE = until_ended("accepts or joins while in the call on another device", AnsweredElsewhere)
_ANSWER: Rule[Accept | Join] = Rule(A, (to.join_with_device, to.await_media), TELL)
_JOIN = TableRow("group: a member accepts or joins", _ANSWER, _ANSWER, CallEnded)
_JOIN_CASES: tuple[tuple[Condition[Accept | Join], TableRow[Accept | Join]], ...] = (
    (when.by_device_in_call, _AGAIN),
    (when.by_other_device, _ELSEWHERE),
    (when.by_removed, until_ended("group: a member who was removed accepts or joins", RemovedFromCall)),
    (when.is_locked_out, until_ended("group: a member who is not rung joins a locked call", CallLocked)),
    (when.is_full, until_ended("group: a member accepts or joins a full call", CallFull)),
)

ACCEPT: Handler[Accept] = Handler(
    (
        (when.by_non_member, NON_MEMBER),
        (when.by_caller_of_two, never("caller accepts", NotCallee)),
        *_JOIN_CASES,
        (when.is_group, _JOIN),
    ),
    TableRow("callee accepts", _ANSWER, STAY_ACTIVE, CallEnded),
)
JOIN: Handler[Join] = Handler(((when.by_non_member, NON_MEMBER), (when.is_direct, GROUP_ONLY), *_JOIN_CASES), _JOIN)
TAKE_OVER: Handler[TakeOver] = Handler(
    (
        (when.by_non_member, NON_MEMBER),
        (when.by_user_outside, until_ended("a device of somebody not in the call takes over", NotInCall)),
        (when.by_device_in_call, nothing("the device that is in the call takes over")),
    ),
    TableRow(
        "another device of somebody in the call takes over",
        Rule(R, (to.take_over_with_device,), TELL_AND_REMOVE),
        Rule(A, (to.take_over_with_device, to.await_media), TELL_AND_REMOVE),
        CallEnded,
    ),
)

# Declining, cancelling, leaving.

_LEFT_ALREADY = nothing("group: somebody who went from the conversation declines or leaves")
_NOT_RUNG = nothing("group: a member who is not rung declines or leaves")
_STOP_RING = both("group: a member who is rung declines or leaves", (to.stop_ring,), TELL, STAY_ENDED)
_STOP_LAST_RING: TableRow[Decline | Leave] = TableRow(
    "group: the last member who is rung declines or leaves",
    end(EndReason.DECLINED, to.stop_ring),
    Rule(A, (to.stop_ring,), TELL),
    STAY_ENDED,
)

DECLINE: Handler[Decline] = Handler(
    (
        (when.by_former_member, _LEFT_ALREADY),
        (when.by_non_member, NON_MEMBER),
        (when.by_caller, never("caller declines", NotCallee)),
        (when.is_direct, TableRow("callee declines", end(EndReason.DECLINED), AlreadyAnswered, STAY_ENDED)),
        (
            when.by_user_in_call,
            TableRow("group: a member who is in the call declines", AlreadyAnswered, AlreadyAnswered, STAY_ENDED),
        ),
        (when.by_user_not_rung, _NOT_RUNG),
        (when.others_are_rung, _STOP_RING),
    ),
    _STOP_LAST_RING,
)
CANCEL: Handler[Cancel] = Handler(
    (
        (when.by_non_member, NON_MEMBER),
        (when.by_caller, TableRow("caller cancels", end(EndReason.CANCELLED), AlreadyAnswered, STAY_ENDED)),
    ),
    never("callee cancels", NotCaller),
)
LEAVE: Handler[Leave] = Handler(
    (
        (when.by_former_member, _LEFT_ALREADY),
        (when.by_non_member, NON_MEMBER),
        (when.by_other_device, nothing("a device that is not in the call leaves")),
        (when.by_caller_of_two, end_all("caller leaves")),
        (when.is_direct, TableRow("callee leaves", end(EndReason.DECLINED), end(EndReason.HUNG_UP), STAY_ENDED)),
        (when.others_stay, both("group: one leaves, others stay", (to.leave,), TELL_AND_REMOVE, STAY_ENDED)),
        (when.by_user_in_call, end_all("group: the last one leaves")),
        (when.by_user_not_rung, _NOT_RUNG),
        (when.others_are_rung, _STOP_RING),
    ),
    _STOP_LAST_RING,
)
SET_HAND: Handler[SetHand] = Handler(
    (
        (when.by_non_member, NON_MEMBER),
        (when.by_user_outside, until_ended("hand raised or lowered by somebody not in the call", NotInCall)),
        (when.has_hand_so, nothing("hand raised or lowered that stands so already")),
    ),
    both("hand raised or lowered", (to.note_hand,), TELL, CallEnded),
)

# What admins of a group do. What stands already needs no role: whoever did it may have lost theirs since.

_MODERATION: tuple[tuple[Condition[Moderation], TableRow[object]], ...] = (
    (when.by_non_member_moderator, NON_MEMBER),
    (when.is_direct, GROUP_ONLY),
)
_NO_ADMIN = never("group: somebody who is no admin does any of these", NotAdmin)
_END_FOR_ALL: TableRow[EndForAll] = end_all("group: an admin ends it for all")

REQUEST_MUTE: Handler[RequestMute] = Handler(
    (
        *_MODERATION,
        (
            when.was_asked_to_mute,
            nothing("group: somebody who was asked for silence and is not talking any more is asked again"),
        ),
        (when.by_no_admin, _NO_ADMIN),
        (
            when.target_is_in_call,
            both("group: an admin asks for silence", (to.note_mute_request,), TELL, CallEnded),
        ),
    ),
    until_ended("group: an admin asks somebody not in the call for silence", ParticipantNotFound),
)
REMOVE: Handler[Remove] = Handler(
    (
        *_MODERATION,
        (
            when.was_removed,
            nothing("group: somebody who was removed, or went from the conversation, is removed again"),
        ),
        (when.by_no_admin, _NO_ADMIN),
        (
            when.target_is_non_member,
            until_ended("group: an admin removes somebody who is no member", ParticipantNotFound),
        ),
        (
            when.removal_leaves_somebody,
            both("group: an admin removes a member", (to.remove,), TELL_AND_REMOVE, CallEnded),
        ),
    ),
    end_all("group: an admin removes the last one in the call", to.remove),
)
SET_LOCK: Handler[SetLock] = Handler(
    (
        *_MODERATION,
        (when.is_locked_so, nothing("group: locked or unlocked as it stands already")),
        (when.by_no_admin, _NO_ADMIN),
    ),
    both("group: an admin locks or unlocks", (to.note_lock,), TELL, CallEnded),
)
END_FOR_ALL: Handler[EndForAll] = Handler(
    (*_MODERATION, (when.is_over, _END_FOR_ALL), (when.by_no_admin, _NO_ADMIN)), _END_FOR_ALL
)

# What the network and the conversation do.

END_BY_NETWORK: Handler[EndByNetwork] = Handler((), end_all("the network's back office ends the call"))

_NOT_CONCERNED = nothing("news of a conversation that is not for this call")

SET_MEMBERS: Handler[SetMembers] = Handler(
    (
        (when.is_direct, _NOT_CONCERNED),
        (
            when.members_stay,
            both("group: members of the conversation come or go", (to.note_members,), TELL_AND_REMOVE, STAY_ENDED),
        ),
    ),
    end_all("group: the last one in the call goes from the conversation", to.note_members),
)
PAIR_CLOSED: Handler[PairClosed] = Handler(
    ((when.is_group, _NOT_CONCERNED),),
    # As if nobody had answered: neither learns why.
    TableRow("one-to-one: the two may not talk any more", end(EndReason.MISSED), end(EndReason.HUNG_UP), STAY_ENDED),
)

# What the workers and the time do.

_WORKER_NOT_OF_CALL = never("media event of a worker that never had the call", WorkerNotOfCall)
_STALE = nothing("news of another device, or of a worker that does not carry the call")
NOTHING_DUE = nothing("timer, nothing due")
MEDIA_MISSING: TableRow[Tick] = TableRow(
    "media missing, or a device closed, for too long",
    # Only the caller is in it yet, and what is missing is not waited for: it is the caller's device that is closed.
    end(EndReason.CANCELLED),
    end(EndReason.MEDIA_LOST),
    STAY_ENDED,
)
SOME_MEDIA_MISSING: TableRow[Tick] = TableRow(
    "group: media of some missing, or their devices closed, for too long",
    STAY_RINGING,
    Rule(A, (to.drop_without_media,), TELL_AND_REMOVE),
    STAY_ENDED,
)

TICK: Handler[Tick] = Handler(
    (
        (when.is_over, NOTHING_DUE),
        (
            when.ring_is_over,
            TableRow("ring timeout", end(EndReason.MISSED), Rule(A, (to.stop_rings,), TELL), STAY_ENDED),
        ),
        (
            when.former_is_over,
            both("time of the former SFU worker is up", (to.forget_former,), (Effect.CLOSE_FORMER,), STAY_ENDED),
        ),
        (when.has_all_media, NOTHING_DUE),
        (when.others_have_media, SOME_MEDIA_MISSING),
    ),
    MEDIA_MISSING,
)
MEDIA_CONNECTED: Handler[MediaConnected] = Handler(
    ((when.worker_never_had_call, _WORKER_NOT_OF_CALL), (when.is_stale, _STALE), (when.is_outdated, _STALE)),
    both(
        "media connected",
        (to.media_up,),
        (Effect.REMOVE_MEDIA,),
        # A device whose media came up after the end must not stay on the worker.
        Rule(E, effects=(Effect.CLOSE_MEDIA,)),
    ),
)
MEDIA_DISCONNECTED: Handler[MediaDisconnected] = Handler(
    (
        (when.worker_never_had_call, _WORKER_NOT_OF_CALL),
        (when.is_stale, _STALE),
        (when.is_outdated, _STALE),
        (when.is_replaced, _STALE),
    ),
    both("media disconnected", (to.media_down,), (), STAY_ENDED),
)
MEDIA_SILENT: Handler[MediaSilent] = Handler(
    (
        (when.worker_never_had_call, _WORKER_NOT_OF_CALL),
        (when.is_stale, _STALE),
        (when.may_be_cut_off, nothing("media silent, of a device that may be cut off")),
    ),
    both("media silent, and the device closed its event stream", (to.await_device,), (), STAY_ENDED),
)
DEVICE_RETURNED: Handler[DeviceReturned] = Handler(
    ((when.by_device_outside, nothing("a device that is not in the call is there")),),
    both("a device that seemed closed is there", (to.trust_device,), (), STAY_ENDED),
)
WORKER_LOST: Handler[WorkerLost] = Handler(
    (
        (
            when.is_worker_of_call,
            TableRow(
                "SFU worker lost, no other one free", STAY_RINGING, Rule(A, (to.await_news_of_media,)), STAY_ENDED
            ),
        ),
    ),
    _STALE,
)
WORKER_RECOVERED: Handler[WorkerRecovered] = Handler(
    (
        (
            when.is_process_of_call,
            TableRow("SFU worker was not lost after all", STAY_RINGING, Rule(A, (to.trust_news_of_media,)), STAY_ENDED),
        ),
    ),
    _STALE,
)
MOVE: Handler[Move] = Handler(
    (
        (
            when.moves_from_here,
            both(
                "moved to another SFU worker",
                (to.moved_media_down, to.set_worker),
                (Effect.PUBLISH, Effect.CLOSE_FORMER),
                CallEnded,
            ),
        ),
        (
            when.moves_legs,
            both(
                "group: its legs on a worker that is not the call's own move to another one",
                (to.moved_media_down, to.set_worker_of_legs),
                (Effect.PUBLISH, Effect.CLOSE_FORMER),
                CallEnded,
            ),
        ),
    ),
    _STALE,
)


def _entry(kind: type[InputT], handler: Handler[InputT]) -> tuple[type[InputT], Handler[Any]]:
    """A handler beside the type that it is for: the checker of types compares them."""
    return kind, handler


TABLE: dict[type[Any], Handler[Any]] = dict(
    (
        _entry(Accept, ACCEPT),
        _entry(Join, JOIN),
        _entry(TakeOver, TAKE_OVER),
        _entry(Decline, DECLINE),
        _entry(Cancel, CANCEL),
        _entry(Leave, LEAVE),
        _entry(SetHand, SET_HAND),
        _entry(RequestMute, REQUEST_MUTE),
        _entry(Remove, REMOVE),
        _entry(SetLock, SET_LOCK),
        _entry(EndForAll, END_FOR_ALL),
        _entry(Knock, KNOCK),
        _entry(LeaveLobby, LEAVE_LOBBY),
        _entry(AdmitGuest, ADMIT_GUEST),
        _entry(RefuseGuest, REFUSE_GUEST),
        _entry(CloseLink, CLOSE_LINK),
        _entry(EndByNetwork, END_BY_NETWORK),
        _entry(SetMembers, SET_MEMBERS),
        _entry(PairClosed, PAIR_CLOSED),
        _entry(Tick, TICK),
        _entry(MediaConnected, MEDIA_CONNECTED),
        _entry(MediaDisconnected, MEDIA_DISCONNECTED),
        _entry(MediaSilent, MEDIA_SILENT),
        _entry(DeviceReturned, DEVICE_RETURNED),
        _entry(WorkerLost, WORKER_LOST),
        _entry(WorkerRecovered, WORKER_RECOVERED),
        _entry(Move, MOVE),
    )
)


def find_row(call: Call, given: InputT, now: datetime) -> TableRow[InputT]:
    """The row of the table that an input is."""
    handler: Handler[InputT] = TABLE[type(given)]
    return handler.find(call, given, now)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(insert(path.read_text(), TABLE.values()))
