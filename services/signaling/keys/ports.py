"""What keys need of the world."""

from collections.abc import Callable, Sequence
from typing import Protocol

from services.signaling.core.model import CallId, DeviceId, UserId
from services.signaling.keys.core import Account, CallKey
from services.signaling.ports import Record

# What becomes of an account's keys; the same object for no change.
Change = Callable[[Account | None], Account | None]


class KeyStore(Protocol):
    """The keys, durable and shared by all replicas. Errors of every method: StoreUnavailable."""

    async def change(self, user_id: UserId, change: Change, records: Sequence[Record]) -> Account | None:
        """An account's keys after the change, alone at that time; the records are written with it, unless nothing
        changed. What `change` raises leaves all as it was."""

    async def list_accounts(self, user_ids: Sequence[UserId]) -> Sequence[Account]:
        """Of these people, those who have published something."""

    async def pass_on(self, keys: Sequence[tuple[CallKey, Record]]) -> None:
        """Store keys of one sender and epoch in one call, each with its record. Passed over are those of no higher
        epoch than is stored, and all of a call that has ended."""

    async def list_call_keys(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Sequence[CallKey]:
        """The last one of each sender for a device."""
