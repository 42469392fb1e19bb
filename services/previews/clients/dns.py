"""Names are looked up by the system's resolver, in threads of our own: one that hangs holds up no other look-up of this
process, such as that of the keys of users' tokens."""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from services.previews.core.errors import TooManyFetches
from services.previews.core.model import UserId
from services.previews.core.networks import IpAddress, read_ip
from services.previews.ports import Unreachable

# Of one user at once. A look-up that nobody waits for any more cannot be ended: it holds its thread for as long as the
# system asks, which a name server that hangs makes long. Raising it lets fewer users hold all threads; lowering it
# refuses people after a few names that hang.
LOOK_UPS_PER_USER = 8


class SystemResolver:
    """See ports.Resolver. A part of the service."""

    name = "previews-dns"

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="previews-dns")
        # Their ends are noted in their threads.
        self._lock = Lock()
        self._running: Counter[UserId] = Counter()

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str, user_id: UserId) -> Sequence[IpAddress]:
        if self._running[user_id] >= LOOK_UPS_PER_USER:
            raise TooManyFetches("as many names are looked up for this user as may be at once")
        look_up = self._threads.submit(_look_up, host)
        self._count(user_id, 1)

        def end(_: Future[list[IpAddress]]) -> None:
            self._count(user_id, -1)

        look_up.add_done_callback(end)
        try:
            return await asyncio.wrap_future(look_up)
        except (OSError, UnicodeError) as error:
            raise Unreachable(type(error).__name__) from error

    def _count(self, user_id: UserId, change: int) -> None:
        with self._lock:
            self._running[user_id] += change
            if not self._running[user_id]:
                del self._running[user_id]


def _look_up(host: str) -> list[IpAddress]:
    # The dot at the end: the name is whole, and the domains that a cluster searches are not put behind it.
    found = socket.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
    addresses = [read_ip(str(sockaddr[0])) for *_, sockaddr in found]
    if None in addresses:
        raise OSError("an address of no known form")
    known = [address for address in addresses if address]
    if any(map(_is_own, known)):
        raise OSError("an address of this machine")
    return known


def _is_own(ip: IpAddress) -> bool:
    """Whether the address is this machine's: what is sent there would come from there. Nothing is sent."""
    with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), 9))
        except OSError:
            # There is no way there, which whoever asks finds out.
            return False
        return read_ip(str(probe.getsockname()[0])) == ip
