"""What previews need of the world."""

from collections.abc import Sequence
from typing import Protocol

from services.previews.core.addresses import Address
from services.previews.core.answers import Answer
from services.previews.core.networks import IpAddress


class Unreachable(Exception):
    """A name leads nowhere, or nobody answers there as a host of the web does."""


class Resolver(Protocol):
    """Asks what names stand for."""

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        """All addresses of a host, in the order in which to try them. Raises Unreachable."""


class Web(Protocol):
    """Asks hosts of the web."""

    async def get(self, address: Address, ips: Sequence[IpAddress]) -> Answer:
        """What a host answers at one of these addresses, and at no other. Follows no redirection. Raises
        Unreachable."""
