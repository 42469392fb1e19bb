"""One page is asked for, wherever that leads, and never into a network that is not public."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice

from services.previews import metrics
from services.previews.core.addresses import WEB_PORTS, Address, follow
from services.previews.core.answers import Answer
from services.previews.core.errors import AddressNotAllowed, TooManyFetches
from services.previews.core.model import Preview, UserId
from services.previews.core.networks import IpAddress, IpNetwork, is_public
from services.previews.core.pages import read_page
from services.previews.ports import Resolver, Unreachable, Web
from services.runtime.limits.concurrency import TooManyWaiting, Turns

MAX_REDIRECTIONS = 3
# At once at one host. Raising it lets many users together be a burden to a host; lowering it makes them wait.
FETCHES_PER_HOST = 2
# Raising it keeps more waiting in vain, until their time is up; lowering it sends them away at once (TOO_MANY_FETCHES).
WAITING_PER_HOST = 16
# Of them, those of one user: whose slow pages leave a turn at each host to others.
FETCHES_PER_HOST_AND_USER = 1
# Behind one name. Raising it has more of them looked at; lowering it gives up hosts that have many.
MAX_ADDRESSES = 64
# Of these, the first of IPv4 and as many of IPv6. Raising it finds a host of which some are down; lowering it lets a
# name have fewer others connected to.
TRIED_OF_EACH_KIND = 2


@dataclass(frozen=True)
class Reach:
    """Where a fetch may go. A wider one than this is for tests alone: no variable of the environment makes one."""

    allows: Callable[[IpAddress], bool] = is_public
    ports: Collection[int] = WEB_PORTS

    def without(self, networks: Collection[IpNetwork]) -> "Reach":
        """The same, but for these."""
        return replace(self, allows=lambda ip: self.allows(ip) and not any(ip in network for network in networks))


THE_INTERNET = Reach()


class _Nothing(Exception):
    """Ends a fetch; `outcome` is for metrics, and for nobody else."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Fetcher:
    """Looks names up once, checks all that they stand for, and has those very addresses connected to: a name that
    stands for another address a moment later changes nothing."""

    def __init__(self, resolver: Resolver, web: Web, reach: Reach, timeout_s: float) -> None:
        self._resolver = resolver
        self._web = web
        self._reach = reach
        self._timeout_s = timeout_s
        self._hosts = Turns(FETCHES_PER_HOST, WAITING_PER_HOST)
        # By user and host.
        self._own = Turns(FETCHES_PER_HOST_AND_USER, WAITING_PER_HOST)

    @asynccontextmanager
    async def turn_of(self, user_id: UserId, host: str) -> AsyncIterator[None]:
        """To be held by whoever has a host asked, before the fetch begins: others may wait for the fetch, too, and are
        not to wait for this user's turn. Raises TooManyFetches."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._own.turn((user_id, host)))
            except TooManyWaiting as error:
                raise TooManyFetches("as many of this user wait for this host as may") from error
            yield

    async def fetch(self, user_id: UserId, address: Address) -> Preview | None:
        """The preview of a page. None where there is none, whatever the reason, such as that it took too long. Raises
        TooManyFetches when it did not come to be asked for: too many wait for the host, or look-ups of the user's have
        not ended."""
        try:
            preview = await self._follow(user_id, address)
        except TooManyFetches:
            metrics.FETCHES.labels("busy").inc()
            raise
        except _Nothing as nothing:
            metrics.FETCHES.labels(nothing.outcome).inc()
            return None
        metrics.FETCHES.labels("found" if preview else "no_page").inc()
        return preview

    async def _follow(self, user_id: UserId, address: Address) -> Preview | None:
        first, deadline = address.host, asyncio.get_running_loop().time() + self._timeout_s
        for _ in range(MAX_REDIRECTIONS + 1):
            async with AsyncExitStack() as turn:
                try:
                    async with asyncio.timeout_at(deadline):
                        if address.host != first:
                            await turn.enter_async_context(self.turn_of(user_id, address.host))
                        await turn.enter_async_context(self._hosts.turn(address.host))
                except (TooManyWaiting, TimeoutError) as error:
                    raise TooManyFetches("as many wait for this host as may") from error
                answer = await self._ask(user_id, address, deadline)
            if answer.head.location is None:
                return read_page(answer.body, answer.head.content_type) if answer.head.is_page else None
            try:
                address = follow(address, answer.head.location, self._reach.ports)
            except AddressNotAllowed as error:
                raise _Nothing("not_allowed") from error
        raise _Nothing("too_many_redirections")

    async def _ask(self, user_id: UserId, address: Address, deadline: float) -> Answer:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._web.get(address, await self._checked(user_id, address))
        except Unreachable as error:
            raise _Nothing("unreachable") from error
        except TimeoutError as error:
            raise _Nothing("timeout") from error

    async def _checked(self, user_id: UserId, address: Address) -> list[IpAddress]:
        """Which of all that a name stands for are tried. One address of them that is not public is a name that is
        not."""
        found = list(await self._resolver.resolve(address.host, user_id))
        if len(found) > MAX_ADDRESSES:
            raise _Nothing("unreachable")
        if not found or not all(map(self._reach.allows, found)):
            raise _Nothing("not_public")
        return [
            ip
            for version in dict.fromkeys(ip.version for ip in found)
            for ip in islice((ip for ip in found if ip.version == version), TRIED_OF_EACH_KIND)
        ]
