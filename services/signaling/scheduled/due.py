"""What time brings to scheduled calls: reminders, the beginning, the end. Once, whichever replica looks."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable, is_outage
from services.signaling.core.errors import (
    CallNotAllowed,
    Contended,
    ConversationNotFound,
    MembersUnavailable,
    NoMediaWorker,
)
from services.signaling.core.model import Call, CallState, ScheduledId
from services.signaling.ports import Members, Membership, Store
from services.signaling.scheduled import core
from services.signaling.scheduled.core import Due, Notice, ScheduledCall, State
from services.signaling.scheduled.ports import Beginner, Doors, ScheduledEventsOf, ScheduledStore

log = structlog.get_logger()

# How long a replica that claimed one keeps it from others, and so the wait after what failed. Raising it delays what a
# replica that crashes at that moment was about to do; lowering it lets two look at one, which is harmless.
CLAIM_LEASE = timedelta(seconds=10)
# Of one sweep. Raising it makes longer sweeps; lowering it makes what is due at one full hour last longer.
SWEEP_LIMIT = 200
# That one transaction deletes. Raising it makes longer locks; lowering it makes more transactions.
PRUNE_LIMIT = 500


@dataclass(frozen=True)
class DueScheduledCalls:
    """Safe from all replicas at once: what is told is written with the change that it tells of, by its version."""

    store: ScheduledStore
    calls: Store
    members: Members
    beginner: Beginner
    doors: Doors
    events_of: ScheduledEventsOf
    clock: Clock
    retention: timedelta

    async def sweep(self) -> None:
        """Look at all that are due. Raises StoreUnavailable."""
        for scheduled_id in await self.store.claim_due(self.clock.now(), CLAIM_LEASE, SWEEP_LIMIT):
            try:
                await self.look(scheduled_id)
            except (MembersUnavailable, NoMediaWorker, CallNotAllowed, Contended) as error:
                # When the lease is over it is looked at again, until its time is over.
                log.warning("scheduled_call_waits", scheduled_id=scheduled_id, because=type(error).__name__)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                log.exception("scheduled_call_failed", scheduled_id=scheduled_id)
            except Exception:
                # One that cannot be looked at must not keep the others from it.
                log.exception("scheduled_call_failed", scheduled_id=scheduled_id)

    async def look(self, scheduled_id: ScheduledId) -> None:
        """Do what its time brings. Raises MembersUnavailable, NoMediaWorker, Contended, StoreUnavailable."""
        call = await self.store.find(scheduled_id)
        if call is None or call.due_time is None:
            return
        members = await self._members_of(call)
        now = self.clock.now()
        if call.state is State.PLANNED and (members is None or not call.maker_id):
            # Nobody is left to hold it, the two may not talk any more, or its maker's account is gone: not told which.
            await self._save(core.end(call, State.CANCELLED, now), call, members)
            return
        match core.due(call, now):
            case Due.REMIND:
                await self._save(core.remind(call), call, members, Notice.REMINDER)
            case Due.BEGIN if members:
                await self._begin(call, members)
            case Due.LOOK:
                await self._look_at_end(call, members)
            case _:
                # It was changed after it was claimed.
                await self._save(core.due_again(call), call, None)

    async def prune(self) -> None:
        """Forget those that were over too long ago. Raises StoreUnavailable."""
        before = self.clock.now() - self.retention
        while await self.store.prune(before, PRUNE_LIMIT) == PRUNE_LIMIT:
            continue

    async def _begin(self, call: ScheduledCall, members: Membership) -> None:
        """Each step may be done again: a replica that ends in between leaves it to the next one."""
        placed: Call | None = None
        if call.group:
            placed = await self.beginner.place(call, members.user_ids, self.clock.now())
            await self.doors.open_to(call.scheduled_id, placed.call_id)
            # Whoever comes from here on finds the call.
            for waiting in await self.store.list_waiting(call.scheduled_id):
                await self.doors.knock(placed.call_id, waiting.link_id, waiting.user_id)
        begun = await self._save(core.begin(call, placed.call_id if placed else None), call, members, Notice.BEGINS)
        if placed and not begun:
            found = await self.store.find(call.scheduled_id)
            if found is None or found.state is State.CANCELLED:
                await self.beginner.withdraw(placed, call.scheduled_id)

    async def _look_at_end(self, call: ScheduledCall, members: Membership | None) -> None:
        now = self.clock.now()
        held = await self.calls.find(call.call_id) if call.call_id else None
        if held and held.state is not CallState.ENDED:
            await self._save(core.wait_on(call, now), call, None)
            return
        was_held = call.state is State.OPEN and (not call.group or held is None or held.answer_time is not None)
        await self._save(core.end(call, State.ENDED if was_held else State.UNATTENDED, now), call, members)

    async def _save(
        self, after: ScheduledCall, before: ScheduledCall, members: Membership | None, notice: Notice | None = None
    ) -> bool:
        """Whether it was written. Where it has changed meanwhile, it is due by what was made of it."""
        records = self.events_of(after, members.user_ids, notice, self.clock.now()) if members else ()
        if not await self.store.save(after, before, records):
            return False
        if after.version != before.version:
            log.info("scheduled_call_due", scheduled_id=after.scheduled_id, state=after.state.value)
        return True

    async def _members_of(self, call: ScheduledCall) -> Membership | None:
        """None when nobody may be called there any more. Raises MembersUnavailable."""
        try:
            members = await self.members.members_of(call.conversation_id)
            if not members.group:
                callees = await self.members.callees_of(call.conversation_id, call.maker_id)
                return members if callees.allowed else None
        except ConversationNotFound:
            return None
        return members if members.user_ids else None
