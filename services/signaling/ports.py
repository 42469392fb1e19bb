"""What signaling needs of the world, as small protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from services.signaling.core.calls import Callees
from services.signaling.core.grants import Claims
from services.signaling.core.model import Call, CallId, CallState, ConversationId, EndReason, UserId, Worker, WorkerId


class Record(NamedTuple):
    """An event to publish once the change it tells of is committed."""

    topic: str
    key: str
    value: bytes


@dataclass(frozen=True)
class ClientKey:
    """A client's own id for a call it places; unique per user."""

    user_id: UserId
    client_call_id: str


@dataclass(frozen=True)
class Created:
    """The call is stored, and its members are taken by it."""


@dataclass(frozen=True)
class KeyKnown:
    """Nothing was stored: the client has placed this call before."""

    call: Call


@dataclass(frozen=True)
class CallerTaken:
    """Nothing was stored: the caller is in this other call; None when it has ended since."""

    call: Call | None


@dataclass(frozen=True)
class CalleeTaken:
    """Nothing was stored: another member is in another call."""


Creation = Created | KeyKnown | CallerTaken | CalleeTaken


class Store(Protocol):
    """The calls, durable and shared by all replicas. Every method may raise StoreUnavailable."""

    async def create(self, call: Call, key: ClientKey, records: Sequence[Record]) -> Creation:
        """Store a new call, its client's id and its events, all or nothing.

        A call that has not ended takes all its members: none of them can be in another one.
        """

    async def save(self, call: Call, records: Sequence[Record], key: ClientKey | None = None) -> None:
        """Store a call's next version and its events, all or nothing; an ended call frees its members.

        Raises VersionConflict unless the stored version is the one just below.
        """

    async def find(self, call_id: CallId) -> Call | None:
        """The call as it stands."""

    async def find_by_key(self, key: ClientKey) -> Call | None:
        """The call that the client's id stands for."""

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        """The calls that take this user, oldest first."""

    async def list_running_on(self, worker_id: WorkerId, limit: int) -> Sequence[CallId]:
        """Calls that have not ended on a worker where media is believed to be up."""

    async def list_workers(self) -> Sequence[Worker]:
        """The workers of all calls that have not ended."""

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        """Calls whose time has come, the longest overdue first. Nobody else gets them until the lease is over."""

    async def count_by_state(self) -> Mapping[CallState, int]:
        """How many calls ring and run."""


class WallClock(Protocol):
    """A source of time, so that tests can turn it by hand."""

    def now(self) -> datetime:
        """The time in UTC."""


class Announcer(Protocol):
    """Makes the events that tell of a call's change."""

    def __call__(self, call: Call, now: datetime) -> Sequence[Record]:
        """One event for other services and one for each member's devices."""


class Members(Protocol):
    """Who is in a conversation."""

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        """Whom the caller may ring there. Raises ConversationNotFound, MembersUnavailable."""


class MediaWorkers(Protocol):
    """The SFU workers."""

    async def join(self, worker: Worker, join_token: str, sdp_offer: str) -> str:
        """The SDP answer. Raises JoinTokenInvalid, JoinTokenExpired, SdpInvalid, MediaUnavailable."""

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        """Idempotent. Raises MediaUnavailable."""

    async def is_reachable(self, worker: Worker) -> bool:
        """Whether the worker itself answers, whatever the broker tells of it."""


class MediaCloser(Protocol):
    """Ends media in the background."""

    def close(self, worker: Worker, call_id: CallId) -> None:
        """Returns at once. Best effort: the worker ends media without consent by itself."""


class JoinTokens(Protocol):
    """Signs and reads join tokens."""

    def sign(self, claims: Claims) -> str:
        """The token."""

    def read(self, token: str) -> Claims:
        """What a token of ours says, however old. Raises JoinTokenInvalid."""


class Timers(Protocol):
    """Wakes this replica in time; the table's due_time is what survives it."""

    def schedule(self, call_id: CallId, due_time: datetime) -> None:
        """Have the call looked at then. Forgetting it only makes it late by a sweep."""


class Metrics(Protocol):
    """What operators see."""

    def call_answered(self, ring_s: float) -> None:
        """Time from the ring to the answer."""

    def media_started(self, since_answer_s: float) -> None:
        """Time from the answer until all sides had media."""

    def call_ended(self, reason: EndReason) -> None:
        """A call ended."""

    def setup_failed(self, stage: str) -> None:
        """A call could not be set up: `members`, `placement`, `join` or `media`."""

    def calls_counted(self, by_state: Mapping[CallState, int]) -> None:
        """The calls of all replicas that have not ended."""
