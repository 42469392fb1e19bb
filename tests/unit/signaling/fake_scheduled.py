"""Scheduled calls in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.signaling.core.model import ConversationId, ScheduledId, UserId
from services.signaling.ports import Record
from services.signaling.scheduled.core import MAX_OF_CONVERSATION, MAX_OF_MAKER, ScheduledCall, State, Waiting
from tests.unit.signaling.fake_links import FakeLinks


class FakeScheduled:
    """scheduled.ports.ScheduledStore in memory, beside the links to what is in it."""

    def __init__(self, links: FakeLinks) -> None:
        self.links = links
        self.records: list[Record] = []
        self.calls: dict[ScheduledId, ScheduledCall] = {}
        self.waiting: dict[ScheduledId, list[Waiting]] = {}
        self._requests: dict[tuple[UserId, str], ScheduledId] = {}

    async def add(self, call: ScheduledCall, request_id: str, records: Sequence[Record]) -> ScheduledCall | None:
        if request_id and (known := await self.find_by_request(call.maker_id, request_id)):
            return known
        standing = [each for each in self.calls.values() if not each.is_over]
        of_maker = sum(each.maker_id == call.maker_id for each in standing)
        of_conversation = sum(each.conversation_id == call.conversation_id for each in standing)
        if of_maker >= MAX_OF_MAKER or of_conversation >= MAX_OF_CONVERSATION:
            return None
        if request_id:
            self._requests[call.maker_id, request_id] = call.scheduled_id
        self.calls[call.scheduled_id] = call
        self.records += records
        return call

    async def save(self, call: ScheduledCall, before: ScheduledCall, records: Sequence[Record]) -> bool:
        if self.calls[call.scheduled_id].version != before.version:
            return False
        moved = call.draft.start_time - before.draft.start_time
        for link in self.links.unbound(call.scheduled_id):
            self.links.change(replace(link, expire_time=link.expire_time + moved))
            if call.is_over:
                await self.links.revoke(link.link_id, call.end_time or call.create_time)
                self.links.closed.add(link.link_id)
        if call.state is not State.PLANNED:
            self.waiting.pop(call.scheduled_id, None)
        self.calls[call.scheduled_id] = call
        self.records += records
        return True

    async def find(self, scheduled_id: ScheduledId) -> ScheduledCall | None:
        return self.calls.get(scheduled_id)

    async def find_by_request(self, maker_id: UserId, request_id: str) -> ScheduledCall | None:
        known = self._requests.get((maker_id, request_id))
        return self.calls[known] if known else None

    async def list_in(self, conversation_id: ConversationId) -> Sequence[ScheduledCall]:
        found = [each for each in self.calls.values() if each.conversation_id == conversation_id and not each.is_over]
        return sorted(found, key=lambda call: (call.draft.start_time, call.scheduled_id))

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[ScheduledId]:
        due = [each for each in self.calls.values() if each.due_time and each.due_time <= now]
        taken = sorted(due, key=lambda call: call.due_time or now)[:limit]
        for call in taken:
            self.calls[call.scheduled_id] = replace(call, due_time=now + lease)
        return [call.scheduled_id for call in taken]

    async def prune(self, before: datetime, limit: int) -> int:
        old = [each.scheduled_id for each in self.calls.values() if each.end_time and each.end_time < before][:limit]
        for scheduled_id in old:
            del self.calls[scheduled_id]
        return len(old)

    async def add_waiting(self, scheduled_id: ScheduledId, waiting: Waiting, now: datetime, limit: int) -> bool:
        if self.calls[scheduled_id].state is not State.PLANNED:
            return True
        others = [each for each in self.waiting.get(scheduled_id, []) if each.user_id != waiting.user_id]
        if len(others) >= limit:
            return False
        self.waiting[scheduled_id] = [*others, waiting]
        return True

    async def remove_waiting(self, scheduled_id: ScheduledId, user_id: UserId) -> bool:
        waiting = self.waiting.get(scheduled_id, [])
        self.waiting[scheduled_id] = [each for each in waiting if each.user_id != user_id]
        return len(self.waiting[scheduled_id]) < len(waiting)

    async def list_waiting(self, scheduled_id: ScheduledId) -> Sequence[Waiting]:
        return self.waiting.get(scheduled_id, [])
