"""What push reads: what devices are told, whom calls ring, who is at a device, and what becomes of accounts."""

from collections.abc import Sequence
from functools import partial

from services.push.core.model import DeviceId, UserId
from services.push.core.news import Told
from services.push.mapping import read_call, read_delivery, read_presence
from services.push.ports import FactsUnavailable
from services.push.service import AccountLifecycle, Notices
from services.runtime.identity.accounts import Standing, standings_in
from services.runtime.kafka.bus import Incoming, TransientFailure

GROUP = "push"


class NewsConsumer:
    """delivery.v1 and calls.events.v1. The offset is committed after what follows is written down. Idempotent.

    Errors: PoisonRecord, TransientFailure, StoreUnavailable."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def handle_deliveries(self, records: Sequence[Incoming]) -> None:
        await self._take([told for record in records for told in read_delivery(record)])

    async def handle_calls(self, records: Sequence[Incoming]) -> None:
        await self._take([told for record in records for told in read_call(record)])

    async def _take(self, told: Sequence[Told]) -> None:
        try:
            await self._notices.take(told)
        except FactsUnavailable as error:
            raise TransientFailure(str(error)) from error


class PresenceConsumer:
    """presence.events.v1. Idempotent. Errors: PoisonRecord, StoreUnavailable."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def handle(self, records: Sequence[Incoming]) -> None:
        await self._notices.note_attended(dict(map(read_presence, records)))


class AccountsConsumer:
    """accounts.events.v1. Idempotent. Errors: PoisonRecord, StoreUnavailable."""

    def __init__(self, lifecycle: AccountLifecycle) -> None:
        self._lifecycle = lifecycle

    async def handle(self, records: Sequence[Incoming]) -> None:
        for user_id, standing in standings_in(records):
            if standing and standing.deleted:
                await self._lifecycle.delete(UserId(user_id))
            elif standing and standing.newest:
                await self._lifecycle.sign_out(UserId(user_id), partial(_is_revoked, standing))


def _is_revoked(standing: Standing, registered: float, device_id: DeviceId) -> bool:
    # Whether the token that registered it had a device as its claim is not known: it counts as this one's.
    return standing.is_revoked(registered, device_id, device_id)
