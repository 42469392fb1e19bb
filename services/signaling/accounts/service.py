"""Deletes accounts, and takes devices that were signed out of calls."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from services.runtime.errors import StoreUnavailable, is_outage
from services.runtime.identity.accounts import Standing
from services.signaling.accounts import core
from services.signaling.accounts.ports import AccountStore, PublishedKeys
from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallNotFound
from services.signaling.core.inputs import Input
from services.signaling.core.model import CallId, DeviceId, UserId

log = structlog.get_logger()

# Calls of one transaction. Raising it makes longer locks; lowering it makes more transactions.
ERASE_CALLS = 200
# Deletions of one sweep. They wait for calls that still run, so that there are few.
SWEEP_DELETIONS = 1_000


@dataclass(frozen=True)
class AccountLifecycle:
    """The use-cases. Safe from all replicas at once, and idempotent: what is done already changes nothing."""

    store: AccountStore
    changes: CallChanges
    keys: PublishedKeys

    async def note(self, user_id: UserId, standing: Standing) -> None:
        """What holds for an account now. Errors: StoreUnavailable, Contended."""
        if standing.deleted:
            await self._delete(user_id, is_last=standing.erased)
        elif standing.newest:
            await self._sign_out(user_id, standing)

    async def sweep(self) -> None:
        """Erase those whose calls went on when they were deleted. Errors: StoreUnavailable."""
        for user_id in await self.store.list_deletions(SWEEP_DELETIONS):
            try:
                await self._erase(user_id)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                log.exception("erasing_failed")
            except Exception:
                # One person whose calls cannot be erased must not keep the others' from it.
                log.exception("erasing_failed")

    async def _delete(self, user_id: UserId, *, is_last: bool) -> None:
        await self.store.note_deletion(user_id, is_last=is_last)
        for call in await self.store.list_running(user_id):
            given = core.input_for_deletion(call, user_id)
            if given:
                await self._apply(call.call_id, given)
        await self._erase(user_id)
        log.info("account_erased", last=is_last)

    async def _erase(self, user_id: UserId) -> None:
        while await self.store.erase(user_id, ERASE_CALLS):
            continue
        await self.store.finish_deletion(user_id)

    async def _sign_out(self, user_id: UserId, standing: Standing) -> None:
        def is_revoked(time: datetime, device_id: DeviceId) -> bool:
            return standing.is_revoked(time.timestamp(), device_id, device_id)

        await self.keys.remove_revoked(user_id, is_revoked)
        running = await self.store.list_running(user_id)
        found = core.leaves_of_revoked_devices(running, user_id, is_revoked)
        for call, leave in found:
            await self._apply(call.call_id, leave)

    async def _apply(self, call_id: CallId, given: Input) -> None:
        try:
            await self.changes.apply(call_id, given)
        except CallNotFound:
            return
