"""What presence needs of the world."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.presence.core.model import Frame, UserId
from services.presence.core.states import OngoingCall, UserState
from services.presence.core.user_states import StoredState


class Link(Protocol):
    """One attached gateway's way out."""

    @property
    def gateway_id(self) -> str:
        """What the gateway calls itself."""

    @property
    def attach_time(self) -> float:
        """Unix seconds."""

    @property
    def queued(self) -> int:
        """Frames that wait."""

    def push(self, frame: Frame) -> bool:
        """Queue a frame. False when the queue is full; the link is then closed and the gateway comes back anew."""

    def fail(self, reason: Exception) -> None:
        """End the gateway's stream with this error, at once."""


@dataclass(frozen=True)
class StateRow:
    """A user's state as others get it. `state` None: the account is gone. `time`: Unix seconds."""

    user_id: UserId
    time: float
    partition: int = 0
    state: UserState | None = None
    call: OngoingCall | None = None


class StateStore(Protocol):
    """The last state of each person. Errors of all methods: StoreUnavailable."""

    async def save(self, rows: Sequence[StateRow]) -> None:
        """Write all in one statement (deletions in another); a row that is older than what stands changes nothing.

        What stands from the future, by the store's clock, came from a wrong clock and hides nothing.
        Each user stands once in `rows`. Idempotent.
        """

    async def last_seen(self, user_ids: Sequence[UserId]) -> Mapping[UserId, float | None]:
        """When these were last seen, in one query: Unix seconds, None where it is not known."""

    async def present(self, partitions: Collection[int]) -> Sequence[StoredState]:
        """Those of these partitions who were not offline when they were written."""

    async def read(self, user_id: UserId) -> dict[str, Any] | None:
        """All that is stored of a person, as plain values; None when nothing is."""


class Group(Protocol):
    """The consumer group of the replicas."""

    async def expel(self, member_id: str) -> None:
        """Take leave for a dead member, if it is in the group. Idempotent. Errors: BusUnavailable."""


class StateFeed(Protocol):
    """The topic presence.events.v1."""

    async def publish(self, rows: Sequence[StateRow]) -> None:
        """Returns when all are acknowledged. Errors: BusUnavailable; some may have been published then."""
