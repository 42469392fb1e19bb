"""What scheduling needs of the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.messaging.kernel.model import DraftKey, UserId
from services.messaging.scheduling.core import Decide, Scheduled, ScheduledId


class ScheduledStore(Protocol):
    """What waits for its time. Devices of the writer are told in the transaction of each change that raises the
    revision. Errors of every method: runtime's StoreUnavailable."""

    async def put(self, scheduled: Scheduled, most: int) -> Scheduled | None:
        """Keep it, unless its key is known; what stands then. None: its message was sent. Its files stay as long as it
        may. Idempotent.

        Errors: ScheduledCancelled, TooManyScheduled when `most` of the writer's wait, AttachmentNotFound for a file
        that another one has.
        """

    async def change(self, key: DraftKey, decide: Decide, now: datetime) -> Scheduled | None:
        """Lock, decide, write; what stands then. Files that it lets go of are deleted a day later unless a message
        takes them. What `decide` raises undoes the transaction. Errors: AttachmentNotFound as for put."""

    async def find(self, key: DraftKey) -> Scheduled | None:
        """What stands under a key."""

    async def list_of(self, user_id: UserId, after: ScheduledId | None, limit: int) -> Sequence[Scheduled]:
        """What waits or was refused of a person's, by id, above `after`."""

    async def claim(self, now: datetime, until: datetime, lease: UUID, limit: int) -> Sequence[Scheduled]:
        """Some of what is due, for the caller alone until then; what nobody else has, the longest overdue first. What
        is to be sent is SENDING from then on."""

    async def settle(self, settled: Scheduled, lease: UUID, now: datetime) -> None:
        """What became of a claim that was not sent; nothing when another replica has it by now. What was refused is
        forgotten no later than a message of its conversation would vanish."""

    async def forget(self, taken: Scheduled, lease: UUID, now: datetime) -> None:
        """A claim that was sent, or is kept no longer; nothing when another replica has it by now."""

    async def next_due(self) -> datetime | None:
        """When the next one is due; None when there is none."""
