"""The lobby: who opens a join link waits there, and is let in or refused."""

from dataclasses import dataclass

import structlog

from services.signaling import metrics
from services.signaling.changes import CallChanges
from services.signaling.core.errors import (
    CallEnded,
    CallsError,
    Contended,
    JoinLinkClosed,
    JoinLinkNotFound,
    LobbyFull,
    MembersUnavailable,
    ParticipantNotFound,
)
from services.signaling.core.inputs import AdmitGuest, Knock, LeaveLobby, RefuseGuest
from services.signaling.core.model import Call, CallId, CallState, ConversationId, LinkId, ScheduledId, UserId
from services.signaling.links import core
from services.signaling.links.core import JoinLink
from services.signaling.links.places import LinkPlaces
from services.signaling.links.service import JoinLinks
from services.signaling.ports import IdempotencyKey, Membership
from services.signaling.scheduled.core import MAX_WAITING, ScheduledCall, State, Waiting

log = structlog.get_logger()


@dataclass(frozen=True)
class Opened:
    """What opening a link gave: the call as somebody sees it who is part of it, or who is in its lobby; or what it will
    lead to."""

    link: JoinLink
    call: Call | None
    is_part: bool = False
    # Before the time of a scheduled call.
    scheduled: ScheduledCall | None = None

    @property
    def host_id(self) -> UserId:
        """Who made the link."""
        return self.link.maker_id


