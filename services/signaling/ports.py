"""What signaling needs of the world, as small protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from services.signaling.core.call_settings import CallSettings
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    UserId,
    Worker,
)
from services.signaling.core.quality import QualityReport, UserQuality


class Record(NamedTuple):
    """An event to publish once the change it tells of is committed."""

    topic: str
    key: str
    value: bytes


# Told of each commit: by which key its records are ordered, and what they are.
Committed = Callable[[str, Sequence[Record]], object]


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's own id for a call it places, or for what it does in one; unique per user."""

    user_id: UserId
    client_call_id: str

    @classmethod
    def of_request(cls, user_id: UserId, call_id: CallId, kind: str, client_request_id: str) -> "IdempotencyKey | None":
        """Of a request in a call; None without an id. No client's id of a call has a line break."""
        return cls(user_id, f"{kind}\n{call_id}\n{client_request_id}") if client_request_id else None


@dataclass(frozen=True)
class Created:
    """The call is stored, and those whom it rings are busy with it."""


@dataclass(frozen=True)
class AlreadyStarted:
    """Nothing was stored: the client has placed this call before."""

    call: Call


@dataclass(frozen=True)
class CallerBusy:
    """Nothing was stored: the caller is in this other call; None when it has ended since."""

    call: Call | None


@dataclass(frozen=True)
class CalleesBusy:
    """Nothing was stored: these members, who were to be rung, are busy with other calls."""

    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class GroupCallExists:
    """Nothing was stored: the group has this call already; None when it has ended since."""

    call: Call | None


CreateResult = Created | AlreadyStarted | CallerBusy | CalleesBusy | GroupCallExists


@dataclass(frozen=True)
class Membership:
    """Who is in a conversation, and who may moderate its calls. `group` is false for a direct conversation."""

    user_ids: tuple[UserId, ...]
    admin_ids: frozenset[UserId] = frozenset()
    group: bool = False


@dataclass(frozen=True)
class Callees:
    """The members of a conversation, and those of them whom a caller may ring there."""

    user_ids: tuple[UserId, ...]
    allowed: frozenset[UserId]
    group: bool = False
    # Moderation lets no call begin there.
    frozen: bool = False


class Store(Protocol):
    """The calls, durable and shared by all replicas. Every method may raise StoreUnavailable."""

    async def create(self, call: Call, key: IdempotencyKey, records: Sequence[Record]) -> CreateResult:
        """Store a new call, its client's id and its events, all or nothing.

        The users who are busy with the call (Call.busy_user_ids) can be busy with no other one. A group has one running
        call.
        """

    async def save(
        self, call: Call, records: Sequence[Record], key: IdempotencyKey | None = None, *, same_busy: bool = False
    ) -> None:
        """Store a call's next version and its events, all or nothing; a user who is not busy with it any more is free.

        Raises VersionConflict unless the stored version is the one just below, UserBusy when another call has one of
        its users. `same_busy`: the same users were busy with the version before.
        """

    async def save_key(self, key: IdempotencyKey, call_id: CallId) -> None:
        """Let the client's id stand for a call that it did not change; one that is known stays as it is."""

    async def find(self, call_id: CallId) -> Call | None:
        """The call as it stands."""

    async def find_by_key(self, key: IdempotencyKey) -> Call | None:
        """The call that the client's id stands for."""

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        """The calls that have not ended and that this user is told of, oldest first."""

    async def find_busy_with(self, user_id: UserId) -> Call | None:
        """The call that this user is busy with: in it, or rung by it."""

    async def find_of_group(self, conversation_id: ConversationId) -> Call | None:
        """The call of a group that has not ended."""

    async def list_running_in(self, conversation_id: ConversationId) -> Sequence[Call]:
        """The calls of a conversation that have not ended, the oldest first."""

    async def list_placed(self, user_id: UserId, since: datetime, limit: int) -> Sequence[datetime]:
        """When the user placed calls, the newest first."""

    async def list_over_ring_limit(
        self, user_ids: Sequence[UserId], conversation_id: ConversationId, since: datetime, limit: int
    ) -> Sequence[UserId]:
        """Those of these people who were called by others `limit` times since then, and never were in a call of this
        conversation."""

    async def list_ended(self, user_id: UserId, before: CallId | None, limit: int) -> Sequence[Call]:
        """The user's calls that have ended, the newest first, below `before`."""

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget calls that ended before then, with all that belongs to them; how many there were."""

    async def settings_of(self, user_ids: Sequence[UserId]) -> Mapping[UserId, CallSettings]:
        """How these people want to be rung; those who never chose are left out."""

    async def save_settings(self, user_id: UserId, settings: CallSettings) -> None:
        """Replace a user's settings."""

    async def add_quality(self, reports: Sequence[QualityReport]) -> None:
        """Add reports to the sums. Idempotent: one that is not newer than the last of its key changes nothing.

        Reports of calls that are not known, and of people who are not in them, are passed over.
        """

    async def quality_of(self, call_ids: Sequence[CallId]) -> Mapping[CallId, Sequence[UserQuality]]:
        """The participants' media, by call."""

    async def list_on(self, worker: Worker, limit: int) -> Sequence[CallId]:
        """Calls that have not ended on this process."""

    async def list_workers(self) -> Sequence[Worker]:
        """The workers of all calls that have not ended."""

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        """Calls whose time has come, the longest overdue first. Nobody else gets them until the lease is over."""

    async def count_by_state(self) -> Mapping[CallState, int]:
        """How many calls ring and run."""


