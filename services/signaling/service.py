"""What users do with calls, and what the SFU reports of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.signaling.changes import CallChanges
from services.signaling.core.calls import Callees, Decision, Placed, find_callee, is_glare, refuse_as_busy, ring
from services.signaling.core.errors import (
    AlreadyInCall,
    AnsweredElsewhere,
    CallEnded,
    CallNotFound,
    Contended,
    JoinTokenInvalid,
    MediaUnavailable,
    MembersUnavailable,
    NoMediaWorker,
    NotInCall,
    SdpInvalid,
)
from services.signaling.core.grants import Grant, GrantPolicy, admit, check_bearer, claim
from services.signaling.core.model import (
    Accept,
    Call,
    CallId,
    CallState,
    Cancel,
    ConversationId,
    Decline,
    DeviceId,
    Leave,
    MediaConnected,
    MediaDisconnected,
    Move,
    UserId,
    Worker,
)
from services.signaling.core.placement import NodeTable
from services.signaling.core.table import Effect
from services.signaling.ports import (
    CalleeTaken,
    CallerTaken,
    ClientKey,
    Created,
    JoinTokens,
    KeyKnown,
    MediaWorkers,
    Members,
    Store,
)

# Each further attempt means that the call in the way changed meanwhile.
START_ATTEMPTS = 4
SEATS = 2


@dataclass(frozen=True)
class StartRequest:
    """A user places a call from a device."""

    caller_id: UserId
    device_id: DeviceId
    conversation_id: ConversationId
    video: bool
    client_call_id: str

    @property
    def key(self) -> ClientKey:
        return ClientKey(self.caller_id, self.client_call_id)


@dataclass(frozen=True)
class CallsService:
    """The use-cases. Every method may raise StoreUnavailable, and Contended when a call changes too often."""

    store: Store
    changes: CallChanges
    members: Members
    media: MediaWorkers
    nodes: NodeTable
    tokens: JoinTokens
    grants: GrantPolicy
    new_id: Callable[[datetime], str]

    async def start_call(self, request: StartRequest) -> tuple[Call, Grant | None]:
        """Ring the other member. Idempotent by the client's id; two who call each other get one call.

        Gives a call that has ended (BUSY) and no grant when the callee is in another one. Raises
        ConversationNotFound, NotDirectConversation, CallNotAllowed, AlreadyInCall, NoMediaWorker, MembersUnavailable.
        """
        call = await self.store.find_by_key(request.key)
        if call is None:
            callee_id = find_callee(await self._callees_of(request), request.caller_id)
            call = await self._start(request, callee_id)
        return call, self._grant_if_seated(call, request.caller_id, request.device_id)

    async def accept_call(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> tuple[Call, Grant]:
        """Answer. Idempotent for the device that won. Raises CallNotFound, AnsweredElsewhere, CallEnded, NotCallee."""
        call = await self.changes.apply(call_id, Accept(user_id, device_id))
        return call, self._grant(call, user_id, device_id)

    async def decline_call(self, call_id: CallId, user_id: UserId) -> Call:
        """Refuse on all devices. Idempotent. Raises CallNotFound, AlreadyAnswered, NotCallee."""
        return await self.changes.apply(call_id, Decline(user_id))

    async def cancel_call(self, call_id: CallId, user_id: UserId) -> Call:
        """Give up while it rings. Idempotent. Raises CallNotFound, AlreadyAnswered, NotCaller."""
        return await self.changes.apply(call_id, Cancel(user_id))

    async def leave_call(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Call:
        """Hang up, cancel or decline, as the call stands. Idempotent. Raises CallNotFound."""
        return await self.changes.apply(call_id, Leave(user_id, device_id))

    async def get_call(self, call_id: CallId, user_id: UserId) -> Call:
        """The call as it stands. Raises CallNotFound, also for somebody who is not part of it."""
        call = await self.store.find(call_id)
        if call is None or call.leg_of(user_id) is None:
            raise CallNotFound
        return call

    async def list_active_calls(self, user_id: UserId) -> Sequence[Call]:
        """The user's calls that ring or run."""
        return await self.store.list_active(user_id)

    async def renew_grant(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Grant:
        """A new join token; a call whose worker is dead goes to another one first.

        Raises CallNotFound, CallEnded, NotInCall, NoMediaWorker.
        """
        call = await self.get_call(call_id, user_id)
        grant = self._grant(call, user_id, device_id)
        if call.worker is None or not await self._is_gone(call.worker):
            return grant
        target = self._place()
        moved = await self.changes.apply(call_id, Move(call.worker.worker_id, target))
        return self._grant(moved, user_id, device_id)

    async def join_media(self, user_id: UserId, join_token: str, sdp_offer: str) -> str:
        """The SFU's SDP answer. A second offer of a device replaces its first.

        Raises JoinTokenInvalid, JoinTokenExpired, CallEnded, SdpInvalid, MediaUnavailable.
        """
        claims = self.tokens.read(join_token)
        check_bearer(claims, user_id, self.changes.clock.now())
        worker = self.nodes.current(admit(claims, await self.store.find(claims.call_id)))
        try:
            return await self.media.join(worker, join_token, sdp_offer)
        except (SdpInvalid, MediaUnavailable, JoinTokenInvalid):
            self.changes.metrics.setup_failed("join")
            raise

    async def note_media(self, call_id: CallId, report: MediaConnected | MediaDisconnected) -> None:
        """Take in what a worker says of a device's media. Idempotent; a call that is not ours is passed over."""
        try:
            await self.changes.apply(call_id, report)
        except CallNotFound:
            return

    async def _callees_of(self, request: StartRequest) -> Callees:
        try:
            return await self.members.callees_of(request.conversation_id, request.caller_id)
        except MembersUnavailable:
            self.changes.metrics.setup_failed("members")
            raise

    async def _start(self, request: StartRequest, callee_id: UserId) -> Call:
        for _ in range(START_ATTEMPTS):
            worker = self._place()
            now = self.changes.clock.now()
            placed = Placed(
                call_id=CallId(self.new_id(now)),
                conversation_id=request.conversation_id,
                caller_id=request.caller_id,
                device_id=request.device_id,
                callee_id=callee_id,
                video=request.video,
            )
            call = ring(placed, worker, now, self.changes.timeouts)
            outcome = await self._create(call, request.key)
            if isinstance(outcome, CalleeTaken):
                outcome = await self._create(refuse_as_busy(call), request.key)
            if isinstance(outcome, Call):
                return outcome
            met = await self._meet(outcome.call, placed, request.key) if isinstance(outcome, CallerTaken) else None
            if met:
                return met
        raise Contended

    async def _create(self, call: Call, key: ClientKey) -> Call | CallerTaken | CalleeTaken:
        decision = Decision(call, (Effect.ANNOUNCE,))
        match await self.store.create(call, key, self.changes.records(decision)):
            case Created():
                if call.state is not CallState.ENDED and call.worker:
                    self.nodes.note_placement(call.worker.worker_id, SEATS, call.create_time)
                self.changes.carry_out(None, decision)
                return call
            case KeyKnown(known):
                return known
            case taken:
                return taken

    async def _meet(self, existing: Call | None, placed: Placed, key: ClientKey) -> Call | None:
        """Answer the call that the callee is placing to us; None when the call in the way changed meanwhile."""
        if existing is None:
            return None
        if not is_glare(existing, placed):
            raise AlreadyInCall
        try:
            return await self.changes.apply(existing.call_id, Accept(placed.caller_id, placed.device_id), key)
        except (AnsweredElsewhere, CallEnded):
            return None

    def _place(self) -> Worker:
        worker = self.nodes.choose(SEATS, self.changes.clock.now())
        if worker is None:
            self.changes.metrics.setup_failed("placement")
            raise NoMediaWorker("no media worker has room")
        return worker

    async def _is_gone(self, worker: Worker) -> bool:
        """Not heard of and not reachable: silence alone may be the broker's."""
        if self.nodes.is_live(worker.worker_id, self.changes.clock.now()):
            return False
        return not await self.media.is_reachable(worker)

    def _grant(self, call: Call, user_id: UserId, device_id: DeviceId) -> Grant:
        now = self.changes.clock.now()
        claims = claim(call, user_id, device_id, self.new_id(now), now, self.grants)
        return Grant(self.tokens.sign(claims), claims.expire_time, self.grants.audio_slots, self.grants.video_slots)

    def _grant_if_seated(self, call: Call, user_id: UserId, device_id: DeviceId) -> Grant | None:
        try:
            return self._grant(call, user_id, device_id)
        except (CallEnded, NotInCall):
            return None
