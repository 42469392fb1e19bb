"""Join links in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.signaling.core.model import CallId, LinkId, ScheduledId
from services.signaling.links.core import JoinLink, StoredLink


class FakeLinks:
    """links.ports.LinkStore in memory. `closed`: the links whose guests are known to be out."""

    def __init__(self) -> None:
        self.stored: dict[LinkId, StoredLink] = {}
        self.closed: set[LinkId] = set()

    async def add(self, stored: StoredLink, now: datetime, limit: int) -> bool:
        if stored.request_hash and await self.find_by_request(stored.request_hash):
            return True
        links = await self.list_of(stored.link.target_id)
        if sum(link.is_open(now) for link in links) >= limit:
            return False
        self.stored[stored.link.link_id] = stored
        return True

    async def find_by_request(self, request_hash: bytes) -> StoredLink | None:
        return next((each for each in self.stored.values() if each.request_hash == request_hash), None)

    async def find_by_secret(self, secret_hash: bytes) -> JoinLink | None:
        return next((each.link for each in self.stored.values() if each.secret_hash == secret_hash), None)

    async def find(self, link_id: LinkId) -> JoinLink | None:
        return self.stored[link_id].link if link_id in self.stored else None

    async def list_of(self, target_id: CallId) -> Sequence[JoinLink]:
        return [self.stored[link_id].link for link_id in sorted(self.stored) if self._is_of(link_id, target_id)]

    async def bind(self, scheduled_id: ScheduledId, call_id: CallId) -> None:
        for link in self.unbound(scheduled_id):
            self.change(replace(link, call_id=call_id))

    def unbound(self, scheduled_id: ScheduledId) -> Sequence[JoinLink]:
        """The links to a scheduled call whose time has not come."""
        links = [each.link for each in self.stored.values()]
        return [link for link in links if link.scheduled_id == scheduled_id and link.call_id is None]

    def change(self, link: JoinLink) -> None:
        """Put it in place of what it was."""
        self.stored[link.link_id] = replace(self.stored[link.link_id], link=link)

    async def revoke(self, link_id: LinkId, now: datetime) -> JoinLink | None:
        stored = self.stored.get(link_id)
        if stored is None:
            return None
        link = replace(stored.link, revoke_time=stored.link.revoke_time or now)
        self.stored[link_id] = replace(stored, link=link)
        return link

    async def list_unclosed(self, limit: int) -> Sequence[JoinLink]:
        links = [each.link for each in self.stored.values() if each.link.link_id not in self.closed]
        return [link for link in links if link.revoke_time][:limit]

    async def note_closed(self, link_id: LinkId, now: datetime) -> None:
        self.closed.add(link_id)

    def _is_of(self, link_id: LinkId, target_id: CallId) -> bool:
        link = self.stored[link_id].link
        return target_id in (link.call_id, link.scheduled_id)
