"""What the gateway needs of the world."""

from collections.abc import Collection, Sequence
from typing import Protocol

from services.gateway.core import ReplicaId, UpFrame, UserId


class Uplinks(Protocol):
    """The streams to the presence replicas."""

    def push(self, replica: ReplicaId, frame: UpFrame) -> None:
        """Queue a frame. A link that cannot take it is broken, and its replica is told everything anew."""


class Membership(Protocol):
    """Messaging's facts of who is in a conversation with whom. Errors: MembershipUnavailable."""

    async def audience(self, conversation_id: str, user_id: UserId) -> Collection[UserId]:
        """The members who may learn what the user does there, the user among them. Empty when there is no such
        conversation."""

    async def contacts_among(self, user_id: UserId, candidates: Sequence[UserId]) -> Sequence[UserId]:
        """The candidates whose presence the user may see."""


class MembershipUnavailable(Exception):
    """Messaging does not answer now."""