class EventsOf(Protocol):
    """Makes the events that tell of a call's change."""

    def __call__(self, before: Call | None, call: Call, now: datetime) -> Sequence[Record]:
        """The events for other services, and one for each member's devices. `before` is None for a new call."""


class Members(Protocol):
    """Who is in a conversation."""

    async def members_of(self, conversation_id: ConversationId) -> Membership:
        """Raises ConversationNotFound, MembersUnavailable."""

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        """Whom this caller may ring there. Raises ConversationNotFound, also when the caller is no member, and
        MembersUnavailable."""

    async def audience_of(self, conversation_id: ConversationId, user_id: UserId) -> frozenset[UserId]:
        """The members who may learn what this one does there, and this one: nobody between whom a block stands.

        Raises ConversationNotFound, also when the user is no member, and MembersUnavailable.
        """

    async def blocked_among(self, user_id: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Those between whom and the user a block stands, whichever way. Raises MembersUnavailable."""


class MediaWorkers(Protocol):
    """The SFU workers."""

    async def join(self, worker: Worker, join_token: str, sdp_offer: str) -> str:
        """The SDP answer. Raises JoinTokenInvalid, JoinTokenExpired, SdpInvalid, MediaUnavailable."""

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        """Idempotent. Raises MediaUnavailable."""

    async def remove(self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId) -> None:
        """End a device's media. Idempotent. Raises MediaUnavailable."""

    async def set_draining(self, worker: Worker, draining: bool) -> None:
        """Have it refuse new devices, or admit them again. Idempotent. Raises MediaUnavailable."""

    async def is_reachable(self, worker: Worker) -> bool:
        """Whether the worker itself answers, whatever the broker tells of it."""


class Devices(Protocol):
    """The devices' event streams."""

    async def closed_for(self, user_id: UserId, device_id: DeviceId) -> timedelta | None:
        """For how long the device, which had an event stream, has had none; None, too, where nothing is known of it."""


class RelayRounds(Protocol):
    """Tells the workers of a call that is on several of each other, in the background."""

    def note(self, call_id: CallId) -> None:
        """Something of where the call's devices are has changed. Returns at once; best effort, upkeep does it again."""


class MediaCloser(Protocol):
    """Ends media in the background."""

    def close(self, worker: Worker, call_id: CallId) -> None:
        """Returns at once. Best effort: the worker ends media without consent by itself."""

    def remove(
        self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId, after_s: float = 0.0
    ) -> None:
        """The same for one device, after a while."""
