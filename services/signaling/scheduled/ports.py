"""What scheduled calls need of the world."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.signaling.core.model import Call, CallId, ConversationId, LinkId, ScheduledId, UserId
from services.signaling.ports import Record
from services.signaling.scheduled.core import Notice, ScheduledCall, Waiting


class ScheduledStore(Protocol):
    """Scheduled calls, durable and shared by all replicas. Errors of every method: StoreUnavailable."""

    async def add(self, call: ScheduledCall, request_id: str, records: Sequence[Record]) -> ScheduledCall | None:
        """Store a new one with its events, all or nothing; None when there is no room for it. One of the same request
        of the maker's is given as it stands."""

    async def save(self, call: ScheduledCall, before: ScheduledCall, records: Sequence[Record]) -> bool:
        """Store what became of one, with its events, all or nothing; false when it has changed since it was read."""

    async def find(self, scheduled_id: ScheduledId) -> ScheduledCall | None:
        """The one of that id."""

    async def find_by_request(self, maker_id: UserId, request_id: str) -> ScheduledCall | None:
        """The one that a request made."""

    async def list_in(self, conversation_id: ConversationId) -> Sequence[ScheduledCall]:
        """Those of a conversation that are not over, the next one first."""

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[ScheduledId]:
        """Those whose time has come, the longest overdue first. Nobody else gets them until the lease is over."""

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget those that were over before then, with all that belongs to them; how many there were."""

    async def add_waiting(self, scheduled_id: ScheduledId, waiting: Waiting, now: datetime, limit: int) -> bool:
        """Note who waits outside until its time; false when too many do. Idempotent; nobody waits for one whose time
        has come."""

    async def remove_waiting(self, scheduled_id: ScheduledId, user_id: UserId) -> bool:
        """Let somebody wait no more; whether they did."""

    async def list_waiting(self, scheduled_id: ScheduledId) -> Sequence[Waiting]:
        """Who waits outside, the first one first."""


class ScheduledEventsOf(Protocol):
    """Makes the events that tell of a scheduled call."""

    def __call__(
        self, call: ScheduledCall, members: Collection[UserId], notice: Notice | None, now: datetime
    ) -> Sequence[Record]:
        """One for each member's devices. `notice` is for those whom it is for; the others are told of the change."""


class Beginner(Protocol):
    """Places the call of a scheduled one, which rings nobody."""

    async def place(self, call: ScheduledCall, members: Collection[UserId], now: datetime) -> Call:
        """The new call; the same one again for the same scheduled call; or the one that the group has already.

        Raises NoMediaWorker, CallNotAllowed when moderation has frozen the conversation, ConversationNotFound,
        MembersUnavailable, Contended, StoreUnavailable.
        """

    async def withdraw(self, placed: Call, scheduled_id: ScheduledId) -> None:
        """End a call that was placed for one which was cancelled at that moment, unless somebody has come by now.
        Raises StoreUnavailable, Contended."""


class Doors(Protocol):
    """The join links that were made before there was a call."""

    async def open_to(self, scheduled_id: ScheduledId, call_id: CallId) -> None:
        """Let them lead to the call. Idempotent. Raises StoreUnavailable."""

    async def knock(self, call_id: CallId, link_id: LinkId, user_id: UserId) -> None:
        """Somebody who waited knocks, unless the link is closed by now or there is no room. Idempotent.

        Raises StoreUnavailable, MembersUnavailable, Contended.
        """
