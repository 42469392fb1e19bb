"""One page is asked for, wherever that leads, and never into a network that is not public."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from services.previews import metrics
from services.previews.core.addresses import WEB_PORTS, Address, follow
from services.previews.core.errors import AddressNotAllowed, TooManyFetches
from services.previews.core.model import Preview
from services.previews.core.networks import IpAddress, is_public
from services.previews.core.pages import read_page
from services.previews.ports import Resolver, Unreachable, Web
from services.runtime.limits.concurrency import TooManyWaiting, Turns

MAX_REDIRECTIONS = 3
# At once at one host. Raising it lets many users together be a burden to a host; lowering it makes them wait.
FETCHES_PER_HOST = 2
# Raising it keeps more waiting in vain, until their time is up; lowering it sends them away at once (TOO_MANY_FETCHES).
WAITING_PER_HOST = 16


@dataclass(frozen=True)
class Reach:
    """Where a fetch may go. Another than this one is for tests alone: no variable of the environment makes one."""

    allows: Callable[[IpAddress], bool] = is_public
    ports: Collection[int] = WEB_PORTS


THE_INTERNET = Reach()


class _Nothing(Exception):
    """Ends a fetch; `outcome` is for metrics, and for nobody else."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Fetcher:
    """Looks names up once, checks all that they stand for, and has those very addresses connected to: a name that
    stands for another address a moment later changes nothing."""

    def __init__(self, resolver: Resolver, web: Web, reach: Reach) -> None:
        self._resolver = resolver
        self._web = web
        self._reach = reach
        self._hosts = Turns(FETCHES_PER_HOST, WAITING_PER_HOST)

    async def fetch(self, address: Address) -> Preview | None:
        """The preview of a page. None where there is none, whatever the reason. Takes as long as it is let. Raises
        TooManyFetches when too many wait for the host."""
        try:
            preview = await self._follow(address)
        except TooManyFetches:
            metrics.FETCHES.labels("busy").inc()
            raise
        except _Nothing as nothing:
            metrics.FETCHES.labels(nothing.outcome).inc()
            return None
        metrics.FETCHES.labels("found" if preview else "no_page").inc()
        return preview

    async def _follow(self, address: Address) -> Preview | None:
        for _ in range(MAX_REDIRECTIONS + 1):
            try:
                async with self._hosts.turn(address.host):
                    answer = await self._web.get(address, await self._checked(address))
            except TooManyWaiting as error:
                raise TooManyFetches("as many wait for this host as may") from error
            except Unreachable as error:
                raise _Nothing("unreachable") from error
            if answer.head.location is None:
                return read_page(answer.body, answer.head.content_type) if answer.head.is_page else None
            try:
                address = follow(address, answer.head.location, self._reach.ports)
            except AddressNotAllowed as error:
                raise _Nothing("not_allowed") from error
        raise _Nothing("too_many_redirections")

    async def _checked(self, address: Address) -> list[IpAddress]:
        """All that a name stands for. One address of them that is not public is a name that is not."""
        found = list(await self._resolver.resolve(address.host))
        if not found or not all(map(self._reach.allows, found)):
            raise _Nothing("not_public")
        return found
