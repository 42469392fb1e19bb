"""What people do with join links: make, list, revoke and open them, wait in the lobby, let in and refuse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.runtime.errors import StoreUnavailable, is_outage
from services.signaling import metrics
from services.signaling.changes import CallChanges
from services.signaling.core.errors import (
    CallEnded,
    CallNotFound,
    CallsError,
    ConversationNotFound,
    JoinLinkClosed,
    JoinLinkLimit,
    JoinLinkNotFound,
    NotGroupCall,
    ParticipantNotFound,
)
from services.signaling.core.inputs import AdmitGuest, CloseLink, Knock, LeaveLobby, RefuseGuest
from services.signaling.core.model import Call, CallId, CallState, LinkId, UserId
from services.signaling.links import core
from services.signaling.links.core import JoinLink
from services.signaling.links.ports import LinkStore
from services.signaling.ports import IdempotencyKey, Membership
from services.signaling.roster import Roster

log = structlog.get_logger()

# Revoked links of one sweep. There are few: a request that revokes a link closes it at once.
SWEEP_LINKS = 200


@dataclass(frozen=True)
class Opened:
    """What opening a link gave: the call as somebody sees it who is part of it, or who is in its lobby."""

    call: Call
    host_id: UserId
    is_part: bool


@dataclass(frozen=True)
class JoinLinks:
    """The use-cases. Every method may raise StoreUnavailable, MembersUnavailable and Contended.

    `request_id` is the client's, the same in each retry of a request. `new_salt`: SALT_BYTES that nobody can guess.
    """

    links: LinkStore
    changes: CallChanges
    roster: Roster
    new_id: Callable[[datetime], str]
    new_salt: Callable[[], bytes]

    # Links.

    async def create_link(self, call_id: CallId, maker_id: UserId, ttl_s: int, request_id: str) -> tuple[JoinLink, str]:
        """A new link and its secret. Idempotent by the request's id.

        Raises CallNotFound, NotGroupCall, CallEnded, JoinLinkLimit.
        """
        if known := await self._find_made(call_id, maker_id, request_id):
            return known
        call, _ = await self._own_call(call_id, maker_id)
        if not call.group:
            raise NotGroupCall("a call of two has no room for a third")
        if call.state is CallState.ENDED:
            raise CallEnded
        now = self.changes.clock.now()
        link = JoinLink(LinkId(self.new_id(now)), call_id, maker_id, now, core.expiry(now, ttl_s))
        stored, secret = core.link_of(link, self.new_salt(), request_id)
        if not await self.links.add(stored, now, core.MAX_OPEN_LINKS):
            raise JoinLinkLimit
        log.info("join_link_made", call_id=call_id, link_id=link.link_id)
        # Of two of the same request at once one was stored.
        return await self._find_made(call_id, maker_id, request_id) or (link, secret)

    async def list_links(self, call_id: CallId, user_id: UserId) -> Sequence[JoinLink]:
        """The links of the call that the user made; for admins all. Raises CallNotFound."""
        call, members = await self._own_call(call_id, user_id)
        links = await self.links.list_of(call.call_id)
        return [link for link in links if user_id in members.admin_ids or link.maker_id == user_id]

    async def revoke_link(self, link_id: LinkId, user_id: UserId) -> JoinLink:
        """Let nobody open it, and put out who came by it. Idempotent. Raises JoinLinkNotFound."""
        link = await self.links.find(link_id)
        if link is None or not await self._may_revoke(link, user_id):
            raise JoinLinkNotFound
        return await self._revoke(link)

    # The lobby, from outside.

    async def open_link(self, secret: str, user_id: UserId, request_id: str = "") -> Opened:
        """The call for who is part of it; a place in its lobby for anybody else. Idempotent by the request's id.

        Raises JoinLinkNotFound, JoinLinkClosed, CallEnded, CallLocked, LobbyFull, LobbyRefused, RemovedFromCall.
        """
        try:
            opened = await self._open(secret, user_id, request_id)
        except CallsError as refusal:
            metrics.LINK_OPENINGS.labels(metrics.outcome_of_opening(refusal)).inc()
            raise
        metrics.LINK_OPENINGS.labels("part" if opened.is_part else "lobby").inc()
        return opened

    async def leave_lobby(self, call_id: CallId, user_id: UserId) -> None:
        """Give the place up. Idempotent. Raises CallNotFound."""
        await self.changes.apply(call_id, LeaveLobby(user_id))

    # The lobby, from inside.

    async def admit_guest(self, call_id: CallId, user_id: UserId, target_id: UserId, request_id: str = "") -> Call:
        """Let somebody in who waits. Idempotent.

        Raises CallNotFound, NotGroupCall, NotHost, ParticipantNotFound, CallLocked, CallEnded.
        """
        key = IdempotencyKey.of_request(user_id, call_id, "admit", request_id)
        if done := await self._find_done(key):
            return done.seen_by(user_id)
        link, by_host = await self._look_at_guest(call_id, user_id, target_id)
        if link and link.revoke_time and by_host:
            await self._revoke(link)
            raise ParticipantNotFound
        call = await self.changes.apply(call_id, AdmitGuest(user_id, target_id, by_host), key)
        if link and await self._was_revoked(link):
            # While it was decided: a guest must not stay by a link that is closed.
            await self._revoke(link)
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

    # Upkeep.

    async def sweep(self) -> None:
        """Put out the guests of revoked links, where the replica that revoked one did not. Raises StoreUnavailable."""
        for link in await self.links.list_unclosed(SWEEP_LINKS):
            try:
                await self._close(link)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                log.exception("join_link_not_closed", link_id=link.link_id)
            except Exception:
                # One that cannot be closed must not keep the others open.
                log.exception("join_link_not_closed", link_id=link.link_id)

    async def _find_made(self, call_id: CallId, maker_id: UserId, request_id: str) -> tuple[JoinLink, str] | None:
        request_hash = core.request_hash_of(maker_id, call_id, request_id)
        stored = await self.links.find_by_request(request_hash) if request_hash else None
        return (stored.link, core.secret_of(stored.salt, request_id)) if stored else None

    async def _own_call(self, call_id: CallId, user_id: UserId) -> tuple[Call, Membership]:
        """A call of a conversation that the user is in now. Raises CallNotFound, the same for a call that is not."""
        call = await self.changes.store.find(call_id)
        members = await self._members_of(call)
        if call is None or members is None or user_id not in members.user_ids:
            raise CallNotFound
        return call, members

    async def _members_of(self, call: Call | None) -> Membership | None:
        if call is None:
            # Ask all the same, so that neither the time nor an outage tells whether there is such a call.
            await self.roster.query_no_conversation()
            return None
        try:
            return await self.roster.members.members_of(call.conversation_id)
        except ConversationNotFound:
            return None

    async def _may_revoke(self, link: JoinLink, user_id: UserId) -> bool:
        """Who made it may, also who is not in the conversation any more."""
        if link.maker_id == user_id:
            return True
        members = await self._members_of(await self.changes.store.find(link.call_id))
        return members is not None and user_id in members.user_ids and user_id in members.admin_ids

    async def _revoke(self, link: JoinLink) -> JoinLink:
        revoked = await self.links.revoke(link.link_id, self.changes.clock.now())
        if revoked is None:
            # It went with its call.
            raise JoinLinkNotFound
        await self._close(revoked)
        return revoked

    async def _close(self, link: JoinLink) -> None:
        try:
            await self.changes.apply(link.call_id, CloseLink(link.link_id))
        except CallNotFound:
            return
        await self.links.note_closed(link.link_id, self.changes.clock.now())
        log.info("join_link_closed", call_id=link.call_id, link_id=link.link_id)

    async def _open(self, secret: str, user_id: UserId, request_id: str) -> Opened:
        link = await self.links.find_by_secret(core.hash_of(secret)) if core.is_secret(secret) else None
        call = await self.changes.store.find(link.call_id) if link else None
        if link is None or call is None:
            raise JoinLinkNotFound
        if call.state is CallState.ENDED:
            raise CallEnded
        await self._check_open(link, call, user_id)
        leg = call.leg_of(user_id)
        if user_id in await self.roster.sync(call) or (leg and leg.is_guest):
            return Opened(await self._again(call, user_id), link.maker_id, is_part=True)
        key = IdempotencyKey.of_request(user_id, call.call_id, "knock", request_id)
        call = await self.changes.apply(call.call_id, Knock(user_id, link.link_id), key)
        if await self._was_revoked(link):
            await self._revoke(link)
            raise JoinLinkClosed
        return Opened(call, link.maker_id, is_part=call.leg_of(user_id) is not None)

    async def _again(self, call: Call, user_id: UserId) -> Call:
        """As it stands after the members were read."""
        return (await self.changes.store.find(call.call_id) or call).seen_by(user_id)

    async def _check_open(self, link: JoinLink, call: Call, user_id: UserId) -> None:
        if link.revoke_time is None and core.came_by(call, user_id, link.link_id):
            # What keeps others from knocking by now does not end a place: they ask how theirs stands.
            return
        members = await self._members_of(call)
        is_open = link.is_open(self.changes.clock.now())
        if not is_open or members is None or link.maker_id not in members.user_ids:
            raise JoinLinkClosed
        if user_id not in members.user_ids and await self.roster.members.blocked_among(link.maker_id, [user_id]):
            raise JoinLinkClosed

    async def _was_revoked(self, link: JoinLink) -> bool:
        found = await self.links.find(link.link_id)
        return found is None or found.revoke_time is not None

    async def _look_at_guest(self, call_id: CallId, user_id: UserId, target_id: UserId) -> tuple[JoinLink | None, bool]:
        """The link by which somebody came, and whether the user decides about them. Raises CallNotFound."""
        call, members = await self._own_call(call_id, user_id)
        leg = next((leg for leg in call.legs if leg.user_id == target_id and leg.link_id), None)
        link = await self.links.find(leg.link_id) if leg and leg.link_id else None
        maker_id = link.maker_id if link else UserId("")
        return link, core.is_host(user_id, maker_id, members.user_ids, members.admin_ids)

    async def _find_done(self, key: IdempotencyKey | None) -> Call | None:
        return await self.changes.store.find_by_key(key) if key else None
