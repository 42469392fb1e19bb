"""How a call begins: who may be rung, which worker carries it, and whose call it really is when two begin at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.signaling import metrics
from services.signaling.changes import CallChanges
from services.signaling.core.calls import (
    DIRECT_CAPACITY,
    CallAttempt,
    Decision,
    apply_call_waiting,
    is_glare,
    refuse_as_busy,
    ring,
)
from services.signaling.core.errors import (
    AlreadyInCall,
    AnsweredElsewhere,
    CallEnded,
    CallNotAllowed,
    CallRate,
    Contended,
    ConversationNotFound,
    MembersUnavailable,
    NoMediaWorker,
    NotGroupCall,
    UserBusy,
)
from services.signaling.core.inputs import Accept, Join
from services.signaling.core.model import Call, CallId, CallState, ConversationId, DeviceId, LegState, UserId, Worker
from services.signaling.core.placement import WorkerTable
from services.signaling.core.rate import StartPolicy, check_rate
from services.signaling.core.rules import Effect
from services.signaling.ports import (
    AlreadyStarted,
    Callees,
    CalleesBusy,
    CallerBusy,
    Created,
    GroupCallExists,
    IdempotencyKey,
    Members,
    Store,
)
from services.signaling.roster import Roster

log = structlog.get_logger()

# How often a call is planned again. Each further attempt means that the call in the way changed meanwhile. Raising it
# lets a request wait longer; lowering it refuses requests that could succeed.
START_ATTEMPTS = 6


@dataclass(frozen=True)
class StartRequest:
    """A user places a call from a device. `trace` is the W3C header of the request.

    `device_id` is empty when a server of the network does it as the user: nobody is in the call then.
    """

    caller_id: UserId
    device_id: DeviceId
    conversation_id: ConversationId
    video: bool
    client_call_id: str
    trace: str = ""

    @property
    def key(self) -> IdempotencyKey:
        return IdempotencyKey(self.caller_id, self.client_call_id)


@dataclass(frozen=True)
class CallStarter:
    """Places calls. Safe from all replicas at once: the store decides who was first."""

    store: Store
    changes: CallChanges
    members: Members
    roster: Roster
    workers: WorkerTable
    policy: StartPolicy
    new_id: Callable[[datetime], str]

    async def start(self, request: StartRequest) -> Call:
        """The new call, or the one that stands in its place: see CallsService.start_call."""
        await self._check_rate(request.caller_id)
        callees = await self._ask_members(request)
        if request.caller_id not in callees.user_ids:
            raise ConversationNotFound
        if not request.device_id and not callees.group:
            raise NotGroupCall("in a direct conversation the other one would find nobody in the call")
        if callees.frozen or (not callees.allowed and not callees.group):
            raise CallNotAllowed("this call cannot be placed")
        for _ in range(START_ATTEMPTS):
            attempt = await self._plan(request, callees)
            call = await self._try_start(attempt, request.key)
            if call:
                return await self.recheck(call)
        raise Contended

    async def recheck(self, call: Call) -> Call:
        """Apply what changed while the call began, because its event found no call yet.

        Members who left the group are taken out. If the callee has blocked the caller, the call ends.
        """
        if call.state is CallState.ENDED:
            return call
        try:
            await self.roster.recheck(call)
        except MembersUnavailable:
            # The call goes on: messaging answered a moment ago, and the next event corrects the members.
            log.warning("call_members_unsettled", call_id=call.call_id)
            return call
        return await self.store.find(call.call_id) or call

    async def _check_rate(self, caller_id: UserId) -> None:
        now, policy = self.changes.clock.now(), self.policy.rate
        placed = await self.store.list_placed(caller_id, policy.begin(now), policy.max_calls)
        check_rate(placed, now, policy)

    async def _ask_members(self, request: StartRequest) -> Callees:
        try:
            return await self.members.callees_of(request.conversation_id, request.caller_id)
        except MembersUnavailable:
            metrics.SETUP_FAILURES.labels("members").inc()
            raise

    async def _plan(self, request: StartRequest, callees: Callees) -> CallAttempt:
        now = self.changes.clock.now()
        settings = await self.store.settings_of(sorted(callees.allowed))
        over_limit = await self._find_over_ring_limit(request.conversation_id, callees, now)

        def begin(user_id: UserId) -> LegState:
            if user_id not in callees.allowed or user_id in over_limit:
                return LegState.NOT_IN_CALL
            is_quiet = user_id in settings and settings[user_id].is_quiet(now)
            return LegState.QUIET if is_quiet else LegState.RINGING

        return CallAttempt(
            call_id=CallId(self.new_id(now)),
            conversation_id=request.conversation_id,
            caller_id=request.caller_id,
            device_id=request.device_id,
            others={user_id: begin(user_id) for user_id in callees.user_ids if user_id != request.caller_id},
            video=request.video,
            group=callees.group,
            capacity=self.policy.group_capacity if callees.group else DIRECT_CAPACITY,
            trace=request.trace,
        )

    async def _find_over_ring_limit(
        self, conversation_id: ConversationId, callees: Callees, now: datetime
    ) -> Sequence[UserId]:
        """Callees who are rung too often to be rung by strangers, too. In a group they may still join."""
        policy = self.policy.rate
        found = await self.store.list_over_ring_limit(
            sorted(callees.allowed), conversation_id, policy.begin(now), policy.max_rings
        )
        if found and not callees.group:
            # Always the same delay, so that the caller does not learn when others called.
            raise CallRate(policy.window_s)
        return found

    async def _try_start(self, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        """The call; None when the call in the way has changed, so that the attempt must be planned again."""
        call = ring(attempt, self.find_worker(attempt), self.changes.clock.now(), self.changes.timeouts)
        outcome = await self.create(call, key)
        if isinstance(outcome, CalleesBusy):
            answered = await self._resolve_quiet_glare(attempt, key)
            if answered:
                return answered
            outcome = await self.create(await self._without_busy(call, outcome.user_ids), key)
        match outcome:
            case Call():
                return outcome
            case CallerBusy(existing) if existing:
                return await self._resolve_glare(existing, attempt, key)
            case GroupCallExists(existing) if existing:
                return await self._join_existing(existing, attempt, key)
            case _:
                return None

    async def create(self, call: Call, key: IdempotencyKey) -> Call | CallerBusy | CalleesBusy | GroupCallExists:
        """Store a new call and tell of it; the one of the same key, or what stands in its way."""
        decision = Decision(call, (Effect.PUBLISH,))
        match await self.store.create(call, key, self.changes.records(None, decision)):
            case Created():
                if call.state is not CallState.ENDED and call.worker:
                    expected = _expected_participants(call)
                    self.workers.note_placement(call.worker.worker_id, expected, call.create_time, call.call_id)
                self.changes.carry_out(None, decision)
                return call
            case AlreadyStarted(known):
                return known
            case refused:
                return refused

    async def _without_busy(self, call: Call, busy: tuple[UserId, ...]) -> Call:
        """The call when these callees are in other calls: it rings those with call waiting."""
        settings = await self.store.settings_of(busy)
        waiting = [user_id for user_id in busy if user_id in settings and settings[user_id].call_waiting]
        if not call.group and not waiting:
            return refuse_as_busy(call)
        return apply_call_waiting(call, busy, waiting)

    async def _resolve_quiet_glare(self, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        """Answer the call that the callee is placing to the caller, where quiet hours keep it from ringing."""
        if attempt.callee_id is None:
            return None
        existing = await self.store.find_busy_with(attempt.callee_id)
        return await self._answer(existing, attempt, key) if existing and is_glare(existing, attempt) else None

    async def _resolve_glare(self, existing: Call, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        """The caller is in another call: answer or join it if it is the same one that they are placing.

        None when that call changed meanwhile. Raises AlreadyInCall for any other call.
        """
        if is_glare(existing, attempt):
            return await self._answer(existing, attempt, key)
        if existing.group and existing.conversation_id == attempt.conversation_id:
            return await self._join(existing, attempt, key)
        # The same request may have answered that call a moment ago.
        if known := await self.store.find_by_key(key):
            return known
        raise AlreadyInCall

    async def _answer(self, existing: Call, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        try:
            return await self.changes.apply(existing.call_id, Accept(attempt.caller_id, attempt.device_id), key)
        except (AnsweredElsewhere, CallEnded):
            return None

    async def _join_existing(self, existing: Call, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        """Join the call that the group has already; without a device, know it again."""
        if not attempt.device_id:
            await self.store.save_key(key, existing.call_id)
            return existing
        if existing.leg_of(attempt.caller_id) is None:
            await self.roster.sync(existing)
        return await self._join(existing, attempt, key)

    async def _join(self, existing: Call, attempt: CallAttempt, key: IdempotencyKey) -> Call | None:
        try:
            return await self.changes.apply(existing.call_id, Join(attempt.caller_id, attempt.device_id), key)
        except CallEnded:
            return None
        except UserBusy as error:
            raise AlreadyInCall from error

    def find_worker(self, attempt: CallAttempt) -> Worker:
        """Which worker carries it. Raises NoMediaWorker."""
        now = self.changes.clock.now()
        worker = self.workers.choose(min(attempt.capacity, 1 + len(attempt.others)), now)
        if worker is None and attempt.group and self.workers.policy.spreads_calls:
            # Others may be on other workers.
            worker = self.workers.choose(1, now)
        if worker is None:
            metrics.SETUP_FAILURES.labels("placement").inc()
            raise NoMediaWorker("no media worker has room")
        return worker


def _expected_participants(call: Call) -> int:
    """How many may be in the call soon."""
    return min(call.capacity, len(call.legs))
