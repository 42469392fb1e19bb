"""Names are looked up by the system's resolver, in threads of our own: one that hangs holds up no other look-up of this
process, such as that of the keys of users' tokens."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from services.previews.core.networks import IpAddress, read_ip
from services.previews.ports import Unreachable


class SystemResolver:
    """See ports.Resolver. A part of the service."""

    name = "previews-dns"

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="previews-dns")

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _look_up, host)
        except (OSError, UnicodeError) as error:
            raise Unreachable(type(error).__name__) from error


def _look_up(host: str) -> list[IpAddress]:
    # The dot at the end: the name is whole, and the domains that a cluster searches are not put behind it.
    found = socket.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
    addresses = [read_ip(str(sockaddr[0])) for *_, sockaddr in found]
    if None in addresses:
        raise OSError("an address of no known form")
    return [address for address in addresses if address]
