"""Signing devices out: their tokens are refused from then on, by every service."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from services.messaging.accounts.core.revocations import (
    MAX_SIGNED_OUT_AT_ONCE,
    Revocations,
    next_second,
    sign_out,
    sign_out_others,
)
from services.messaging.accounts.ports import RevocationStore
from services.messaging.accounts.service.accounts import AccountAdmission
from services.messaging.kernel import checks
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.runtime.clock import CLOCK_SKEW_S, Clock
from services.runtime.device_ids import DEVICE_ID_RULE, is_device_id

PRUNE_BATCH = 100
# Raising it keeps useless rows for longer; lowering it makes more idle queries.
PRUNE_INTERVAL_S = 600.0

# Told of what holds for a person from now on, so that this replica refuses at once.
Noted = Callable[[UserId, Revocations], None]


class SignOuts:
    """The use-cases. `max_life` is the longest life of a token: so long a revocation is kept."""

    def __init__(
        self, store: RevocationStore, admission: AccountAdmission, noted: Noted, clock: Clock, max_life: timedelta
    ) -> None:
        self._store = store
        self._admission = admission
        self._noted = noted
        self._clock = clock
        self._kept = max_life + timedelta(seconds=CLOCK_SKEW_S)

    async def devices(self, user_id: str, device_ids: Sequence[str]) -> datetime:
        """Sign some devices out; from when on tokens are good again. Errors: InvalidField, AccountDeleted."""
        wanted = check_devices(device_ids)
        if not wanted:
            raise InvalidField("device_ids", "names no device")
        return await self._change(user_id, lambda before, time: sign_out(before, wanted, time))

    async def others(self, user_id: str, kept_device: str = "") -> datetime:
        """Sign all devices out but the one whose tokens name it. Errors: InvalidField, AccountDeleted."""
        return await self._change(user_id, lambda before, time: sign_out_others(before, kept_device, time))

    async def prune(self) -> None:
        """Forget revocations once every token that they are about has expired. Errors: StoreUnavailable.

        Every replica does it; what two of them forget at once is forgotten once.
        """
        count = PRUNE_BATCH
        while count == PRUNE_BATCH:
            now = self._clock.now()
            count = await self._store.prune(now - self._kept, now, PRUNE_BATCH)

    async def _change(self, user_id: str, decide: Callable[[Revocations, datetime], Revocations]) -> datetime:
        person = checks.check_user_id("user_id", user_id)
        await self._admission.require_not_deleted(person)
        now = self._clock.now()
        valid_from = next_second(now)
        revocations = await self._store.change(person, lambda before: decide(before, valid_from), now)
        self._noted(person, revocations)
        return valid_from


def check_devices(device_ids: Sequence[str]) -> tuple[str, ...]:
    """The devices that a request names. Raises InvalidField."""
    if len(device_ids) > MAX_SIGNED_OUT_AT_ONCE:
        raise InvalidField("device_ids", f"has more than {MAX_SIGNED_OUT_AT_ONCE}")
    if not all(map(is_device_id, device_ids)):
        raise InvalidField("device_ids", f"each {DEVICE_ID_RULE}")
    return tuple(dict.fromkeys(device_ids))
