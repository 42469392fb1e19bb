"""What accounts need of the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.signaling.accounts.core import IsRevoked
from services.signaling.core.model import Call, CallId, UserId
from services.signaling.core.quality import UserQuality


@dataclass(frozen=True)
class OwnCall:
    """A call of a person, with what was measured of all, and of this person's devices as it is stored."""

    call: Call
    quality: Sequence[UserQuality]
    media: Sequence[dict[str, Any]]


class PublishedKeys(Protocol):
    """What a person's devices have published. Errors of every method: StoreUnavailable."""

    async def remove_revoked(self, user_id: UserId, is_revoked: IsRevoked) -> None:
        """Forget the keys of devices that were signed out since they published them. Idempotent."""


class AccountStore(Protocol):
    """What stands about a person. Errors of every method: StoreUnavailable."""

    async def list_running(self, user_id: UserId) -> Sequence[Call]:
        """The calls that have not ended and in which the person has a leg, whatever became of it."""

    async def note_deletion(self, user_id: UserId, *, is_last: bool) -> None:
        """Remember that the person is to be erased. `is_last` stays once it was said. Idempotent."""

    async def erase(self, user_id: UserId, limit: int) -> bool:
        """Erase the person's settings and keys, and what stands in some ended calls; whether there may be more of it.
        Calls in which nobody is left go too. Idempotent."""

    async def finish_deletion(self, user_id: UserId) -> bool:
        """Forget the deletion, when it was the last word and no running call has the person; whether it was."""

    async def list_deletions(self, limit: int) -> Sequence[UserId]:
        """Who is to be erased."""

    async def read_rows(self, user_id: UserId) -> Sequence[tuple[str, dict[str, Any]]]:
        """The person's rows beside calls, as they are stored, each under the name of its lines."""

    async def read_calls(self, user_id: UserId, after: CallId | None, limit: int) -> Sequence[OwnCall]:
        """The person's calls by id, above `after`."""
