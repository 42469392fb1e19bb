"""Who is admitted to a call's media: grants, and offers to the worker."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runtime.clock import Clock
from services.runtime.observability import tracing
from services.signaling import metrics
from services.signaling.core.errors import (
    CallEnded,
    CallNotFound,
    JoinTokenInvalid,
    MediaUnavailable,
    NotInCall,
    SdpInvalid,
)
from services.signaling.core.grants import Grant, GrantPolicy, admit, check_bearer, make_claims, turn_user_id
from services.signaling.core.model import Call, CallId, DeviceId, UserId
from services.signaling.join_tokens import JwtJoinTokens
from services.signaling.moves import CallMoves
from services.signaling.ports import MediaWorkers, Store
from services.signaling.turn import HmacTurnServers


@dataclass(frozen=True)
class MediaAccess:
    """Grants, and what devices do with them. Every method that waits may raise StoreUnavailable."""

    store: Store
    moves: CallMoves
    media: MediaWorkers
    tokens: JwtJoinTokens
    turn: HmacTurnServers
    policy: GrantPolicy
    clock: Clock
    new_id: Callable[[datetime], str]

    def grant(self, call: Call, user_id: UserId, device_id: DeviceId) -> Grant:
        """For a device that is in the call. Raises CallEnded, CallNotFound, NotInCall."""
        now = self.clock.now()
        claims = make_claims(call, user_id, device_id, self.new_id(now), now, self.policy)
        audio_slots, video_slots = self.policy.slots_of(call)
        return Grant(
            join_token=self.tokens.sign(claims),
            expire_time=claims.expire_time,
            audio_slots=audio_slots,
            video_slots=video_slots,
            media_epoch=call.epoch_of(leg) if (leg := call.leg_of(user_id)) else call.media_epoch,
            ice_servers=self.turn.servers_for(turn_user_id(user_id), now),
        )

    def grant_if_in_call(self, call: Call, user_id: UserId, device_id: DeviceId) -> Grant | None:
        """The same; None for a device that is not in the call, or when the call has ended."""
        try:
            return self.grant(call, user_id, device_id)
        except (CallEnded, CallNotFound, NotInCall):
            return None

    async def renew_grant(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Grant:
        """A new join token; what of a call is on a dead worker goes to another one first.

        Raises CallNotFound, CallEnded, NotInCall, NoMediaWorker.
        """
        call = await self.store.find(call_id)
        if call is None:
            raise CallNotFound
        # Before anything is moved for somebody who is not in the call.
        self.grant(call, user_id, device_id)
        return self.grant(await self.moves.rescue(call, user_id), user_id, device_id)

    async def join_media(self, user_id: UserId, join_token: str, sdp_offer: str) -> str:
        """The SFU's SDP answer. A second offer of a device replaces its first.

        Raises JoinTokenInvalid, JoinTokenExpired, CallEnded, SdpInvalid, MediaUnavailable.
        """
        claims = self.tokens.read(join_token)
        check_bearer(claims, user_id, self.clock.now())
        call = await self.store.find(claims.call_id)
        worker = self.moves.workers.current(admit(claims, call))
        try:
            # In the trace of StartCall, so that it goes on to the first media.
            with tracing.span("join media", call.trace if call else ""):
                answer = await self.media.join(worker, join_token, sdp_offer)
        except (SdpInvalid, MediaUnavailable, JoinTokenInvalid):
            metrics.SETUP_FAILURES.labels("join").inc()
            raise
        if call:
            self.moves.changes.note_joined(call)
        return answer
