"""What join links need of the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.signaling.core.model import CallId, LinkId, ScheduledId
from services.signaling.links.core import JoinLink, StoredLink


class LinkStore(Protocol):
    """The links, durable and shared by all replicas. Errors of every method: StoreUnavailable."""

    async def add(self, stored: StoredLink, now: datetime, limit: int) -> bool:
        """Store a new link; whether there was room. One of the same request stays as it is, and takes no room."""

    async def find_by_request(self, request_hash: bytes) -> StoredLink | None:
        """The link that a request made."""

    async def find_by_secret(self, secret_hash: bytes) -> JoinLink | None:
        """The link of a secret, whatever became of it."""

    async def find(self, link_id: LinkId) -> JoinLink | None:
        """The link of that id."""

    async def list_of(self, target_id: CallId) -> Sequence[JoinLink]:
        """The links to a call, or to a scheduled one, the oldest first."""

    async def bind(self, scheduled_id: ScheduledId, call_id: CallId) -> None:
        """Let the links to a scheduled call lead to this one. Idempotent."""

    async def revoke(self, link_id: LinkId, now: datetime) -> JoinLink | None:
        """The link, which nobody opens any more; it keeps the time when it was first revoked."""

    async def list_unclosed(self, limit: int) -> Sequence[JoinLink]:
        """Revoked links whose guests may still be in their calls."""

    async def note_closed(self, link_id: LinkId, now: datetime) -> None:
        """Its guests are out."""
