"""The types of a call. All values are immutable; a change makes a new one."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import NewType

CallId = NewType("CallId", str)
ConversationId = NewType("ConversationId", str)
UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
WorkerId = NewType("WorkerId", str)
LinkId = NewType("LinkId", str)
ScheduledId = NewType("ScheduledId", str)


class CallState(Enum):
    """Where a call stands. Every call ends."""

    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"


class EndReason(Enum):
    """The one outcome of a call."""

    HUNG_UP = "hung_up"
    MISSED = "missed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    BUSY = "busy"
    MEDIA_LOST = "media_lost"


class LegState(Enum):
    """Where one member stands in a call. The values are stored."""

    RINGING = "ringing"
    # Rings beside another call that the user is in (call waiting).
    WAITING = "waiting"
    # Rung in the user's quiet hours: to the others it rings, on the user's devices it does not.
    QUIET = "silent"
    JOINED = "joined"
    # Never joined, left, or not rung; may join a group's.
    NOT_IN_CALL = "out"
    # Removed by an admin, for good.
    REMOVED = "removed"
    # Not in the conversation any more, or a guest whose link was revoked; learns nothing of the call.
    GONE = "gone"
    # In the lobby by a join link, until a host decides.
    LOBBY = "lobby"
    # A host said no.
    REFUSED = "refused"
    # Was in the lobby and gave it up, or the call ended or the link was revoked before somebody decided.
    WITHDRAWN = "withdrawn"


RUNG = frozenset({LegState.RINGING, LegState.WAITING, LegState.QUIET})
# A user in one of these states is busy: in this call, or rung by it, and in no other.
BUSY_STATES = frozenset({LegState.JOINED, LegState.RINGING})
# Somebody outside of the conversation in one of these is not part of the call.
OUTSIDE = frozenset({LegState.LOBBY, LegState.REFUSED, LegState.WITHDRAWN})


class MoveReason(Enum):
    """Why a call's media goes to another worker."""

    DRAIN = "drain"
    WORKER_LOST = "worker_lost"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Timeouts:
    """How long a call waits, in seconds."""

    # How long a call rings. Raising it lets callers hear the tone longer and keeps callees busy longer; lowering it
    # lets people miss calls that they would take.
    ring_s: float
    # How long media may be missing. Raising it keeps both users of a dead call busy longer; lowering it ends calls in a
    # tunnel, or while an app restarts.
    media_lost_s: float
    # How long a device in a call may be closed: its media have ceased, and its event stream has ended, as when its page
    # is closed. Raising it keeps the others in a call with nobody for longer; lowering it puts people out who load
    # their page again on a slow network. Never longer than `media_lost_s`.
    device_closed_s: float = 10.0
    # How long the former worker carries a call that moves, at most. Raising it lets a device that does not follow keep
    # its old media for longer, and a stopping worker waits; lowering it interrupts slow devices.
    handoff_s: float = 10.0
    # How long the former worker goes on once all have media on the new one. Raising it keeps it busy for longer;
    # lowering it may cut the old video before the first key frame of the new one.
    handoff_overlap_s: float = 1.0


@dataclass(frozen=True)
class Worker:
    """The SFU worker that carries a call's media, and the host:port of its SfuService.

    `start_time` tells a process from one that came later under the same id; None where it does not say.
    """

    worker_id: WorkerId
    address: str
    start_time: datetime | None = None

    def is_same_process(self, other: "Worker | None") -> bool:
        """Whether both are one process, at whatever address."""
        return other is not None and (self.worker_id, self.start_time) == (other.worker_id, other.start_time)


@dataclass(frozen=True)
class FormerWorker:
    """The worker that the call is moving away from, and when its media ends at the latest."""

    worker: Worker
    close_time: datetime


