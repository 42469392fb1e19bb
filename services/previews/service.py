"""The one use-case: a preview of an address, from memory where it was asked for lately."""

import asyncio
from dataclasses import dataclass

from services.previews import metrics
from services.previews.core.addresses import Address, parse_address
from services.previews.core.cache import Cache, Found
from services.previews.core.errors import AddressNotAllowed, NoPreview, PreviewsOff, TooManyFetches
from services.previews.core.model import Preview, UserId
from services.previews.fetching import Fetcher, Reach
from services.runtime import tasks
from services.runtime.clock import Clock

# At once of one user, those that are about to end among them. Raising it lets fewer users hold all that there are;
# lowering it refuses people who change their minds quickly.
FETCHES_PER_USER = 8


@dataclass
class _Fetch:
    """One that is under way, and how many wait for it."""

    task: asyncio.Task[Found | None]
    waiting: int = 0


class Previews:
    """A part of the service: what is under way ends with it. `is_on`: whether this installation makes previews."""

    name = "previews"

    def __init__(self, fetcher: Fetcher, reach: Reach, clock: Clock, *, is_on: bool, parallel: int) -> None:
        self._fetcher = fetcher
        self._reach = reach
        self._clock = clock
        self._is_on = is_on
        self._parallel = parallel
        self._cache = Cache()
        # By address: those that others may wait for, too.
        self._under_way: dict[str, _Fetch] = {}
        # All, and for whom each began.
        self._running: dict[asyncio.Task[Found | None], UserId] = {}

    async def start(self) -> None:
        metrics.FETCHING.set_function(lambda: len(self._running))
        metrics.CACHED.set_function(lambda: len(self._cache))

    async def stop(self) -> None:
        await tasks.stop(*self._running)

    async def get(self, user_id: UserId, url: str) -> Preview:
        """What the page behind an address says of itself. Errors: PreviewsOff, AddressNotAllowed, TooManyFetches,
        NoPreview."""
        source = "nowhere"
        try:
            if not self._is_on:
                raise PreviewsOff("this installation makes no previews")
            address = parse_address(url, self._reach.ports)
            found = self._known(address)
            source = "cache" if found else "shared" if address.url in self._under_way else "fetch"
            found = found or await self._found(user_id, address)
            if found is None:
                raise TooManyFetches("as many wait for this host as may")
            if found.preview is None:
                raise NoPreview
        except (PreviewsOff, AddressNotAllowed, TooManyFetches, NoPreview) as error:
            metrics.RESULTS.labels(_RESULTS[type(error)], source).inc()
            raise
        metrics.RESULTS.labels("found", source).inc()
        return found.preview

    async def _found(self, user_id: UserId, address: Address) -> Found | None:
        if address.url in self._under_way:
            return await self._wait_for(user_id, address)
        async with self._fetcher.turn_of(user_id, address.host):
            # Others may have asked meanwhile.
            return self._known(address) or await self._wait_for(user_id, address)

    def _known(self, address: Address) -> Found | None:
        return self._cache.get(address.url, self._clock.monotonic())

    async def _wait_for(self, user_id: UserId, address: Address) -> Found | None:
        """What comes of the fetch of an address that is under way, or of a new one. Whoever gives up does not take it
        away from the others; when all have, it ends, and with it what it holds."""
        fetch = self._under_way.get(address.url) or self._begin(user_id, address)
        fetch.waiting += 1
        try:
            return await asyncio.shield(fetch.task)
        finally:
            fetch.waiting -= 1
            if not fetch.waiting:
                fetch.task.cancel()
                # Whoever comes now is not to wait for what ends.
                self._forget(address.url, fetch)

    def _begin(self, user_id: UserId, address: Address) -> _Fetch:
        if len(self._running) >= self._parallel:
            raise TooManyFetches("this replica asks as many hosts as it may at once")
        if list(self._running.values()).count(user_id) >= FETCHES_PER_USER:
            raise TooManyFetches("as many hosts are asked for this user as may be at once")
        work = self._fetch(user_id, address)
        task = tasks.detached(work, why="a fetch has a limit of time", name="preview")
        fetch = self._under_way[address.url] = _Fetch(task)
        self._running[task] = user_id
        task.add_done_callback(self._running.pop)
        task.add_done_callback(lambda _: self._forget(address.url, fetch))
        return fetch

    def _forget(self, url: str, fetch: _Fetch) -> None:
        if self._under_way.get(url) is fetch:
            del self._under_way[url]

    async def _fetch(self, user_id: UserId, address: Address) -> Found | None:
        """What is found is kept; None, which is not, when it may not be asked for now."""
        with metrics.FETCH_SECONDS.time():
            try:
                preview = await self._fetcher.fetch(user_id, address)
            except asyncio.CancelledError:
                metrics.FETCHES.labels("given_up").inc()
                raise
            except TooManyFetches:
                return None
        found = Found(preview)
        self._cache.put(address.url, found, self._clock.monotonic())
        return found


_RESULTS: dict[type[Exception], str] = {
    PreviewsOff: "off",
    AddressNotAllowed: "refused",
    TooManyFetches: "busy",
    NoPreview: "none",
}
