"""What users do with calls, and what the SFU reports of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from services.signaling.changes import CallChanges
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.errors import (
    CallNotFound,
    Contended,
    MembersUnavailable,
    NotAdmin,
    UserBusy,
)
from services.signaling.core.grants import (
    Grant,
)
from services.signaling.core.inputs import (
    Accept,
    Cancel,
    Decline,
    EndForAll,
    Join,
    Leave,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    Moderation,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    TakeOver,
)
from services.signaling.core.model import RUNG, Call, CallId, CallState, DeviceId, UserId
from services.signaling.core.quality import UserQuality
from services.signaling.media_access import MediaAccess
from services.signaling.ports import (
    Devices,
    IdempotencyKey,
    Store,
)
from services.signaling.roster import Roster
from services.signaling.starting import CallStarter, StartRequest

log = structlog.get_logger()

# How often entering a call is tried again. Each further attempt means that the call in the way changed meanwhile.
# Raising it lets a request wait longer; lowering it refuses requests that could succeed.
ENTER_ATTEMPTS = 4


@dataclass(frozen=True)
class EndedPage:
    """Some of a user's ended calls, the newest first. `before` leads to the next page; None on the last."""

    calls: Sequence[Call]
    quality: Mapping[CallId, Sequence[UserQuality]]
    before: CallId | None


