"""The call of a scheduled one: placed without a ring, and with nobody in it yet."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from services.signaling.core.calls import CallAttempt, ring
from services.signaling.core.errors import CallNotAllowed, Contended
from services.signaling.core.inputs import EndByNetwork
from services.signaling.core.model import Call, CallId, DeviceId, LegState, ScheduledId, UserId
from services.signaling.ports import GroupCallExists, IdempotencyKey
from services.signaling.scheduled.core import ScheduledCall
from services.signaling.starting import CallStarter


@dataclass(frozen=True)
class ScheduledStarter:
    """See ports.Beginner. Safe from all replicas at once: the store has one call for each scheduled one."""

    starter: CallStarter

    async def place(self, call: ScheduledCall, members: Collection[UserId], now: datetime) -> Call:
        """See ports.Beginner."""
        caller = call.maker_id if call.maker_id in members else min(members)
        callees = await self.starter.members.callees_of(call.conversation_id, caller)
        if callees.frozen:
            raise CallNotAllowed("moderation lets no call begin")
        attempt = CallAttempt(
            call_id=CallId(self.starter.new_id(now)),
            conversation_id=call.conversation_id,
            caller_id=caller,
            device_id=DeviceId(""),
            others=dict.fromkeys((user_id for user_id in callees.user_ids if user_id != caller), LegState.NOT_IN_CALL),
            video=call.draft.video,
            group=True,
            capacity=self.starter.policy.group_capacity,
        )
        rung = ring(attempt, self.starter.find_worker(attempt), now, self.starter.changes.timeouts)
        # Nobody is rung; it ends by itself when nobody has come until then.
        placed = replace(rung, ring_deadline=call.wait_end, scheduled_id=call.scheduled_id)
        match await self.starter.create(placed, IdempotencyKey(caller, f"scheduled\n{call.scheduled_id}")):
            case Call() as stored:
                return await self.starter.recheck(stored)
            case GroupCallExists(existing) if existing:
                return existing
            case _:
                raise Contended

    async def withdraw(self, placed: Call, scheduled_id: ScheduledId) -> None:
        """See ports.Beginner."""
        call = await self.starter.store.find(placed.call_id)
        if call and call.scheduled_id == scheduled_id and call.answer_time is None:
            await self.starter.changes.apply(call.call_id, EndByNetwork())
