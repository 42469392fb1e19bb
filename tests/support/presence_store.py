"""A store of states in memory."""

from collections.abc import Collection, Mapping, Sequence

from services.presence.core.model import UserId
from services.presence.core.states import PresenceStatus
from services.presence.core.user_states import StoredState
from services.presence.ports import StateRow
from services.runtime.errors import StoreUnavailable


class MemoryStates:
    """See services.presence.ports.StateStore. `down` makes it refuse; `asked` counts what was asked for."""

    def __init__(self) -> None:
        self.rows: dict[UserId, StateRow] = {}
        self.down = False
        self.asked: list[tuple[UserId, ...]] = []
        self.saved: list[int] = []

    async def save(self, rows: Sequence[StateRow]) -> None:
        self._check()
        self.saved.append(len(rows))
        for row in rows:
            known = self.rows.get(row.user_id)
            if row.state is None:
                self.rows.pop(row.user_id, None)
            elif known is None or known.time <= row.time:
                self.rows[row.user_id] = row

    async def load_last_seen(self, user_ids: Sequence[UserId]) -> Mapping[UserId, float | None]:
        self._check()
        self.asked.append(tuple(user_ids))
        known = {user_id: self.rows[user_id].state for user_id in user_ids if user_id in self.rows}
        return {user_id: state.last_seen if (state := known.get(user_id)) else None for user_id in user_ids}

    async def load_present(self, partitions: Collection[int]) -> Sequence[StoredState]:
        self._check()
        return [
            StoredState(row.user_id, row.state.status, row.call)
            for row in self.rows.values()
            if row.state and row.state.status is not PresenceStatus.OFFLINE and row.partition in partitions
        ]

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("down")
