"""What people do with scheduled calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from services.runtime.clock import Clock
from services.signaling.core.errors import (
    CallNotAllowed,
    Contended,
    ConversationNotFound,
    NotHost,
    ScheduledCallLimit,
    ScheduledCallNotFound,
    ScheduledCallOver,
)
from services.signaling.core.model import ConversationId, ScheduledId, UserId
from services.signaling.ports import Members, Membership
from services.signaling.roster import NO_CONVERSATION
from services.signaling.scheduled import core
from services.signaling.scheduled.core import Answer, Draft, ScheduledCall, State
from services.signaling.scheduled.ports import ScheduledEventsOf, ScheduledStore

log = structlog.get_logger()

# How often a change is decided again after a conflict. Each conflict means that another change was written. Raising it
# lets a request that races with many wait longer; lowering it refuses requests that could succeed.
CHANGE_ATTEMPTS = 8

# What becomes of one, and whether it has.
Decide = Callable[[ScheduledCall, datetime], ScheduledCall]
IsDone = Callable[[ScheduledCall], bool]


@dataclass(frozen=True)
class ScheduledCalls:
    """The use-cases. Every method may raise StoreUnavailable and MembersUnavailable.

    Who is in the conversation, and between whom a block stands, is asked each time: nothing of it is kept here.
    """

    store: ScheduledStore
    members: Members
    events_of: ScheduledEventsOf
    clock: Clock
    new_id: Callable[[datetime], str]

    async def schedule(
        self, maker_id: UserId, conversation_id: ConversationId, draft: Draft, request_id: str
    ) -> ScheduledCall:
        """Plan a call. Idempotent by the request's id.

        Raises ConversationNotFound, CallNotAllowed, ScheduledCallLimit.
        """
        if request_id and (known := await self.store.find_by_request(maker_id, request_id)):
            return known
        callees = await self.members.callees_of(conversation_id, maker_id)
        if callees.frozen or (not callees.allowed and not callees.group):
            raise CallNotAllowed("no call can be planned there")
        now = self.clock.now()
        made = ScheduledCall(
            ScheduledId(self.new_id(now)), conversation_id, maker_id, draft, group=callees.group, create_time=now
        )
        made = core.plan(made, now)
        records = self.events_of(made, callees.user_ids, None, now)
        stored = await self.store.add(made, request_id, records)
        if stored is None:
            raise ScheduledCallLimit
        log.info("call_scheduled", scheduled_id=stored.scheduled_id, conversation_id=conversation_id)
        return stored

    async def change(self, scheduled_id: ScheduledId, user_id: UserId, draft: Draft) -> ScheduledCall:
        """Plan it anew. Idempotent. Raises ScheduledCallNotFound, NotHost, ScheduledCallOver, Contended."""

        def is_done(call: ScheduledCall) -> bool:
            return call.draft == draft and call.state is not State.CANCELLED

        return await self._lead(scheduled_id, user_id, lambda call, now: core.change(call, draft, now), is_done)

    async def cancel(self, scheduled_id: ScheduledId, user_id: UserId) -> ScheduledCall:
        """Take it back. Idempotent. Raises as `change`."""

        def is_done(call: ScheduledCall) -> bool:
            return call.state is State.CANCELLED

        return await self._lead(scheduled_id, user_id, lambda call, now: core.end(call, State.CANCELLED, now), is_done)

    async def answer(self, scheduled_id: ScheduledId, user_id: UserId, said: Answer) -> ScheduledCall:
        """Say whether one comes. Idempotent. Raises ScheduledCallNotFound, ScheduledCallOver, Contended."""

        def is_done(call: ScheduledCall) -> bool:
            return call.answers.get(user_id) is said

        return await self._change(scheduled_id, user_id, lambda call, _: core.answer(call, user_id, said), is_done)

    async def list_in(self, conversation_id: ConversationId, user_id: UserId) -> Sequence[ScheduledCall]:
        """Those that are not over, the next one first. Raises ConversationNotFound."""
        members = await self._see(conversation_id, user_id)
        return [among(call, members) for call in await self.store.list_in(conversation_id)]

    async def find_seen(self, scheduled_id: ScheduledId, user_id: UserId) -> tuple[ScheduledCall, Membership]:
        """One of a conversation that the user is in, and its members. Raises ScheduledCallNotFound."""
        call = await self.store.find(scheduled_id)
        try:
            # Asked all the same, so that neither the time nor an outage tells whether there is such a one.
            members = await self._see(call.conversation_id if call else NO_CONVERSATION, user_id)
        except ConversationNotFound as error:
            raise ScheduledCallNotFound from error
        if call is None:
            raise ScheduledCallNotFound
        return call, members

    async def _lead(self, scheduled_id: ScheduledId, user_id: UserId, decide: Decide, is_done: IsDone) -> ScheduledCall:
        """For those who lead it. What stands already needs no role."""
        call, members = await self.find_seen(scheduled_id, user_id)
        if not is_done(call) and not core.may_lead(call, user_id, members.admin_ids):
            raise NotHost
        return await self._change(scheduled_id, user_id, decide, is_done)

    async def _change(
        self, scheduled_id: ScheduledId, user_id: UserId, decide: Decide, is_done: IsDone
    ) -> ScheduledCall:
        for _ in range(CHANGE_ATTEMPTS):
            before, members = await self.find_seen(scheduled_id, user_id)
            if is_done(before):
                return among(before, members)
            if before.state is not State.PLANNED:
                raise ScheduledCallOver
            now = self.clock.now()
            after = decide(before, now)
            if await self.store.save(after, before, self.events_of(after, members.user_ids, None, now)):
                log.info("scheduled_call_changed", scheduled_id=scheduled_id, state=after.state.value)
                return among(after, members)
        raise Contended

    async def _see(self, conversation_id: ConversationId, user_id: UserId) -> Membership:
        """The members, for one of them. Raises ConversationNotFound, also for two between whom a block stands."""
        members = await self.members.members_of(conversation_id)
        if user_id not in members.user_ids:
            raise ConversationNotFound
        if not members.group and len(await self.members.audience_of(conversation_id, user_id)) < 2:
            raise ConversationNotFound
        return members


def among(call: ScheduledCall, members: Membership) -> ScheduledCall:
    """As it is told: with the answers of those who are in the conversation."""
    return replace(call, answers={user: said for user, said in call.answers.items() if user in members.user_ids})
