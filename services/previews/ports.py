"""What previews need of the world."""

from collections.abc import Sequence
from typing import Protocol

from services.previews.core.addresses import Address
from services.previews.core.answers import Answer
from services.previews.core.model import UserId
from services.previews.core.networks import IpAddress


class Unreachable(Exception):
    """A name leads nowhere, or nobody answers there as a host of the web does."""


class Resolver(Protocol):
    """Asks what names stand for."""

    async def resolve(self, host: str, user_id: UserId) -> Sequence[IpAddress]:
        """All addresses of a host, in the order in which to try them. `user_id`: who waits for it. Raises Unreachable,
        and TooManyFetches while too many look-ups of the user's have not ended."""


class Web(Protocol):
    """Asks hosts of the web."""

    async def get(self, address: Address, ips: Sequence[IpAddress]) -> Answer:
        """What a host answers at one of these addresses, and at no other. Follows no redirection. Raises
        Unreachable."""
