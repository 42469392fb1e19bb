"""The types of a call. All values are immutable; a change makes a new one."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

CallId = NewType("CallId", str)
ConversationId = NewType("ConversationId", str)
UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
WorkerId = NewType("WorkerId", str)


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


@dataclass(frozen=True)
class Timeouts:
    """How long a call waits, in seconds."""

    # Higher: callers hear the tone longer and callees stay busy longer. Lower: people miss calls they would take.
    ring_s: float
    # Higher: a dead call keeps both users busy longer. Lower: a tunnel or a restarted app ends the call.
    media_lost_s: float


@dataclass(frozen=True)
class Worker:
    """The SFU worker that carries a call's media, and the host:port of its SfuService."""

    worker_id: WorkerId
    address: str


@dataclass(frozen=True)
class Leg:
    """One member's part in a call."""

    user_id: UserId
    # None until the user is in the call with a device.
    device_id: DeviceId | None = None
    # What the SFU last said of the device's media.
    media_up: bool = False
    # When missing media ends the call; None while it need not come.
    media_deadline: datetime | None = None


@dataclass(frozen=True)
class Call:
    """A call and its legs, the caller's first. `version` rises by one with each change, visible or not."""

    call_id: CallId
    conversation_id: ConversationId
    caller_id: UserId
    video: bool
    state: CallState
    legs: tuple[Leg, ...]
    create_time: datetime
    ring_deadline: datetime
    version: int = 1
    # None for a call that never needed media (BUSY).
    worker: Worker | None = None
    end_reason: EndReason | None = None
    answer_time: datetime | None = None
    # When all legs had media for the first time after the answer.
    media_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def due_time(self) -> datetime | None:
        """When Tick has something to do; None while the call waits for nothing."""
        if self.state is CallState.RINGING:
            return self.ring_deadline
        if self.state is CallState.ACTIVE:
            return min((leg.media_deadline for leg in self.legs if leg.media_deadline), default=None)
        return None

    @property
    def user_ids(self) -> tuple[UserId, ...]:
        """All members of the call."""
        return tuple(leg.user_id for leg in self.legs)

    def leg_of(self, user_id: UserId) -> Leg | None:
        """The user's leg; None for somebody who is not part of the call."""
        return next((leg for leg in self.legs if leg.user_id == user_id), None)

    def has_device(self, user_id: UserId, device_id: DeviceId) -> bool:
        """Whether the user is in the call with this very device."""
        leg = self.leg_of(user_id)
        return leg is not None and leg.device_id == device_id


@dataclass(frozen=True)
class Accept:
    """A member answers on a device."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True)
class Decline:
    """A member refuses, for all of its devices."""

    user_id: UserId


@dataclass(frozen=True)
class Cancel:
    """A member gives up while it rings."""

    user_id: UserId


@dataclass(frozen=True)
class Leave:
    """A member hangs up on a device."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True)
class MediaConnected:
    """The worker says that a device's media flows."""

    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId


@dataclass(frozen=True)
class MediaDisconnected:
    """The worker says that a device's media is gone. `replaced`: a newer offer of the same device took its place."""

    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId
    replaced: bool = False


@dataclass(frozen=True)
class WorkerLost:
    """The worker is dead, and with it the media of all legs."""

    worker_id: WorkerId


@dataclass(frozen=True)
class Move:
    """The call goes to another worker, in place of the one named."""

    from_worker_id: WorkerId | None
    to_worker: Worker


@dataclass(frozen=True)
class Tick:
    """Time has passed: end what is due."""


Input = Accept | Decline | Cancel | Leave | MediaConnected | MediaDisconnected | WorkerLost | Move | Tick
