"""Clients that move as they like, before the real demultiplexer and address book: whoever sits still again is found.

Ports are used again, also by another participant; packets are lost or late; some nominate, some do not; DTLS comes up
before or after a move; and somebody writes another's address into its checks.

Not in unit/sfu, whose tests run on the compiled media path too: that takes no stand-ins for keys and router.
"""

import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu.connection import Connection
from services.sfu.connections import Connections
from services.sfu.core.errors import PacketError
from services.sfu.core.session.addresses import Route
from services.sfu.core.session.effects import SendRtcp
from services.sfu.core.session.quality import QualityMeter
from services.sfu.demux import Demux
from services.sfu.egress import Egress
from services.sfu.metrics import PrometheusMetrics
from services.sfu.srtp import PacketBuffer
from services.sfu.udp import BATCH_SIZE, encode_sockaddr
from tests.unit.sfu.builders import join, make_router

PLACES = [encode_sockaddr(socket.AF_INET, ("192.0.2.1", port)) for port in range(5)]
# Rounds in which a client sits still. Two checks come in them, 5 s apart, as those of aiortc: the first may not move it
# where it was heard elsewhere a moment before.
ROUNDS, ROUND_S, ROUNDS_A_CHECK = 20, 0.33, 15
# Its first bytes say who a packet is from, or for.
MEDIA = b"\x80\x60"


class Keys:
    """SRTP of one participant: what another encrypted is forged."""

    def __init__(self, number: int) -> None:
        self.own = bytes([number])
        self.taken = 0

    def unprotect_rtp(self, buffer: PacketBuffer, size: int) -> bytes:
        if bytes(buffer.view[2:3]) != self.own:
            raise PacketError("srtp_forged")
        self.taken += 1
        return bytes(buffer.view[:size])

    def protect_rtcp(self, _buffer: PacketBuffer, size: int) -> int:
        return size


class Handshake:
    """DTLS of one participant."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def receive(self, datagram: bytes) -> None:
        self.received.append(datagram)


class Nothing:
    """Of the router and its effects nothing is asked here."""

    def handle_consent(self, *_: object) -> list[object]:
        return []

    def handle_rtp(self, *_: object) -> list[object]:
        return []

    def queue(self, *_: object) -> None:
        return


@dataclass
class Mobile:
    """A client: where it is, and what it got there."""

    connection: Connection
    place: bytes
    been: set[bytes]
    keys: Keys
    got: list[bytes] = field(default_factory=list)

    @property
    def route(self) -> Route:
        return self.connection.route

    def check(self, *, is_nominating: bool) -> bytes:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self.route.ice_ufrag}:{self.route.peer_ufrag}"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        if is_nominating:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self.route.ice_pwd.encode())
        return bytes(request)

    def media(self) -> bytes:
        return MEDIA + self.keys.own + bytes(120)

    def answer(self, datagram: bytes) -> bytes | None:
        """What a full agent says to a datagram; nothing to what is meant for another."""
        if datagram[:2] != b"\x00\x01":
            self.got.append(datagram)
            return None
        check = stun.parse_message(datagram)
        if not check.check_message_integrity(self.route.peer_pwd.encode()):
            return None
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=check.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.9", 9)
        response.add_message_integrity(self.route.peer_pwd.encode())
        return bytes(response)


class World:
    """Two mobiles, a worker's demultiplexer, and the network between them. Is a Batch: what goes out lands here."""

    def __init__(self) -> None:
        self.now = 100.0
        self._buffers = [PacketBuffer() for _ in range(BATCH_SIZE)]
        self._down: deque[tuple[bytes, bytes]] = deque()
        # On their way: source and datagram.
        self.late: list[tuple[bytes, bytes]] = []
        self.connections = Connections()
        self.egress = Egress(self, self.connections.by_number, PrometheusMetrics())
        nothing = cast(Any, Nothing())
        self._ids = 0
        self.demux = Demux(self.connections, nothing, nothing, self.egress, self._random)
        router = make_router()
        self.mobiles = [self._enter(join(router, user), PLACES[at]) for at, user in enumerate(("ann", "bob"))]

    def _random(self, size: int) -> bytes:
        self._ids += 1
        return self._ids.to_bytes(size, "big")

    def _enter(self, participant: Any, place: bytes) -> Mobile:
        number = participant.number
        route = Route(number, f"ours{number}", f"our-pwd{number}", f"theirs{number}", f"their-pwd{number}")
        self.connections.book.add_route(route)
        connection = Connection(participant, route, QualityMeter(0.0), 0.0, cast(Any, Handshake()), None)
        self.connections.by_number[number] = connection
        return Mobile(connection, place, {place}, Keys(number))

    def claim(self, wanted: int) -> Sequence[PacketBuffer]:
        return self._buffers[:wanted]

    def commit(self, sizes: Sequence[int], destination: bytes) -> None:
        for buffer, size in zip(self._buffers, sizes, strict=False):
            self._down.append((destination, bytes(buffer.view[:size])))

    def flush(self) -> tuple[int, int]:
        return 0, 0

    def arrive(self, source: bytes, datagram: bytes) -> bool:
        """A datagram comes to the worker; whether it was taken."""
        buffer = PacketBuffer()
        buffer.view[: len(datagram)] = datagram
        try:
            self.demux.handle_datagram(buffer, len(datagram), source, self.now)
        except PacketError:
            return False
        return True

    def bring_down(self, fate: str) -> None:
        """What the worker has sent comes to whoever is there now; their answers have this fate."""
        while self._down:
            destination, datagram = self._down.popleft()
            for mobile in self.mobiles:
                answer = mobile.answer(datagram) if mobile.place == destination else None
                if answer is not None:
                    self.send(destination, answer, fate)

    def send(self, source: bytes, datagram: bytes, fate: str) -> None:
        if fate == "late":
            self.late.append((source, datagram))
        elif fate == "through":
            self.arrive(source, datagram)

    def move(self, mobile: Mobile, place: bytes) -> None:
        if all(other.place != place for other in self.mobiles):
            mobile.place = place
            mobile.been.add(place)

    def come_up(self, mobile: Mobile) -> None:
        """DTLS is up, where its flights could reach the client; as the worker does it."""
        connection = mobile.connection
        if connection.srtp is None and connection.destination in mobile.been:
            connection.srtp = cast(Any, mobile.keys)
            self.connections.book.handle_handshake(mobile.route, self.now)
            connection.allowance = mobile.route.allowance
            self.egress.release(connection)

    def address_as_another(self, mobile: Mobile, place: bytes, *, is_nominating: bool) -> None:
        """A check from an address that the client is not at takes it from nobody who has proven to be there."""
        owner = self.connections.book.find_by_address(_address(place))
        is_held = owner is not None and owner is not mobile.route and owner.known[_address(place)].allowance is None
        self.arrive(place, mobile.check(is_nominating=is_nominating))
        if is_held:
            assert self.connections.book.find_by_address(_address(place)) is owner

    def do(self, mobile: Mobile, what: str, place: bytes, fate: str) -> None:
        match what:
            case "move":
                self.move(mobile, place)
            case "check" | "nominate":
                self.send(mobile.place, mobile.check(is_nominating=what == "nominate"), fate)
            case "media":
                self.send(mobile.place, mobile.media(), fate)
            case "up":
                self.come_up(mobile)
            case "receive":
                self.egress.send_rtcp(
                    SendRtcp(mobile.connection.participant.number, b"\x80\xc8" + mobile.keys.own * 98)
                )
            case "pretend" if place != mobile.place:
                self.address_as_another(mobile, place, is_nominating=fate == "through")
            case "arrive" if self.late:
                self.arrive(*self.late.pop(0))
        self.bring_down(fate)

    def tick(self, elapsed_s: float) -> None:
        for mobile in self.mobiles:
            self.demux.renew_proof(mobile.connection, self.now + elapsed_s)
        self.now += elapsed_s
        self.bring_down("through")

    def sit_still(self) -> None:
        """Everything gets through for a while; both are in the call."""
        for turn in range(ROUNDS):
            for mobile in self.mobiles:
                if turn % ROUNDS_A_CHECK == 0:
                    self.do(mobile, "check", mobile.place, "through")
                self.do(mobile, "up", mobile.place, "through")
                self.do(mobile, "media", mobile.place, "through")
                self.do(mobile, "receive", mobile.place, "through")
            self.tick(ROUND_S)


