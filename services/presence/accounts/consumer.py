"""accounts.events.v1 → what is stored of deleted users is erased, once for all replicas."""

from collections.abc import Sequence

from services.presence.core.model import UserId
from services.presence.ports import StateFeed, StateRow, StateStore
from services.runtime.clock import Clock
from services.runtime.identity.accounts import standings_in
from services.runtime.kafka.bus import Incoming


class AccountsConsumer:
    """Beside what `Delivery.user_deleted` does at the owner of the user: that lasts an hour, and this for good."""

    def __init__(self, store: StateStore, feed: StateFeed, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent. Errors: PoisonRecord, StoreUnavailable, BusUnavailable."""
        gone = {}
        for user_id, standing in standings_in(records):
            # Until messaging has erased the person, the state of a device that is leaving may still be written.
            if standing and standing.erased:
                gone[user_id] = StateRow(UserId(user_id), self._clock.now().timestamp())
        if gone:
            await self._store.save(list(gone.values()))
            await self._feed.publish(list(gone.values()))
