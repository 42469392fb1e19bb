"""The replicas behind a name."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection

LookUp = Callable[[str], Awaitable[Collection[str]]]


async def look_up(address: str) -> list[str]:
    """Every `ip:port` behind a `host:port`: a headless Service has one for each pod. Raises OSError.

    Only one address family is used, because each address counts as a replica.
    """
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    family = found[0][0]
    ips = {str(sockaddr[0]) for kind, *_, sockaddr in found if kind == family}
    return [f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}" for ip in sorted(ips)]
