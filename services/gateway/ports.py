"""What the gateway needs of the world."""

from collections.abc import Collection, Sequence
from typing import Protocol

from services.gateway.core.model import PresenceFrame, ReplicaId, UserId


class Uplinks(Protocol):
    """The streams to the presence replicas."""

    def push(self, replica: ReplicaId, frame: PresenceFrame) -> None:
        """Queue a frame. A stream that cannot take it is ended, and its replica is told everything again."""


class Membership(Protocol):
    """What messaging knows of who is in a conversation with whom. Errors: MembershipUnavailable."""

    async def audience(self, conversation_id: str, user_id: UserId) -> Collection[UserId]:
        """The members who may learn what the user does there, the user among them. Empty when there is no such
        conversation."""

    def forget(self, user_id: UserId) -> None:
        """The user's relations changed: forget what is remembered of them."""

    async def contacts_among(self, user_id: UserId, candidates: Sequence[UserId]) -> Sequence[UserId]:
        """Of at most 1,000 candidates, those whose presence the user may see; it holds both ways."""


class MembershipUnavailable(Exception):
    """Messaging does not answer now."""
