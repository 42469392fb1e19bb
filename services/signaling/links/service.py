"""What people do with join links: make, list and revoke them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.runtime.errors import StoreUnavailable, is_outage
from services.signaling.changes import CallChanges
from services.signaling.core.errors import (
    CallEnded,
    CallNotFound,
    JoinLinkLimit,
    JoinLinkNotFound,
    NotGroupCall,
    ScheduledCallOver,
)
from services.signaling.core.inputs import CloseLink
from services.signaling.core.model import CallId, CallState, LinkId, UserId
from services.signaling.links import core
from services.signaling.links.core import JoinLink
from services.signaling.links.places import LinkPlaces
from services.signaling.links.ports import LinkStore
from services.signaling.scheduled.core import State

log = structlog.get_logger()

# Revoked links of one sweep. There are few: a request that revokes a link closes it at once.
SWEEP_LINKS = 200


@dataclass(frozen=True)
class JoinLinks:
    """The use-cases. Every method may raise StoreUnavailable, MembersUnavailable and Contended.

    `request_id` is the client's, the same in each retry of a request. `new_salt`: SALT_BYTES that nobody can guess.
    """

    store: LinkStore
    changes: CallChanges
    places: LinkPlaces
    new_id: Callable[[datetime], str]
    new_salt: Callable[[], bytes]

    async def create_link(
        self, target_id: CallId, maker_id: UserId, ttl_s: int, request_id: str
    ) -> tuple[JoinLink, str]:
        """A new link, to a call or to a scheduled one, and its secret. Idempotent by the request's id.

        Raises CallNotFound, NotGroupCall, CallEnded, ScheduledCallOver, JoinLinkLimit.
        """
        if known := await self._find_made(target_id, maker_id, request_id):
            return known
        link = await self._plan_link(target_id, maker_id, ttl_s)
        stored, secret = core.link_of(link, self.new_salt(), request_id)
        if not await self.store.add(stored, link.create_time, core.MAX_OPEN_LINKS):
            raise JoinLinkLimit
        log.info("join_link_made", call_id=link.call_id, scheduled_id=link.scheduled_id, link_id=link.link_id)
        # Of two of the same request at once one was stored.
        return await self._find_made(target_id, maker_id, request_id) or (link, secret)

    async def list_links(self, call_id: CallId, user_id: UserId) -> Sequence[JoinLink]:
        """The links of the call, or of the scheduled one, that the user made; for admins all. Raises CallNotFound."""
        scheduled = await self.places.find_scheduled(call_id)
        members = await self.places.own_members(scheduled.conversation_id if scheduled else None, user_id)
        if members is None:
            _, members = await self.places.own_call(call_id, user_id)
        links = await self.store.list_of(call_id)
        return [link for link in links if user_id in members.admin_ids or link.maker_id == user_id]

    async def revoke_link(self, link_id: LinkId, user_id: UserId) -> JoinLink:
        """Let nobody open it, and put out who came by it. Idempotent. Raises JoinLinkNotFound."""
        link = await self.store.find(link_id)
        if link is None or not await self._may_revoke(link, user_id):
            raise JoinLinkNotFound
        return await self.revoke(link)

    async def revoke(self, link: JoinLink) -> JoinLink:
        """Revoke it, whoever asked. Idempotent. Raises JoinLinkNotFound for one that went with its call."""
        revoked = await self.store.revoke(link.link_id, self.changes.clock.now())
        if revoked is None:
            raise JoinLinkNotFound
        await self._close(revoked)
        return revoked

    async def was_revoked(self, link: JoinLink) -> bool:
        """Whether it was meanwhile, or went with its call."""
        found = await self.store.find(link.link_id)
        return found is None or found.revoke_time is not None

    async def sweep(self) -> None:
        """Put out the guests of revoked links, where the replica that revoked one did not. Raises StoreUnavailable."""
        for link in await self.store.list_unclosed(SWEEP_LINKS):
            try:
                await self._close(link)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                log.exception("join_link_not_closed", link_id=link.link_id)
            except Exception:
                # One that cannot be closed must not keep the others open.
                log.exception("join_link_not_closed", link_id=link.link_id)

    async def _plan_link(self, target_id: CallId, maker_id: UserId, ttl_s: int) -> JoinLink:
        """Raises CallNotFound, NotGroupCall, CallEnded, ScheduledCallOver."""
        now = self.changes.clock.now()
        link_id = LinkId(self.new_id(now))
        scheduled = await self.places.find_scheduled(target_id)
        if scheduled and await self.places.own_members(scheduled.conversation_id, maker_id) is None:
            raise CallNotFound
        if scheduled and not scheduled.group:
            raise NotGroupCall("a call of two has no room for a third")
        if scheduled and scheduled.is_over:
            raise ScheduledCallOver
        if scheduled and scheduled.state is State.PLANNED:
            begin = max(now, scheduled.draft.start_time)
            expire_time = core.expiry(begin, ttl_s)
            return JoinLink(link_id, None, maker_id, now, expire_time, scheduled_id=scheduled.scheduled_id)
        call, _ = await self.places.own_call(scheduled.call_id or target_id if scheduled else target_id, maker_id)
        if not call.group:
            raise NotGroupCall("a call of two has no room for a third")
        if call.state is CallState.ENDED:
            raise CallEnded
        of_scheduled = scheduled.scheduled_id if scheduled else None
        expire_time = core.expiry(now, ttl_s)
        return JoinLink(link_id, call.call_id, maker_id, now, expire_time, scheduled_id=of_scheduled)

    async def _find_made(self, call_id: CallId, maker_id: UserId, request_id: str) -> tuple[JoinLink, str] | None:
        request_hash = core.request_hash_of(maker_id, call_id, request_id)
        stored = await self.store.find_by_request(request_hash) if request_hash else None
        return (stored.link, core.secret_of(stored.salt, request_id)) if stored else None

    async def _may_revoke(self, link: JoinLink, user_id: UserId) -> bool:
        """Who made it may, also who is not in the conversation any more."""
        if link.maker_id == user_id:
            return True
        conversation_id = await self.places.conversation_of(link)
        members = await self.places.own_members(conversation_id, user_id)
        if conversation_id is None:
            await self.places.roster.query_no_conversation()
        return members is not None and user_id in members.admin_ids

    async def _close(self, link: JoinLink) -> None:
        try:
            if link.call_id:
                await self.changes.apply(link.call_id, CloseLink(link.link_id))
        except CallNotFound:
            return
        await self.store.note_closed(link.link_id, self.changes.clock.now())
        log.info("join_link_closed", call_id=link.call_id, link_id=link.link_id)
