"""What happens to a call: what its members do, what the workers report, and the time."""

from dataclasses import dataclass
from datetime import datetime

from services.signaling.core.model import DeviceId, LinkId, MoveReason, UserId, Worker, WorkerId


@dataclass(frozen=True)
class Accept:
    """A member answers on a device. `worker`: where its media is to be, unless that is the call's own; so in the two
    others by which a device comes in."""

    user_id: UserId
    device_id: DeviceId
    worker: Worker | None = None


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
class Join:
    """A member of the conversation joins a group's call."""

    user_id: UserId
    device_id: DeviceId
    worker: Worker | None = None


@dataclass(frozen=True)
class TakeOver:
    """A member who is in the call goes on with another device."""

    user_id: UserId
    device_id: DeviceId
    worker: Worker | None = None


@dataclass(frozen=True)
class SetHand:
    """A member raises or lowers its hand."""

    user_id: UserId
    raised: bool


@dataclass(frozen=True)
class RequestMute:
    """Somebody asks a member for silence. `by_admin`: whether the conversation lets that person."""

    user_id: UserId
    target_id: UserId
    by_admin: bool


@dataclass(frozen=True)
class Remove:
    """Somebody removes a member from the call."""

    user_id: UserId
    target_id: UserId
    by_admin: bool


@dataclass(frozen=True)
class SetLock:
    """Somebody closes the call to those who are not in it, or opens it."""

    user_id: UserId
    locked: bool
    by_admin: bool


@dataclass(frozen=True)
class EndForAll:
    """Somebody ends a group's call."""

    user_id: UserId
    by_admin: bool


@dataclass(frozen=True)
class Knock:
    """Somebody opens a join link."""

    user_id: UserId
    link_id: LinkId


@dataclass(frozen=True)
class LeaveLobby:
    """Somebody in the lobby gives up."""

    user_id: UserId


@dataclass(frozen=True)
class AdmitGuest:
    """Somebody lets a person in who waits in the lobby. `by_host`: whether they may."""

    user_id: UserId
    target_id: UserId
    by_host: bool


@dataclass(frozen=True)
class RefuseGuest:
    """Somebody does not let a person in who waits in the lobby."""

    user_id: UserId
    target_id: UserId
    by_host: bool


@dataclass(frozen=True)
class CloseLink:
    """A join link was revoked."""

    link_id: LinkId


@dataclass(frozen=True)
class EndByNetwork:
    """The network's back office ends the call."""


@dataclass(frozen=True)
class SetMembers:
    """The people who are in the conversation now."""

    user_ids: frozenset[UserId]


@dataclass(frozen=True)
class PairClosed:
    """The two of a one-to-one call may not talk any more: one has blocked the other, or an account is deleted."""


@dataclass(frozen=True)
class MediaConnected:
    """The worker says that a device's media flows. `report_time`: by its own time; None where it does not say."""

    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId
    report_time: datetime | None = None


@dataclass(frozen=True)
class MediaDisconnected:
    """The worker says that a device's media is gone. `replaced`: a newer offer of the same device took its place.
    `closed`: the device itself ended it."""

    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId
    replaced: bool = False
    closed: bool = False
    # As in MediaConnected.
    report_time: datetime | None = None


@dataclass(frozen=True)
class MediaSilent:
    """The worker has heard nothing of a device since `heard_time`. `closed_time`: when its event stream ended; None
    while it has one, or nothing is known of it."""

    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId
    heard_time: datetime
    closed_time: datetime | None = None


@dataclass(frozen=True)
class DeviceReturned:
    """A device that seemed closed has an event stream, or nothing is known of its streams."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True)
class WorkerLost:
    """The worker seems to be dead, and with it the media of all legs on it."""

    worker_id: WorkerId


@dataclass(frozen=True)
class WorkerRecovered:
    """The process that was given up is alive: what it last said of the legs' media holds."""

    worker: Worker


@dataclass(frozen=True)
class Move:
    """What of the call is on the worker named goes to another one; its media goes on for a while unless it is lost."""

    from_worker: Worker | None
    to_worker: Worker
    reason: MoveReason


@dataclass(frozen=True)
class Tick:
    """Time has passed: end what is due."""


Hosting = AdmitGuest | RefuseGuest
Moderation = RequestMute | Remove | SetLock | EndForAll
# What members do themselves, and of these what a device does.
UserInput = Accept | Decline | Cancel | Leave | Join | TakeOver | SetHand
DeviceInput = Accept | Leave | Join | TakeOver
# By which a device comes in.
Entry = Accept | Join | TakeOver
Input = (
    UserInput
    | Moderation
    | Hosting
    | Knock
    | LeaveLobby
    | CloseLink
    | EndByNetwork
    | SetMembers
    | PairClosed
    | MediaConnected
    | MediaDisconnected
    | MediaSilent
    | DeviceReturned
    | WorkerLost
    | WorkerRecovered
    | Move
    | Tick
)