@dataclass(frozen=True)
class CallsService:
    """The use-cases. Every method may raise StoreUnavailable, and Contended when a call changes too often.

    `request_id` is the client's, the same in each retry of a request: what has happened since is then not undone.
    """

    store: Store
    changes: CallChanges
    starter: CallStarter
    roster: Roster
    access: MediaAccess
    devices: Devices

    # Ringing, answering, hanging up.

    async def start_call(self, request: StartRequest) -> tuple[Call, Grant | None]:
        """Ring the others. Idempotent by the client's id; two who call each other get one call, and so does a group.

        Gives a call that has ended (BUSY) and no grant when the callee is in another one. Raises
        ConversationNotFound, CallNotAllowed, CallRate, AlreadyInCall, NoMediaWorker, MembersUnavailable, and for a
        group whose call runs what join_call raises.
        """
        call = await self.store.find_by_key(request.key) or await self.starter.start(request)
        grant = self.access.grant_if_in_call(call, request.caller_id, request.device_id)
        return call.seen_by(request.caller_id), grant

    async def accept_call(
        self, call_id: CallId, user_id: UserId, device_id: DeviceId, request_id: str = ""
    ) -> tuple[Call, Grant | None]:
        """Answer, and leave another call. Idempotent for the device that won: no grant once the call has ended.

        Raises CallNotFound, AnsweredElsewhere, CallEnded, NotCallee, and for a group what join_call raises.
        """
        key = IdempotencyKey.of_request(user_id, call_id, "accept", request_id)
        if done := await self._find_done(key):
            return done.seen_by(user_id), self.access.grant_if_in_call(done, user_id, device_id)
        await self._check_answer(await self.store.find(call_id), user_id, device_id)
        call = await self._enter(call_id, Accept(user_id, device_id), key)
        return call.seen_by(user_id), self.access.grant_if_in_call(call, user_id, device_id)

    async def decline_call(self, call_id: CallId, user_id: UserId) -> Call:
        """Refuse on all devices. Idempotent. Raises CallNotFound, AlreadyAnswered, NotCallee."""
        return (await self.changes.apply(call_id, Decline(user_id))).seen_by(user_id)

    async def cancel_call(self, call_id: CallId, user_id: UserId) -> Call:
        """Give up while it rings. Idempotent. Raises CallNotFound, AlreadyAnswered, NotCaller."""
        return await self.changes.apply(call_id, Cancel(user_id))

    async def leave_call(self, call_id: CallId, user_id: UserId, device_id: DeviceId, request_id: str = "") -> Call:
        """Hang up, cancel or decline, as the call stands. Idempotent. Raises CallNotFound."""
        key = IdempotencyKey.of_request(user_id, call_id, "leave", request_id)
        return (await self.changes.apply(call_id, Leave(user_id, device_id), key)).seen_by(user_id)

    # Groups.

    async def join_call(
        self, call_id: CallId, user_id: UserId, device_id: DeviceId, request_id: str = ""
    ) -> tuple[Call, Grant | None]:
        """Come into a group's call, and leave another one. Idempotent for the device that is in it, or was at its end:
        then without a grant.

        Raises CallNotFound, NotGroupCall, CallEnded, CallLocked, CallFull, RemovedFromCall, AnsweredElsewhere,
        MembersUnavailable.
        """
        key = IdempotencyKey.of_request(user_id, call_id, "join", request_id)
        if done := await self._find_done(key):
            # Also of who has left the conversation since.
            return done.seen_by(user_id), self.access.grant_if_in_call(done, user_id, device_id)
        await self._check_new_participant(await self.store.find(call_id), user_id, device_id)
        call = await self._enter(call_id, Join(user_id, device_id), key)
        return call.seen_by(user_id), self.access.grant_if_in_call(call, user_id, device_id)

    async def set_hand(self, call_id: CallId, user_id: UserId, raised: bool, request_id: str = "") -> Call:
        """Raise or lower one's hand. Idempotent. Raises CallNotFound, CallEnded, NotInCall."""
        key = IdempotencyKey.of_request(user_id, call_id, "hand", request_id)
        return (await self.changes.apply(call_id, SetHand(user_id, raised), key)).seen_by(user_id)

    async def request_mute(self, call_id: CallId, user_id: UserId, target_id: UserId, request_id: str = "") -> Call:
        """Ask somebody for silence. This and the next three raise CallNotFound, NotGroupCall, NotAdmin, CallEnded,
        MembersUnavailable; this one ParticipantNotFound. None of them for what stands already."""
        key = IdempotencyKey.of_request(user_id, call_id, "mute", request_id)
        return await self._moderate(call_id, RequestMute(user_id, target_id, by_admin=False), key)

    async def remove_participant(self, call_id: CallId, user_id: UserId, target_id: UserId) -> Call:
        """Put somebody out of a group's call for good. Idempotent. Raises ParticipantNotFound."""
        return await self._moderate(call_id, Remove(user_id, target_id, by_admin=False))

    async def set_lock(self, call_id: CallId, user_id: UserId, locked: bool, request_id: str = "") -> Call:
        """Close a group's call to others, or open it. Idempotent."""
        key = IdempotencyKey.of_request(user_id, call_id, "lock", request_id)
        return await self._moderate(call_id, SetLock(user_id, locked, by_admin=False), key)

    async def end_for_all(self, call_id: CallId, user_id: UserId) -> Call:
        """End a group's call. Idempotent."""
        return await self._moderate(call_id, EndForAll(user_id, by_admin=False))

    # Looking.

    async def get_call(self, call_id: CallId, user_id: UserId) -> Call:
        """The call as it stands. Raises CallNotFound, also for somebody who is not part of it."""
        call = await self.store.find(call_id)
        if call is None or call.leg_of(user_id) is None:
            raise CallNotFound
        return call.told_to(user_id)

    async def list_active_calls(self, user_id: UserId) -> Sequence[Call]:
        """The calls that ring or run, of the user and of the user's groups."""
        return [call.told_to(user_id) for call in await self.store.list_active(user_id)]

    async def list_ended_calls(self, user_id: UserId, before: CallId | None, limit: int) -> EndedPage:
        """The user's ended calls, below `before`."""
        found = await self.store.list_ended(user_id, before, limit + 1)
        calls = [call.told_to(user_id) for call in found[:limit]]
        quality = await self.store.quality_of([call.call_id for call in calls])
        return EndedPage(calls, quality, calls[-1].call_id if len(found) > limit else None)

    async def get_settings(self, user_id: UserId) -> CallSettings:
        """How the user wants to be rung."""
        return (await self.store.settings_of([user_id])).get(user_id, CallSettings())

    async def update_settings(self, user_id: UserId, settings: CallSettings) -> CallSettings:
        """Replace them. Idempotent."""
        await self.store.save_settings(user_id, settings)
        return settings

    # Media.

    async def take_over(
        self, call_id: CallId, user_id: UserId, device_id: DeviceId, request_id: str = ""
    ) -> tuple[Call, Grant | None]:
        """Go on with this device in place of another one. Idempotent: no grant once the call has ended.

        Raises CallNotFound, CallEnded, NotInCall.
        """
        key = IdempotencyKey.of_request(user_id, call_id, "take over", request_id)
        call = await self.changes.apply(call_id, TakeOver(user_id, device_id), key)
        return call.seen_by(user_id), self.access.grant_if_in_call(call, user_id, device_id)

    async def note_media(self, call_id: CallId, report: MediaConnected | MediaDisconnected | MediaSilent) -> None:
        """Take in what a worker says of a device's media. Idempotent; a call that is not ours is passed over.

        Raises WorkerNotOfCall when the call was never placed on that worker.
        """
        if isinstance(report, MediaSilent):
            # Now, while a connection that was cut still looks open.
            closed_for = await self.devices.closed_for(report.user_id, report.device_id)
            now = self.changes.clock.now()
            report = replace(report, closed_time=None if closed_for is None else now - closed_for)
        try:
            await self.changes.apply(call_id, report)
        except CallNotFound:
            return

    async def _enter(self, call_id: CallId, given: Accept | Join, key: IdempotencyKey | None) -> Call:
        """The call with the device in it. The user leaves any other call first."""
        for _ in range(ENTER_ATTEMPTS):
            try:
                return await self.changes.apply(call_id, given, key)
            except UserBusy as busy:
                await self._leave_other(busy)
        raise Contended

    async def _leave_other(self, busy: UserBusy) -> None:
        other = await self.store.find(CallId(busy.call_id)) if busy.call_id else None
        leg = other.leg_of(UserId(busy.user_id)) if other else None
        if other and leg:
            # Whichever device it is on; one that only rings has none.
            await self.changes.apply(other.call_id, Leave(leg.user_id, leg.device_id or DeviceId("")))

    async def _check_new_participant(self, call: Call | None, user_id: UserId, device_id: DeviceId) -> None:
        """Somebody who joins a group's call must be a member now, events about which may still be on their way, or a
        guest who was let in.

        Raises CallNotFound, MembersUnavailable.
        """
        if call and call.has_device(user_id, device_id):
            return
        if call and call.group and call.state is not CallState.ENDED:
            leg = call.leg_of(user_id)
            is_guest = leg is not None and leg.is_guest
            if user_id not in await self.roster.sync(call) and not is_guest:
                raise CallNotFound
        elif call is None or call.leg_of(user_id) is None:
            # Ask all the same, so that neither the time nor an outage tells whether there is such a call.
            await self.roster.query_no_conversation()
            raise CallNotFound

    async def _find_done(self, key: IdempotencyKey | None) -> Call | None:
        """The call of a request that had its effect; a retry is answered before anything is checked."""
        return await self.store.find_by_key(key) if key else None

    async def _check_answer(self, call: Call | None, user_id: UserId, device_id: DeviceId) -> None:
        """The same for somebody who answers; in a call of two, a block ends it. Raises MembersUnavailable."""
        leg = call.leg_of(user_id) if call else None
        if not call or not leg or call.state is CallState.ENDED or call.has_device(user_id, device_id):
            return
        try:
            await self.roster.check_answer(call, user_id)
        except MembersUnavailable:
            # For those who are rung, messaging was asked when the ring began. Everybody else must wait.
            if leg.state not in RUNG:
                raise
            log.warning("answer_unconfirmed", call_id=call.call_id)

    async def _moderate(self, call_id: CallId, given: Moderation, key: IdempotencyKey | None = None) -> Call:
        """A retry of what is done already is answered without asking whether the user may do it."""
        try:
            return (await self.changes.apply(call_id, given, key)).seen_by(given.user_id)
        except NotAdmin:
            call = await self.get_call(call_id, given.user_id)
            if given.user_id not in await self.roster.admins_of(call):
                raise
        return await self.changes.apply(call_id, replace(given, by_admin=True), key)
