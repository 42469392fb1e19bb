"""Where participants are: found by ICE user name, then by source address (RFC 8445 for a lite agent).

An address counts only after an authenticated check from it. Media goes to the address of the last nominated check;
but a client that moves without nominating anew is followed too: by the media it sends, or by its checks once the old
address is silent.
"""

from dataclasses import dataclass, field

from services.sfu.core.ids import Address, ParticipantNumber

# The selected address is silent when nothing came from it for this long.
# Higher: a moved listener waits longer. Lower: a second network of the same client takes over for a moment.
SILENT_ADDRESS_S = 1.0
# Addresses kept a participant: a phone on Wi-Fi and mobile with IPv4 and IPv6 has four.
MAX_ADDRESSES = 8


@dataclass(slots=True)
class Route:
    """One participant's ICE credentials and addresses. `selected` is where its packets are sent to."""

    number: ParticipantNumber
    ice_ufrag: str
    ice_pwd: str
    selected: Address | None = None
    heard_at: float = 0.0
    known: list[Address] = field(default_factory=list)


class AddressBook:
    """The routes of one worker."""

    def __init__(self) -> None:
        self._by_ufrag: dict[str, Route] = {}
        self._by_address: dict[Address, Route] = {}

    def __len__(self) -> int:
        return len(self._by_ufrag) + len(self._by_address)

    def add(self, route: Route) -> None:
        """Enter a route; its user name is new."""
        self._by_ufrag[route.ice_ufrag] = route

    def remove(self, route: Route) -> None:
        """Forget a route and its addresses."""
        self._by_ufrag.pop(route.ice_ufrag, None)
        for address in route.known:
            if self._by_address.get(address) is route:
                del self._by_address[address]

    def find_by_username(self, username: str) -> Route | None:
        """The route of a check's USERNAME, `<ours>:<theirs>` (RFC 8445 section 7.2.2)."""
        return self._by_ufrag.get(username.partition(":")[0])

    def find_by_address(self, address: Address) -> Route | None:
        """The route that an address was authenticated for."""
        return self._by_address.get(address)

    def handle_check(self, route: Route, address: Address, is_nominated: bool, now: float) -> bool:
        """An authenticated check came from `address`; True when packets go there from now on and did not before."""
        if address not in route.known:
            if len(route.known) >= MAX_ADDRESSES:
                self._forget_oldest(route)
            route.known.append(address)
        self._by_address[address] = route
        if address == route.selected:
            route.heard_at = now
            return False
        if route.selected is None or is_nominated or now - route.heard_at >= SILENT_ADDRESS_S:
            return self._select(route, address, now)
        return False

    def handle_media(self, route: Route, address: Address, now: float) -> bool:
        """Authenticated, fresh media came from a known address; True when packets go there from now on."""
        if address == route.selected:
            route.heard_at = now
            return False
        return self._select(route, address, now)

    def _select(self, route: Route, address: Address, now: float) -> bool:
        route.selected, route.heard_at = address, now
        return True

    def _forget_oldest(self, route: Route) -> None:
        oldest = next(address for address in route.known if address != route.selected)
        route.known.remove(oldest)
        if self._by_address.get(oldest) is route:
            del self._by_address[oldest]