@dataclass(frozen=True)
class Lobby:
    """The use-cases, from outside and from inside, and those of scheduled.ports.Doors.

    Every method may raise StoreUnavailable, MembersUnavailable and Contended. `request_id` as of JoinLinks.
    """

    links: JoinLinks
    changes: CallChanges
    places: LinkPlaces

    async def open_link(self, secret: str, user_id: UserId, request_id: str = "") -> Opened:
        """The call for who is part of it; a place in its lobby for anybody else. Idempotent by the request's id.

        Raises JoinLinkNotFound, JoinLinkClosed, CallEnded, CallLocked, LobbyFull, LobbyRefused, RemovedFromCall.
        """
        try:
            opened = await self._open(secret, user_id, request_id)
        except CallsError as refusal:
            metrics.LINK_OPENINGS.labels(metrics.outcome_of_opening(refusal)).inc()
            raise
        metrics.LINK_OPENINGS.labels("early" if opened.scheduled else "part" if opened.is_part else "lobby").inc()
        return opened

    async def leave_lobby(self, call_id: CallId, user_id: UserId) -> None:
        """Give the place up, or the wait for a scheduled call. Idempotent. Raises CallNotFound, also for who never
        knocked, or does not wait any more for what has not begun."""
        if not await self.places.scheduled.remove_waiting(ScheduledId(call_id), user_id):
            await self.changes.apply(call_id, LeaveLobby(user_id))

    async def admit_guest(self, call_id: CallId, user_id: UserId, target_id: UserId, request_id: str = "") -> Call:
        """Let somebody in who waits. Idempotent.

        Raises CallNotFound, NotGroupCall, NotHost, ParticipantNotFound, CallLocked, CallEnded.
        """
        key = IdempotencyKey.of_request(user_id, call_id, "admit", request_id)
        if done := await self._find_done(key):
            return done.seen_by(user_id)
        link, by_host = await self._look_at_guest(call_id, user_id, target_id)
        if link and link.revoke_time and by_host:
            await self.links.revoke(link)
            raise ParticipantNotFound
        call = await self.changes.apply(call_id, AdmitGuest(user_id, target_id, by_host), key)
        if link and await self.links.was_revoked(link):
            # While it was decided: a guest must not stay by a link that is closed.
            await self.links.revoke(link)
            raise ParticipantNotFound
        return call.seen_by(user_id)

    async def refuse_guest(self, call_id: CallId, user_id: UserId, target_id: UserId, request_id: str = "") -> Call:
        """Do not let somebody in who waits. Idempotent. Raises as admit_guest, but for CallLocked."""
        key = IdempotencyKey.of_request(user_id, call_id, "refuse", request_id)
        if done := await self._find_done(key):
            return done.seen_by(user_id)
        _, by_host = await self._look_at_guest(call_id, user_id, target_id)
        call = await self.changes.apply(call_id, RefuseGuest(user_id, target_id, by_host), key)
        return call.seen_by(user_id)

    async def open_to(self, scheduled_id: ScheduledId, call_id: CallId) -> None:
        """See scheduled.ports.Doors."""
        await self.links.store.bind(scheduled_id, call_id)

    async def knock(self, call_id: CallId, link_id: LinkId, user_id: UserId) -> None:
        """See scheduled.ports.Doors."""
        link = await self.links.store.find(link_id)
        if link is None or link.call_id != call_id:
            return
        try:
            await self._enter(link, user_id, "")
        except (Contended, MembersUnavailable):
            raise
        except CallsError as refusal:
            log.info("waiting_not_let_in", call_id=call_id, link_id=link_id, because=type(refusal).__name__)

    async def _open(self, secret: str, user_id: UserId, request_id: str) -> Opened:
        link = await self.links.store.find_by_secret(core.hash_of(secret)) if core.is_secret(secret) else None
        if link and link.call_id is None:
            if early := await self._wait_early(link, user_id):
                return early
            # Its time has come meanwhile.
            link = await self.links.store.find(link.link_id)
        if link is None:
            raise JoinLinkNotFound
        return await self._enter(link, user_id, request_id)

    async def _wait_early(self, link: JoinLink, user_id: UserId) -> Opened | None:
        """Before the time of a scheduled call; None once it has begun. Raises JoinLinkNotFound, JoinLinkClosed,
        CallEnded, LobbyFull."""
        scheduled = await self.places.find_scheduled(link.target_id)
        if scheduled is None:
            raise JoinLinkNotFound
        if scheduled.is_over:
            raise JoinLinkClosed if scheduled.state is State.CANCELLED else CallEnded
        if scheduled.call_id:
            # The link was made while its time came.
            await self.links.store.bind(scheduled.scheduled_id, scheduled.call_id)
        members = await self._check_way(link, scheduled.conversation_id, user_id)
        is_member = user_id in members.user_ids
        if not is_member:
            waiting = Waiting(user_id, link.link_id)
            now = self.changes.clock.now()
            if not await self.places.scheduled.add_waiting(scheduled.scheduled_id, waiting, now, MAX_WAITING):
                raise LobbyFull
        # Who came while it began was perhaps not seen by whoever lets those in who wait.
        found = await self.links.store.find(link.link_id)
        if found is None or found.call_id:
            return None
        return Opened(link, None, is_part=is_member, scheduled=scheduled)

    async def _enter(self, link: JoinLink, user_id: UserId, request_id: str) -> Opened:
        call = await self.changes.store.find(link.call_id) if link.call_id else None
        if call is None:
            raise JoinLinkNotFound
        if call.state is CallState.ENDED:
            raise CallEnded
        await self._check_open(link, call, user_id)
        leg = call.leg_of(user_id)
        if user_id in await self.places.roster.sync(call) or (leg and leg.is_guest):
            return Opened(link, await self._again(call, user_id), is_part=True)
        key = IdempotencyKey.of_request(user_id, call.call_id, "knock", request_id)
        call = await self.changes.apply(call.call_id, Knock(user_id, link.link_id), key)
        if await self.links.was_revoked(link):
            await self.links.revoke(link)
            raise JoinLinkClosed
        return Opened(link, call, is_part=call.leg_of(user_id) is not None)

    async def _again(self, call: Call, user_id: UserId) -> Call:
        """As it stands after the members were read."""
        return (await self.changes.store.find(call.call_id) or call).seen_by(user_id)

    async def _check_open(self, link: JoinLink, call: Call, user_id: UserId) -> None:
        if link.revoke_time is None and core.came_by(call, user_id, link.link_id):
            # What keeps others from knocking by now does not end a place: they ask how theirs stands.
            return
        await self._check_way(link, call.conversation_id, user_id)

    async def _check_way(self, link: JoinLink, conversation_id: ConversationId, user_id: UserId) -> Membership:
        """The members, where the link is open to somebody. Raises JoinLinkClosed."""
        members = await self.places.members_in(conversation_id)
        is_open = link.is_open(self.changes.clock.now())
        if not is_open or members is None or link.maker_id not in members.user_ids:
            raise JoinLinkClosed
        if user_id not in members.user_ids and await self.places.roster.members.blocked_among(link.maker_id, [user_id]):
            raise JoinLinkClosed
        return members

    async def _look_at_guest(self, call_id: CallId, user_id: UserId, target_id: UserId) -> tuple[JoinLink | None, bool]:
        """The link by which somebody came, and whether the user decides about them. Raises CallNotFound."""
        call, members = await self.places.own_call(call_id, user_id)
        leg = next((leg for leg in call.legs if leg.user_id == target_id and leg.link_id), None)
        link = await self.links.store.find(leg.link_id) if leg and leg.link_id else None
        maker_id = link.maker_id if link else UserId("")
        return link, core.is_host(user_id, maker_id, members.user_ids, members.admin_ids)

    async def _find_done(self, key: IdempotencyKey | None) -> Call | None:
        return await self.changes.store.find_by_key(key) if key else None
