"""accounts.events.v1 → deletions and signing out, once for all replicas."""

from collections.abc import Sequence

from services.runtime.identity.accounts import decode
from services.runtime.kafka.bus import Incoming, PoisonRecord, TransientFailure
from services.runtime.observability.failures import describe
from services.signaling.accounts.service import AccountLifecycle
from services.signaling.core.errors import Contended
from services.signaling.core.model import UserId


class AccountsConsumer:
    """Idempotent."""

    def __init__(self, lifecycle: AccountLifecycle) -> None:
        self._lifecycle = lifecycle

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Errors: PoisonRecord, TransientFailure, StoreUnavailable."""
        for record in records:
            try:
                user_id, standing = decode(record)
                if standing:
                    await self._lifecycle.note(UserId(user_id), standing)
            except ValueError as error:
                raise PoisonRecord(describe(error)) from error
            except Contended as error:
                raise TransientFailure("a call changes too often") from error
