"""accounts.events.v1 → deletions and signing out, once for all replicas."""

from collections.abc import Sequence

from services.runtime.identity.accounts import standings_in
from services.runtime.kafka.bus import Incoming, TransientFailure
from services.signaling.accounts.service import AccountLifecycle
from services.signaling.core.errors import Contended
from services.signaling.core.model import UserId


class AccountsConsumer:
    """Idempotent."""

    def __init__(self, lifecycle: AccountLifecycle) -> None:
        self._lifecycle = lifecycle

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Errors: PoisonRecord, TransientFailure, StoreUnavailable."""
        for user_id, standing in standings_in(records):
            if not standing:
                continue
            try:
                await self._lifecycle.note(UserId(user_id), standing)
            except Contended as error:
                raise TransientFailure("a call changes too often") from error
