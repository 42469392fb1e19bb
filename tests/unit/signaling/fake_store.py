"""Signaling's store in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.runtime.errors import StoreUnavailable
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.errors import UserBusy, VersionConflict
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    UserId,
    Worker,
)
from services.signaling.core.quality import Direction, DirectionTotals, QualityKey, QualityReport, UserQuality, sum_up
from services.signaling.ports import (
    AlreadyStarted,
    CalleesBusy,
    CallerBusy,
    Created,
    CreateResult,
    GroupCallExists,
    IdempotencyKey,
    Record,
)


class FakeStore:
    """ports.Store in memory. `down` makes it unavailable; `refused` counts what was asked of it then."""

    def __init__(self) -> None:
        self.down = False
        self.refused = 0
        self.records: list[Record] = []
        self.settings: dict[UserId, CallSettings] = {}
        self._calls: dict[CallId, Call] = {}
        self._keys: dict[IdempotencyKey, CallId] = {}
        self._held: dict[UserId, CallId] = {}
        self._due: dict[CallId, datetime | None] = {}
        self._quality: dict[tuple[QualityKey, Direction], tuple[datetime, DirectionTotals]] = {}

    async def create(self, call: Call, key: IdempotencyKey, records: Sequence[Record]) -> CreateResult:
        self._check()
        if key in self._keys:
            return AlreadyStarted(self._calls[self._keys[key]])
        existing = await self.find_of_group(call.conversation_id) if call.group else None
        if existing and call.state is not CallState.ENDED:
            return GroupCallExists(existing)
        if call.caller_id in call.busy_user_ids and call.caller_id in self._held:
            return CallerBusy(self._calls[self._held[call.caller_id]])
        taken = tuple(user_id for user_id in call.busy_user_ids if user_id in self._held)
        if taken:
            return CalleesBusy(taken)
        self._keys[key] = call.call_id
        self._put(call, records)
        return Created()

    async def save(
        self, call: Call, records: Sequence[Record], key: IdempotencyKey | None = None, *, same_busy: bool = False
    ) -> None:
        self._check()
        if self._calls[call.call_id].version != call.version - 1:
            raise VersionConflict
        for user_id in call.busy_user_ids:
            if self._held.get(user_id, call.call_id) != call.call_id:
                raise UserBusy(user_id, self._held[user_id])
        if key:
            self._keys.setdefault(key, call.call_id)
        self._put(call, records)

    async def save_key(self, key: IdempotencyKey, call_id: CallId) -> None:
        self._check()
        self._keys.setdefault(key, call_id)

    async def find(self, call_id: CallId) -> Call | None:
        self._check()
        return self._calls.get(call_id)

    async def find_by_key(self, key: IdempotencyKey) -> Call | None:
        self._check()
        return self._calls[self._keys[key]] if key in self._keys else None

    async def find_busy_with(self, user_id: UserId) -> Call | None:
        self._check()
        return self._calls[self._held[user_id]] if user_id in self._held else None

    async def find_of_group(self, conversation_id: ConversationId) -> Call | None:
        self._check()
        return next((call for call in self.running() if call.group and call.conversation_id == conversation_id), None)

    async def list_running_in(self, conversation_id: ConversationId) -> Sequence[Call]:
        self._check()
        return [call for call in self.running() if call.conversation_id == conversation_id]

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        self._check()
        return [call for call in self.running() if user_id in call.audience]

    async def list_placed(self, user_id: UserId, since: datetime, limit: int) -> Sequence[datetime]:
        self._check()
        times = [call.create_time for call in self._calls.values() if call.caller_id == user_id]
        return sorted((at for at in times if at > since), reverse=True)[:limit]

    async def list_over_ring_limit(
        self, user_ids: Sequence[UserId], conversation_id: ConversationId, since: datetime, limit: int
    ) -> Sequence[UserId]:
        self._check()

        def is_besieged(user_id: UserId) -> bool:
            legs = {call.call_id: call.leg_of(user_id) for call in self._calls.values()}
            mine = [call for call in self._calls.values() if (leg := legs[call.call_id]) and not leg.is_guest]
            rung = [call for call in mine if call.caller_id != user_id and call.create_time > since]
            here = [call.leg_of(user_id) for call in mine if call.conversation_id == conversation_id]
            return len(rung) >= limit and not any(leg and leg.join_time for leg in here)

        return [user_id for user_id in user_ids if is_besieged(user_id)]

    async def list_ended(self, user_id: UserId, before: CallId | None, limit: int) -> Sequence[Call]:
        self._check()
        ended = [call for call in self._calls.values() if call.state is CallState.ENDED and call.leg_of(user_id)]
        below = [call for call in ended if before is None or call.call_id < before]
        return sorted(below, key=lambda call: call.call_id, reverse=True)[:limit]

    async def prune(self, before: datetime, limit: int) -> int:
        self._check()
        old = [call.call_id for call in self._calls.values() if call.end_time and call.end_time < before][:limit]
        for call_id in old:
            del self._calls[call_id]
        self._keys = {key: call_id for key, call_id in self._keys.items() if call_id not in old}
        self._quality = {key: value for key, value in self._quality.items() if key[0].call_id not in old}
        return len(old)

    async def settings_of(self, user_ids: Sequence[UserId]) -> Mapping[UserId, CallSettings]:
        self._check()
        return {user_id: self.settings[user_id] for user_id in user_ids if user_id in self.settings}

    async def save_settings(self, user_id: UserId, settings: CallSettings) -> None:
        self._check()
        self.settings[user_id] = settings

    async def add_quality(self, reports: Sequence[QualityReport]) -> None:
        self._check()
        for report in reports:
            for direction, totals in report.legs.items():
                last, sums = self._quality.get((report.key, direction), (None, DirectionTotals()))
                call = self._calls.get(report.key.call_id)
                is_known = call is not None and report.key.user_id in call.user_ids and _had(call, report)
                if is_known and (last is None or last < report.report_time):
                    self._quality[report.key, direction] = (report.report_time, sums + totals)

    async def quality_of(self, call_ids: Sequence[CallId]) -> Mapping[CallId, Sequence[UserQuality]]:
        self._check()
        found: dict[CallId, Sequence[UserQuality]] = {}
        for call_id in call_ids:
            parts = [
                (key.user_id, direction, totals)
                for (key, direction), (_, totals) in self._quality.items()
                if key.call_id == call_id
            ]
            if parts:
                found[call_id] = sum_up(parts)
        return found

    async def list_on(self, worker: Worker, limit: int) -> Sequence[CallId]:
        self._check()
        return [call.call_id for call in self.running() if any(map(worker.is_same_process, _carriers(call)))][:limit]

    async def list_workers(self) -> Sequence[Worker]:
        self._check()
        return list(dict.fromkeys(worker for call in self.running() for worker in _carriers(call)))

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        self._check()
        due = sorted((at, call_id) for call_id, at in self._due.items() if at and at <= now)[:limit]
        self._due.update({call_id: now + lease for _, call_id in due})
        return [call_id for _, call_id in due]

    async def count_by_state(self) -> Mapping[CallState, int]:
        self._check()
        states = [call.state for call in self.running()]
        return {state: states.count(state) for state in set(states)}

    def running(self) -> list[Call]:
        """All calls that have not ended."""
        return [call for call in self._calls.values() if call.state is not CallState.ENDED]

    def _put(self, call: Call, records: Sequence[Record]) -> None:
        self._held = {user: held for user, held in self._held.items() if held != call.call_id}
        self._held.update(dict.fromkeys(call.busy_user_ids, call.call_id))
        self._calls[call.call_id] = call
        self._due[call.call_id] = call.due_time
        self.records.extend(records)

    def _check(self) -> None:
        if self.down:
            self.refused += 1
            raise StoreUnavailable


def _carriers(call: Call) -> list[Worker]:
    """The workers that a call is on, but for those that it is moving away from."""
    return [worker for worker in (call.worker, *(leg.worker for leg in call.joined)) if worker]


def _had(call: Call, report: QualityReport) -> bool:
    return (
        call.media_epoch > 0
        or call.spread
        or (call.worker is not None and call.worker.worker_id == report.key.worker_id)
    )
