"""Where participants are: found by ICE user name, then by source address (RFC 8445 for a lite agent).

A check with the right password says who sent it, but not that its source receives what is sent there: a participant can
write any source into its packets. So we check the address: a request of ours goes to it, and only its receiver can
answer it (RFC 7675). Until then no more than three times what came from it goes there (as RFC 9000 section 8.1), and
the address before it stays in use while it lives. Proven addresses are checked again; without an answer they are
unproven after 30 s."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.sfu.core.ids import Address, ParticipantNumber

# The selected address is silent when nothing came from it for this long. Raising it makes a listener whose address
# has changed wait longer; lowering it lets a second network of the same client take over for a moment.
SILENT_ADDRESS_S: Final = 1.0
# Addresses kept a participant: a phone on Wi-Fi and mobile with IPv4 and IPv6 has four.
MAX_ADDRESSES: Final = 8
# Bytes to an unproven address for each that came from it (RFC 9000 section 8.1).
AMPLIFICATION: Final = 3
# RFC 7675 section 5.1: how long an answer to a check proves an address. Raising it sends media for longer to an address
# that another client has now; lowering it limits what goes to a client that is still there.
PROOF_S: Final = 30.0
# A proof is renewed after this. Raising it allows fewer answers to be lost; lowering it costs more checks.
RENEW_S: Final = 10.0
# Between two checks of an unproven address, and of a proven one. Raising either lets a lost check delay a change of
# address; lowering it sends needless checks on long paths.
CHECK_AGAIN_S: Final = 0.1
RENEW_AGAIN_S: Final = 2.0


class Allowance:
    """What may still be sent to an unproven address, in bytes of UDP payload."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0

    def earn(self, size: int) -> None:
        """So many bytes came from it."""
        self._left += AMPLIFICATION * size

    def spend(self, size: int) -> bool:
        """Whether so many bytes may be sent to it; they count then."""
        if size > self._left:
            return False
        self._left -= size
        return True


class Remote:
    """One address of a participant. `allowance` is None while it is proven."""

    __slots__ = ("address", "allowance", "checked_at", "is_wanted", "proven_at", "transaction_at", "transaction_id")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.allowance: Allowance | None = Allowance()
        self.proven_at = self.checked_at = self.transaction_at = -1e9
        self.transaction_id = b""
        # The client nominated it, or sends media from it: it is selected when it is proven.
        self.is_wanted = False

    def earn(self, size: int) -> None:
        """So many bytes came from it."""
        if self.allowance is not None:
            self.allowance.earn(size)

    def may_send(self, size: int) -> bool:
        """Whether so many bytes may be sent to it; they count then."""
        return self.allowance is None or self.allowance.spend(size)


@dataclass(slots=True)
class Route:
    """One participant's ICE credentials, ours and its own, and its addresses. `selected` is where its packets are sent
    to."""

    number: ParticipantNumber
    ice_ufrag: str
    ice_pwd: str
    peer_ufrag: str = ""
    peer_pwd: str = ""
    selected: Address | None = None
    heard_at: float = 0.0
    known: dict[Address, Remote] = field(default_factory=dict)
    # How often an address was selected.
    selections: int = 0

    @property
    def allowance(self) -> Allowance | None:
        """That of the selected address; None when it is proven, or none is selected."""
        return None if self.selected is None else self.known[self.selected].allowance


class _PendingCheck(NamedTuple):
    route: Route
    remote: Remote