@dataclass(frozen=True)
class Leg:
    """One member's part in a call."""

    user_id: UserId
    state: LegState = LegState.NOT_IN_CALL
    # The device that is in the call; stays as the last one when the call has ended. None while there is none.
    device_id: DeviceId | None = None
    # The one that it took over from, until it has media.
    former_device_id: DeviceId | None = None
    # What the SFU last said of the device's media.
    media_up: bool = False
    # When it said so, by the worker's own time; None while the worker that carries the call has said nothing.
    media_report_time: datetime | None = None
    # When missing media ends the leg, and with it a one-to-one call; None while it need not come. With `media_up` while
    # the worker does not answer.
    media_deadline: datetime | None = None
    # When the leg ends because its device is closed (Timeouts.device_closed_s); None while nothing says that it is.
    closed_deadline: datetime | None = None
    join_time: datetime | None = None
    leave_time: datetime | None = None
    hand_raise_time: datetime | None = None
    mute_request_time: datetime | None = None
    # Since when this device is in the call, where `join_time` is the user's first coming.
    device_join_time: datetime | None = None
    # The join link by which a guest came, and when; None for members of the conversation.
    link_id: LinkId | None = None
    knock_time: datetime | None = None
    # The worker that carries the device's media, where that is not the call's own.
    worker: Worker | None = None
    # The one that carried it before, until its media is up where it goes to; None where the call's `former` says it.
    former_worker: Worker | None = None
    # How far what the user's devices are told of moves is from the call's `media_epoch`: above it after a move of this
    # leg alone, below it after one of the call's that left it where it was.
    epoch_offset: int = 0

    @property
    def is_guest(self) -> bool:
        """Whether the user is not in the conversation, and came by a join link."""
        return self.link_id is not None

    @property
    def is_gone(self) -> bool:
        """Whether the user had a part in the call, and learns nothing of it any more."""
        return self.state is LegState.GONE or (self.is_guest and self.state is LegState.REMOVED)

    def is_closed(self, now: datetime) -> bool:
        """Whether the device is closed for too long, unless it came back without a word."""
        return self.closed_deadline is not None and now >= self.closed_deadline

    def is_overdue(self, now: datetime) -> bool:
        """Whether the leg is to end: for its missing media, or for its closed device."""
        return self.is_closed(now) or (self.media_deadline is not None and now >= self.media_deadline)