def _address(place: bytes) -> tuple[str, int]:
    return "192.0.2.1", PLACES.index(place)


def find(world: World, mobile: Mobile) -> None:
    """It is in the call: both ways, where it is, and by itself."""
    address = _address(mobile.place)
    assert world.connections.book.find_by_address(address) is mobile.route
    assert (mobile.route.selected, mobile.connection.destination) == (address, mobile.place)
    assert mobile.connection.allowance is None
    assert not mobile.connection.held
    taken = mobile.keys.taken
    assert world.arrive(mobile.place, mobile.media())
    assert mobile.keys.taken == taken + 1
    for other in world.mobiles:
        other.got.clear()
    world.do(mobile, "receive", mobile.place, "through")
    assert [len(other.got) for other in world.mobiles] == [other is mobile for other in world.mobiles]
    assert world.arrive(mobile.place, b"\x16handshake of %d" % mobile.connection.participant.number)
    assert cast(Handshake, mobile.connection.dtls).received[-1].endswith(b"%d" % mobile.connection.participant.number)


happening = st.tuples(
    st.sampled_from([0, 1]),
    st.sampled_from(["move", "check", "nominate", "media", "up", "receive", "pretend", "arrive"]),
    st.sampled_from(PLACES),
    st.sampled_from(["through", "through", "late", "lost"]),
    st.sampled_from([0.0, 0.02, 0.3, 1.5, 12.0, 31.0]),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(happening, max_size=60))
def test_who_sits_still_again_is_found_and_nobody_loses_an_address_that_is_proven(
    happened: list[tuple[int, str, bytes, str, float]],
) -> None:
    world = World()
    for who, what, place, fate, elapsed_s in happened:
        world.do(world.mobiles[who], what, place, fate)
        if elapsed_s:
            world.tick(elapsed_s)
    world.sit_still()
    for mobile in world.mobiles:
        find(world, mobile)
    for mobile in world.mobiles:
        world.connections.remove(mobile.connection.participant.number)
    assert len(world.connections.book) == 0
    assert not world.connections.sources
