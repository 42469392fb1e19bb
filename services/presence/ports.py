"""What presence needs of the world."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.presence.core.model import UserId
from services.presence.core.states import OngoingCall, UserState
from services.presence.core.user_states import StoredState


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

    async def load_last_seen(self, user_ids: Sequence[UserId]) -> Mapping[UserId, float | None]:
        """When these were last seen, in one query: Unix seconds, None where it is not known."""

    async def load_present(self, partitions: Collection[int]) -> Sequence[StoredState]:
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