@dataclass(frozen=True)
class Call:
    """A call and its legs, the caller's first. `version` rises by one with each change, visible or not.

    In a group's call every member of the conversation has a leg, whether in the call or not.
    """

    call_id: CallId
    conversation_id: ConversationId
    caller_id: UserId
    video: bool
    state: CallState
    legs: tuple[Leg, ...]
    create_time: datetime
    ring_deadline: datetime
    version: int = 1
    group: bool = False
    # How many may be in it at once.
    capacity: int = 2
    locked: bool = False
    # None for a call that never needed media (BUSY).
    worker: Worker | None = None
    # Whether a device ever was on another worker than the call.
    spread: bool = False
    # How often the call has moved to another worker, why it last did, and since when not all devices have followed.
    media_epoch: int = 0
    move_reason: MoveReason | None = None
    move_time: datetime | None = None
    former: FormerWorker | None = None
    end_reason: EndReason | None = None
    answer_time: datetime | None = None
    # When all legs had media for the first time after the answer.
    media_time: datetime | None = None
    end_time: datetime | None = None
    # The W3C trace of StartCall, so that what follows can be found from there.
    trace: str = ""
    # Of a call that was placed at the time of a scheduled one.
    scheduled_id: ScheduledId | None = None

    @property
    def due_time(self) -> datetime | None:
        """When Tick has something to do; None while the call waits for nothing."""
        if self.state is CallState.ENDED:
            return None
        times = [leg.media_deadline for leg in self.legs if leg.media_deadline and self.state is CallState.ACTIVE]
        times += [leg.closed_deadline for leg in self.legs if leg.closed_deadline]
        if self.rings:
            times.append(self.ring_deadline)
        if self.former:
            times.append(self.former.close_time)
        return min(times, default=None)

    @property
    def rings(self) -> bool:
        """Whether the ring deadline means anything."""
        return self.state is CallState.RINGING or any(leg.state in RUNG for leg in self.legs)

    @property
    def joined(self) -> tuple[Leg, ...]:
        """The legs that are in the call now."""
        return tuple(leg for leg in self.legs if leg.state is LegState.JOINED)

    def worker_of(self, leg: Leg) -> Worker | None:
        """The worker that carries the media of somebody who is in the call."""
        return leg.worker or self.worker

    def is_on(self, leg: Leg, process: Worker) -> bool:
        """Whether the process carries the leg's media."""
        return process.is_same_process(self.worker_of(leg))

    def carries(self, leg: Leg, worker_id: WorkerId) -> bool:
        """Whether a worker of this name carries the leg's media."""
        worker = self.worker_of(leg)
        return worker is not None and worker.worker_id == worker_id

    @property
    def workers(self) -> tuple[Worker, ...]:
        """All that carry media of the call, or did a moment ago; its own comes first."""
        of_call = (self.worker, self.former.worker if self.former else None)
        of_legs = (worker for leg in self.joined for worker in (leg.worker, leg.former_worker))
        found: dict[tuple[WorkerId, datetime | None], Worker] = {}
        for worker in (*of_call, *of_legs):
            if worker:
                found.setdefault((worker.worker_id, worker.start_time), worker)
        return tuple(found.values())

    @property
    def user_ids(self) -> tuple[UserId, ...]:
        """All members of the call, and its guests."""
        return tuple(leg.user_id for leg in self.legs if leg.state not in OUTSIDE)

    @property
    def busy_user_ids(self) -> tuple[UserId, ...]:
        """The users who cannot be in another call: in this one, or rung by it."""
        if self.state is CallState.ENDED:
            return ()
        return tuple(leg.user_id for leg in self.legs if leg.state in BUSY_STATES)

    @property
    def audience(self) -> tuple[UserId, ...]:
        """The users who are told of the call."""
        hidden = {LegState.QUIET, *OUTSIDE}
        return tuple(leg.user_id for leg in self.legs if leg.state not in hidden and not leg.is_gone)

    @property
    def lobby(self) -> tuple[Leg, ...]:
        """Who waits to be let in, the first one first."""
        waiting = [leg for leg in self.legs if leg.state is LegState.LOBBY]
        return tuple(sorted(waiting, key=lambda leg: (leg.knock_time or self.create_time, leg.user_id)))

    def leg_of(self, user_id: UserId) -> Leg | None:
        """The user's leg; None for somebody who is not part of the call, or not any more."""
        leg = self.past_leg_of(user_id)
        return leg if leg and not leg.is_gone else None

    def past_leg_of(self, user_id: UserId) -> Leg | None:
        """The user's leg, also of somebody who is not in the conversation any more, and of a guest who was put out."""
        return next((leg for leg in self.legs if leg.user_id == user_id and leg.state not in OUTSIDE), None)

    def knock_of(self, user_id: UserId) -> Leg | None:
        """Where somebody stands who knocked and was not let in."""
        return next((leg for leg in self.legs if leg.user_id == user_id and leg.state in OUTSIDE), None)

    def told_to(self, user_id: UserId) -> "Call":
        """The call as this person's devices are told of it: a guest of nobody who never was in it, and of no lobby."""
        leg = self.past_leg_of(user_id)
        if leg is None:
            return self
        told = self
        if leg.epoch_offset:
            told = replace(self, media_epoch=self.epoch_of(leg), legs=self._with_leg(replace(leg, epoch_offset=0)))
        if not leg.is_guest:
            return told
        if leg.is_gone:
            return replace(told, legs=(leg,))
        known = (
            each for each in told.legs if each.user_id == user_id or (each.join_time and each.state not in OUTSIDE)
        )
        return replace(told, legs=tuple(known))

    def epoch_of(self, leg: Leg) -> int:
        """What the devices of one leg are told of moves: it rises with each that they follow, and with no other."""
        return self.media_epoch + leg.epoch_offset

    def _with_leg(self, changed: Leg) -> tuple[Leg, ...]:
        return tuple(changed if leg.user_id == changed.user_id else leg for leg in self.legs)

    def seen_by(self, user_id: UserId) -> "Call":
        """The call as this person sees it. For a person who left the conversation, or a guest who was put out, it is
        over: they learn nothing of the others, and what they see never changes again."""
        leg = self.past_leg_of(user_id)
        if leg is None or not leg.is_gone:
            return self.told_to(user_id)
        was_answered = self.answer_time and leg.leave_time and self.answer_time <= leg.leave_time
        return replace(
            self,
            # Below any copy of a call, so that a member who comes back takes the next version.
            version=0,
            state=CallState.ENDED,
            end_reason=EndReason.HUNG_UP if leg.join_time else EndReason.MISSED,
            # As somebody who hung up.
            legs=(replace(leg, state=LegState.NOT_IN_CALL),),
            locked=False,
            move_reason=None,
            answer_time=self.answer_time if was_answered else None,
            end_time=leg.leave_time,
        )

    def has_device(self, user_id: UserId, device_id: DeviceId) -> bool:
        """Whether the user is in the call with this very device."""
        leg = self.leg_of(user_id)
        return leg is not None and leg.state is LegState.JOINED and leg.device_id == device_id
