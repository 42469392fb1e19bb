"""The legs of a worker: who may speak on them, and what becomes of them."""

import socket
from collections import Counter
from dataclasses import replace

import pytest

from services.sfu.batch import open_batch
from services.sfu.core.errors import PacketError, RelaysInvalid
from services.sfu.core.ids import Address, CallId, LegNumber, WorkerId
from services.sfu.core.session.effects import SendRelayed
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE
from services.sfu.egress import Egress
from services.sfu.metrics import PrometheusMetrics
from services.sfu.ports import CallRelays, RelayPeer
from services.sfu.relay_cipher import Sealer
from services.sfu.relay_legs import MAX_WINDOWS, RelayLegs
from services.sfu.udp import encode_sockaddr, open_socket
from tests.support.waiting import PATIENCE_S

CALL = CallId("call-1")


class End:
    """One worker's end, on a socket of its own."""

    def __init__(self) -> None:
        self.socket = open_socket(("127.0.0.1", 0))
        metrics = PrometheusMetrics()
        self.drops: Counter[str] = Counter()
        batch = open_batch(self.socket, lambda packets: self.drops.update(socket_full=packets))
        self.egress = Egress(batch, {}, metrics)
        self.legs = RelayLegs(self.socket.family, self.egress, metrics)

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()
        return host, port

    def send(self, leg: LegNumber, frame: bytes) -> None:
        self.legs.send(SendRelayed(leg, frame))
        self.egress.flush()

    def receive(self) -> tuple[LegNumber, bytes]:
        self.socket.setblocking(True)
        self.socket.settimeout(PATIENCE_S)
        datagram, source = self.socket.recvfrom(2048)
        return self.legs.open(datagram, encode_sockaddr(socket.AF_INET, source))


def peer_of(address: Address, mine: bytes = b"a", theirs: bytes = b"b") -> RelayPeer:
    return RelayPeer(WorkerId("w2"), address, mine * 8, theirs * 8, mine * 16, theirs * 16)


def relays(revision: int, *peers: RelayPeer, call: CallId = CALL) -> CallRelays:
    return CallRelays(call, revision, peers, ())


@pytest.fixture
def ends() -> tuple[End, End]:
    return End(), End()


def join(one: End, two: End) -> tuple[LegNumber, LegNumber]:
    (there,) = one.legs.set_call(relays(1, peer_of(two.address)), {}, 1000).values()
    (back,) = two.legs.set_call(relays(1, peer_of(one.address, b"b", b"a")), {}, 1000).values()
    return there, back


def refusal(end: End, datagram: bytes, source: Address) -> str:
    with pytest.raises(PacketError) as caught:
        end.legs.open(datagram, encode_sockaddr(socket.AF_INET, source))
    return caught.value.reason


def test_a_frame_arrives_on_the_leg_that_it_was_sent_on(ends: tuple[End, End]) -> None:
    one, two = ends
    there, back = join(one, two)
    one.send(there, b"frame")
    assert two.receive() == (back, b"frame")
    two.send(back, b"and back")
    assert one.receive() == (there, b"and back")


