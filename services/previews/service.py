"""The one use-case: a preview of an address, from memory where it was asked for lately."""

import asyncio

from services.previews import metrics
from services.previews.core.addresses import Address, parse_address
from services.previews.core.cache import Cache, Found
from services.previews.core.errors import AddressNotAllowed, NoPreview, PreviewsOff, TooManyFetches
from services.previews.core.model import Preview
from services.previews.fetching import Fetcher, Reach
from services.runtime import tasks
from services.runtime.clock import Clock


class Previews:
    """A part of the service: what is under way ends with it. `is_on`: whether this installation makes previews."""

    name = "previews"

    def __init__(
        self, fetcher: Fetcher, reach: Reach, clock: Clock, *, is_on: bool, parallel: int, timeout_s: float
    ) -> None:
        self._fetcher = fetcher
        self._reach = reach
        self._clock = clock
        self._is_on = is_on
        self._parallel = parallel
        self._timeout_s = timeout_s
        self._cache = Cache()
        self._under_way: dict[str, asyncio.Task[Found | None]] = {}

    async def start(self) -> None:
        metrics.FETCHING.set_function(lambda: len(self._under_way))
        metrics.CACHED.set_function(lambda: len(self._cache))

    async def stop(self) -> None:
        for task in list(self._under_way.values()):
            await tasks.stop(task)

    async def get(self, url: str) -> Preview:
        """What the page behind an address says of itself. Errors: PreviewsOff, AddressNotAllowed, TooManyFetches,
        NoPreview."""
        source = "nowhere"
        try:
            if not self._is_on:
                raise PreviewsOff("this installation makes no previews")
            address = parse_address(url, self._reach.ports)
            found = self._cache.get(address.url, self._clock.monotonic())
            source = "cache" if found else "shared" if address.url in self._under_way else "fetch"
            if found is None:
                # Whoever gives up does not take the fetch away from the others.
                found = await asyncio.shield(self._fetching(address))
            if found is None:
                raise TooManyFetches("as many wait for this host as may")
            if found.preview is None:
                raise NoPreview
        except (PreviewsOff, AddressNotAllowed, TooManyFetches, NoPreview) as error:
            metrics.RESULTS.labels(_RESULTS[type(error)], source).inc()
            raise
        metrics.RESULTS.labels("found", source).inc()
        return found.preview

    def _fetching(self, address: Address) -> asyncio.Task[Found | None]:
        """The fetch of an address that is under way, or a new one."""
        task = self._under_way.get(address.url)
        if task is None:
            if len(self._under_way) >= self._parallel:
                raise TooManyFetches("this replica asks as many hosts as it may at once")
            task = tasks.detached(self._fetch(address), why="a fetch has a limit of time", name="preview")
            self._under_way[address.url] = task
            task.add_done_callback(lambda _: self._under_way.pop(address.url, None))
        return task

    async def _fetch(self, address: Address) -> Found | None:
        """What is found is kept; None, which is not, when too many wait for the host."""
        preview = None
        with metrics.FETCH_SECONDS.time():
            try:
                async with asyncio.timeout(self._timeout_s):
                    preview = await self._fetcher.fetch(address)
            except TimeoutError:
                metrics.FETCHES.labels("timeout").inc()
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