class AddressBook:
    """The routes of one worker."""

    def __init__(self) -> None:
        self._by_ufrag: dict[str, Route] = {}
        self._by_address: dict[Address, Route] = {}
        # Checks of ours without a response, by their transaction ids.
        self._pending: dict[bytes, _PendingCheck] = {}

    def __len__(self) -> int:
        return len(self._by_ufrag) + len(self._by_address) + len(self._pending)

    def add_route(self, route: Route) -> None:
        """Enter a route; its user name is new."""
        self._by_ufrag[route.ice_ufrag] = route

    def remove_route(self, route: Route) -> None:
        """Forget a route and its addresses."""
        self._by_ufrag.pop(route.ice_ufrag, None)
        for remote in route.known.values():
            self._forget(route, remote)

    def find_by_username(self, username: str) -> Route | None:
        """The route of a check's USERNAME, `<ours>:<theirs>` (RFC 8445 section 7.2.2)."""
        return self._by_ufrag.get(username.partition(":")[0])

    def find_by_address(self, address: Address) -> Route | None:
        """The route that an address was authenticated for."""
        return self._by_address.get(address)

    def handle_check(self, route: Route, address: Address, is_nominated: bool, now: float, size: int = 0) -> bool:
        """An authenticated check of so many bytes came from `address`; True when packets go there from now on and did
        not before."""
        remote = route.known.get(address)
        if remote is None:
            if len(route.known) >= MAX_ADDRESSES:
                self._forget_oldest(route)
            remote = route.known[address] = Remote(address)
        self._own(route, remote)
        return self._note(route, remote, is_nominated, now, size)

    def handle_media(self, route: Route, address: Address, now: float, size: int = 0) -> bool:
        """Authenticated, fresh media came from a known address; True when packets go there from now on."""
        return self._note(route, route.known[address], True, now, size)

    def handle_handshake(self, route: Route, now: float) -> None:
        """DTLS is up: the selected address received what went there, if all of it did."""
        if route.selected is not None and route.selections == 1:
            self._prove(route, route.known[route.selected], now)

    def next_check(self, route: Route, address: Address, fresh: bytes, now: float) -> bytes | None:
        """The transaction id of a check that is due to `address`, to be answered from there; None when none is.

        `fresh`: 12 random bytes, for the case that a new one is needed. A check is repeated as it was.
        """
        remote = route.known.get(address)
        if remote is None or not route.peer_pwd:
            return None
        is_proven = remote.allowance is None
        if is_proven and now - remote.proven_at < RENEW_S:
            return None
        if now - remote.checked_at < (RENEW_AGAIN_S if is_proven else CHECK_AGAIN_S):
            return None
        if not remote.transaction_id or now - remote.transaction_at >= PROOF_S:
            self._pending.pop(remote.transaction_id, None)
            remote.transaction_id, remote.transaction_at = fresh, now
            self._pending[fresh] = _PendingCheck(route, remote)
        remote.checked_at = now
        return remote.transaction_id

    def find_pending(self, transaction_id: bytes, address: Address) -> Route | None:
        """The route whose check of this address a response is for."""
        pending = self._pending.get(transaction_id)
        return pending.route if pending is not None and pending.remote.address == address else None

    def handle_response(self, transaction_id: bytes, now: float) -> bool:
        """An authenticated response to what `find_pending` found; True when packets go to its address from now on and
        did not before."""
        route, remote = self._pending[transaction_id]
        self._prove(route, remote, now)
        return self._note(route, remote, remote.is_wanted, now, 0)

    def expire(self, route: Route, now: float) -> None:
        """Doubt the addresses that have not answered for too long."""
        for remote in route.known.values():
            if remote.allowance is None and now - remote.proven_at >= PROOF_S:
                remote.allowance = Allowance()

    def _prove(self, route: Route, remote: Remote, now: float) -> None:
        remote.proven_at, remote.allowance = now, None
        self._pending.pop(remote.transaction_id, None)
        remote.transaction_id = b""
        self._own(route, remote)

    def _own(self, route: Route, remote: Remote) -> None:
        """Its packets are this route's, unless another has proven to sit there: a check takes nobody's address."""
        owner = self._by_address.get(remote.address)
        held = owner.known.get(remote.address) if owner is not None and owner is not route else None
        if held is None or held.allowance is not None or remote.allowance is None:
            self._by_address[remote.address] = route

    def _note(self, route: Route, remote: Remote, is_wanted: bool, now: float, size: int) -> bool:
        remote.earn(size)
        if remote.address == route.selected:
            route.heard_at = now
            return False
        remote.is_wanted = remote.is_wanted or is_wanted
        is_silent = route.selected is None or now - route.heard_at >= SILENT_ADDRESS_S
        # The one before lives: only a proven address takes its place.
        if not is_silent and not (is_wanted and remote.allowance is None):
            return False
        remote.is_wanted = False
        route.selected, route.heard_at = remote.address, now
        route.selections += 1
        return True

    def _forget_oldest(self, route: Route) -> None:
        """Of the unproven ones first: invented addresses are lost before real ones."""
        others = [remote for remote in route.known.values() if remote.address != route.selected]
        oldest = next((remote for remote in others if remote.allowance is not None), others[0])
        del route.known[oldest.address]
        self._forget(route, oldest)

    def _forget(self, route: Route, remote: Remote) -> None:
        self._pending.pop(remote.transaction_id, None)
        if self._by_address.get(remote.address) is route:
            del self._by_address[remote.address]