def test_who_is_not_the_peer_is_refused_before_anything_is_decrypted(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    sealed = Sealer(b"a" * 8, b"a" * 16, 2000).seal(b"frame")
    assert refusal(two, sealed, ("127.0.0.1", 9)) == "relay_source"
    assert refusal(two, Sealer(b"x" * 8, b"a" * 16, 2000).seal(b"frame"), one.address) == "relay_unknown"
    assert refusal(two, Sealer(b"a" * 8, b"x" * 16, 2000).seal(b"frame"), one.address) == "relay_forged"
    assert refusal(two, sealed[:20], one.address) == "relay_malformed"
    two.legs.open(sealed, encode_sockaddr(socket.AF_INET, one.address))
    assert refusal(two, sealed, one.address) == "relay_replayed"


def test_what_a_worker_sent_is_refused_when_it_comes_back(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    assert refusal(one, Sealer(b"a" * 8, b"a" * 16, 2000).seal(b"frame"), two.address) == "relay_unknown"


def test_a_leg_that_stays_as_it_was_goes_on_and_another_begins_anew(ends: tuple[End, End]) -> None:
    one, two = ends
    there, _ = join(one, two)
    same = one.legs.set_call(relays(2, peer_of(two.address)), {}, 1000)
    assert list(same.values()) == [there]
    other = replace(peer_of(two.address), send_key=b"k" * 16)
    (anew,) = one.legs.set_call(relays(3, other), {}, 1000).values()
    assert anew != there
    # Nothing is sent on a leg that is gone.
    one.send(there, b"frame")


def test_a_leg_that_is_set_up_again_in_the_same_moment_is_heard(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    one.legs.keep(())
    (there,) = one.legs.set_call(relays(2, peer_of(two.address)), {}, 1000).values()
    one.send(there, b"frame")
    assert two.receive()[1] == b"frame"


def test_a_leg_that_is_set_up_again_takes_nothing_a_second_time(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    sealed = Sealer(b"a" * 8, b"a" * 16, 2000).seal(b"frame")
    two.legs.open(sealed, encode_sockaddr(socket.AF_INET, one.address))
    two.legs.keep(())
    two.legs.set_call(relays(2, peer_of(one.address, b"b", b"a")), {}, 3000)
    assert refusal(two, sealed, one.address) == "relay_replayed"
    # Nor from another address.
    two.legs.set_call(relays(3, peer_of(("127.0.0.1", 9), b"b", b"a")), {}, 3000)
    assert refusal(two, sealed, ("127.0.0.1", 9)) == "relay_replayed"


def test_what_is_remembered_of_legs_that_are_gone_has_an_end(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    sealed = Sealer(b"a" * 8, b"a" * 16, 2000).seal(b"frame")
    two.legs.open(sealed, encode_sockaddr(socket.AF_INET, one.address))
    for number in range(MAX_WINDOWS):
        other = replace(peer_of(one.address, b"b", b"a"), receive_leg_id=number.to_bytes(8, "big"))
        two.legs.set_call(relays(2, other), {}, 3000)
    two.legs.set_call(relays(3, peer_of(one.address, b"b", b"a")), {}, 3000)
    assert two.legs.open(sealed, encode_sockaddr(socket.AF_INET, one.address))[1] == b"frame"


def test_legs_of_calls_that_have_ended_are_forgotten(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    one.legs.set_call(relays(1, peer_of(two.address, b"c", b"d"), call=CallId("call-2")), {}, 1000)
    one.legs.keep([CALL])
    assert len(one.legs) == 3
    one.legs.keep([])
    assert len(one.legs) == 0


def test_an_id_of_another_call_is_refused_and_changes_nothing(ends: tuple[End, End]) -> None:
    one, two = ends
    join(one, two)
    with pytest.raises(RelaysInvalid):
        one.legs.set_call(relays(1, peer_of(two.address), call=CallId("call-2")), {}, 1000)
    with pytest.raises(RelaysInvalid):
        one.legs.set_call(relays(1, peer_of(("::1", 5), b"e", b"f"), call=CallId("call-2")), {}, 1000)
    assert len(one.legs) == 3


def test_an_address_that_counts_on_one_machine_alone_is_refused() -> None:
    with open_socket(("::1", 0)) as theirs:
        metrics = PrometheusMetrics()
        legs = RelayLegs(theirs.family, Egress(open_batch(theirs, lambda _: None), {}, metrics), metrics)
        with pytest.raises(RelaysInvalid):
            legs.set_call(relays(1, peer_of(("fe80::1%eth0", 5))), {}, 1000)
        assert len(legs) == 0


def test_what_does_not_go_into_a_datagram_is_dropped(ends: tuple[End, End]) -> None:
    one, two = ends
    there, _ = join(one, two)
    one.send(there, bytes(MAX_PACKET_SIZE))
    one.send(there, b"next")
    assert two.receive()[1] == b"next"
