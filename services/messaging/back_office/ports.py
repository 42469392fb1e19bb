"""What the back office's use-cases need of the world."""

from typing import Protocol

from services.messaging.kernel.model import UserId


class Admission(Protocol):
    """Which accounts may still do something."""

    async def require_not_deleted(self, user_id: UserId) -> None:
        """Raises AccountDeleted. Errors: StoreUnavailable."""
