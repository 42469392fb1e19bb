"""Reduces watch lists to the people who may be seen: asks messaging, and asks again when relations changed."""

import asyncio
from collections.abc import Iterable

import structlog

from services.gateway import device_frames, metrics
from services.gateway.core.checks import MAX_WATCHED
from services.gateway.core.model import UserId
from services.gateway.core.registry import Registry
from services.gateway.ports import Membership, MembershipUnavailable
from services.gateway.stream import DeviceStream
from services.gateway.streams import Streams

log = structlog.get_logger()

# Questions to messaging at a time. Raising it loads messaging more after many reconnects; lowering it makes watch lists
# wait longer then.
PARALLEL = 16
RETRY_S = 1.0
# People in question one by one. Above it the lists of their watchers are asked for as a whole.
PEOPLE_LIMIT = 10_000


class WatchLists:
    """Keeps the watch lists of the sessions here to what is allowed. Questions wait until messaging answers."""

    def __init__(
        self,
        registry: Registry,
        membership: Membership,
        streams: Streams,
    ) -> None:
        self._registry = registry
        self._membership = membership
        self._streams = streams
        self._lists_to_check: dict[int, None] = {}
        self._people_to_check: dict[UserId, set[int]] = {}
        self._wanted = asyncio.Event()

    def recheck(self, session_ids: Iterable[int]) -> None:
        """What these sessions may watch of what they asked for is to be found out (anew)."""
        self._lists_to_check.update(dict.fromkeys(session_ids))
        self._wanted.set()

    def recheck_person(self, person: UserId, session_ids: Iterable[int]) -> None:
        """Which of these sessions may watch one person is to be found out anew."""
        if person not in self._people_to_check and len(self._people_to_check) >= PEOPLE_LIMIT:
            self.recheck(session_ids)
            return
        self._people_to_check.setdefault(person, set()).update(session_ids)
        self._wanted.set()

    async def run(self) -> None:
        """Ask messaging, for ever. While it is away, lists stand as they are."""
        while True:
            await self._wanted.wait()
            done = await asyncio.gather(*(self._check_list(session_id) for session_id in self._take_lists()))
            done += await asyncio.gather(*(self._check_person(*item) for item in self._take_people()))
            if not self._lists_to_check and not self._people_to_check:
                self._wanted.clear()
            if not all(done):
                log.warning("watch_lists_wait", lists=len(self._lists_to_check), people=len(self._people_to_check))
                await asyncio.sleep(RETRY_S)

    def _take_lists(self) -> list[int]:
        taken = list(self._lists_to_check)[:PARALLEL]
        for session_id in taken:
            del self._lists_to_check[session_id]
        return taken

    def _take_people(self) -> list[tuple[UserId, set[int]]]:
        return [(person, self._people_to_check.pop(person)) for person in list(self._people_to_check)[:PARALLEL]]

    async def _check_list(self, session_id: int) -> bool:
        stream = self._streams.by_session.get(session_id)
        if stream is None:
            return True
        asked = stream.wanted_watch_list
        try:
            allowed = await self._membership.contacts_among(stream.session.user_id, asked) if asked else ()
        except MembershipUnavailable:
            self.recheck([session_id])
            return False
        if stream.wanted_watch_list is not asked:
            # A newer list came meanwhile, and with it another question.
            return True
        before = self._registry.watched(session_id)
        self._streams.apply(self._registry.watch(session_id, allowed))
        self._hide(stream, set(before) - set(allowed))
        return True

    async def _check_person(self, person: UserId, session_ids: set[int]) -> bool:
        streams = {id_: stream for id_ in session_ids if (stream := self._streams.by_session.get(id_))}
        users = sorted({stream.session.user_id for stream in streams.values()})
        allowed: set[UserId] = set()
        try:
            for start in range(0, len(users), MAX_WATCHED):
                allowed.update(await self._membership.contacts_among(person, users[start : start + MAX_WATCHED]))
        except MembershipUnavailable:
            self.recheck_person(person, session_ids)
            return False
        for session_id, stream in streams.items():
            may_see = stream.session.user_id in allowed and person in stream.wanted_watch_list
            self._streams.apply(self._registry.watch_person(session_id, person, may_see))
            if not may_see:
                self._hide(stream, {person})
        return True

    def _hide(self, stream: DeviceStream, people: Iterable[UserId]) -> None:
        for person in people:
            metrics.HIDDEN.inc()
            stream.push_latest(device_frames.presence_key(person), device_frames.offline(person))
