"""What waits for its group goes to whom it was for, in order, and together."""

from collections.abc import Sequence
from itertools import chain

import pylibsrtp
import pytest

from services.sfu.core.session.addresses import Allowance
from services.sfu.core.session.effects import SendMedia
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.egress import MAX_HELD, Egress, Outlet
from services.sfu.metrics import PrometheusMetrics
from services.sfu.srtp import PacketBuffer, SrtpSession
from services.sfu.udp import BATCH_SIZE
from tests.unit.sfu.builders import join, make_router, video

Q = 11


class Record:
    """A batch that keeps what is committed: the sequence numbers of each commit by its destination."""

    def __init__(self) -> None:
        self.commits: list[tuple[bytes, list[int]]] = []
        self._buffers = [PacketBuffer() for _ in range(BATCH_SIZE)]

    def claim(self, wanted: int) -> Sequence[PacketBuffer]:
        return self._buffers[:wanted]

    def commit(self, sizes: Sequence[int], destination: bytes) -> None:
        buffers = self._buffers[: len(sizes)]
        self.commits.append((destination, [int.from_bytes(buffer.view[2:4], "big") for buffer in buffers]))

    def flush(self) -> tuple[int, int]:
        return 0, 0

    def to(self, member: Participant) -> list[list[int]]:
        """The commits for one receiver, counted from the first packet it got."""
        own = [numbers for destination, numbers in self.commits if destination == name(member)]
        return [[number - own[0][0] for number in numbers] for numbers in own]

    def all_to(self, member: Participant) -> list[int]:
        """Whatever commits they came in."""
        return list(chain.from_iterable(self.to(member)))


def name(member: Participant) -> bytes:
    return bytes((member.number,))


def session() -> SrtpSession:
    profile = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    policy = pylibsrtp.Policy(key=bytes(28), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
    return SrtpSession(pylibsrtp.Session(policy), pylibsrtp.Session(policy))


class Stage:
    """Ann sends to bob and cid."""

    def __init__(self) -> None:
        self.router: Router = make_router()
        self.ann, self.bob, self.cid = (join(self.router, user) for user in ("ann", "bob", "cid"))
        self.batch = Record()
        outlets = {member.number: Outlet() for member in (self.bob, self.cid)}
        for member in (self.bob, self.cid):
            outlet = outlets[member.number]
            outlet.srtp, outlet.destination = session(), name(member)
        self.egress = Egress(self.batch, outlets, PrometheusMetrics())

    def send(self, *numbers: int, key_frame: bool = False) -> None:
        for number in numbers:
            for effect in self.router.handle_rtp(self.ann, video(Q, number, number, key_frame=key_frame), 1.0):
                if isinstance(effect, SendMedia):
                    self.egress.send_media(effect, 1.0)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.send(1, key_frame=True)
    stage.egress.flush()
    return stage


def test_a_receivers_share_of_a_burst_goes_out_together(stage: Stage) -> None:
    stage.send(2, 3, 4)
    stage.egress.flush()
    assert stage.batch.to(stage.bob) == stage.batch.to(stage.cid) == [[0], [1, 2, 3]]


def test_a_receiver_that_parts_meanwhile_gets_each_packet_once_and_in_order(stage: Stage) -> None:
    stage.send(2, 3)
    slot = stage.bob.slots[1]
    slot.want(slot.source, 0)
    stage.send(4, 5)
    stage.egress.flush()
    assert stage.batch.all_to(stage.bob) == stage.batch.all_to(stage.cid) == [0, 1, 2, 3, 4]


def test_a_receiver_that_leaves_the_stream_gets_what_came_before(stage: Stage) -> None:
    stage.send(2, 3)
    stage.bob.slots[1].want(None)
    stage.send(4)
    stage.egress.flush()
    assert stage.batch.to(stage.bob) == [[0], [1, 2]]
    assert stage.batch.all_to(stage.cid) == [0, 1, 2, 3]


def test_a_burst_larger_than_a_batch_goes_out_whole(stage: Stage) -> None:
    last = BATCH_SIZE + 9
    stage.send(*range(2, last + 1))
    stage.egress.flush()
    assert stage.batch.all_to(stage.bob) == list(range(last))


class Handshake:
    """What goes out of a handshake to an address that is not proven."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.outlet = Outlet()
        self.outlet.destination, self.outlet.allowance = b"there", Allowance()
        self.egress = Egress(self, {}, PrometheusMetrics())
        self._buffer = PacketBuffer()

    def claim(self, wanted: int) -> Sequence[PacketBuffer]:
        assert wanted == 1
        return [self._buffer]

    def commit(self, sizes: Sequence[int], destination: bytes) -> None:
        assert destination == b"there"
        self.sent += [bytes(self._buffer.view[:size]) for size in sizes]

    def flush(self) -> tuple[int, int]:
        return 0, 0

    def say(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.egress.send_dtls(self.outlet, datagram)


def test_a_flight_that_an_address_may_not_have_yet_comes_in_order_when_it_is_proven() -> None:
    handshake = Handshake()
    assert handshake.outlet.allowance
    handshake.outlet.allowance.earn(5)
    handshake.say(b"a" * 10, b"b" * 10, b"c" * 5)
    assert handshake.sent == [b"a" * 10]
    handshake.outlet.allowance = None
    handshake.egress.release(handshake.outlet)
    assert handshake.sent == [b"a" * 10, b"b" * 10, b"c" * 5]


def test_what_comes_from_an_address_that_is_not_proven_brings_it_three_times_as_much() -> None:
    handshake = Handshake()
    handshake.say(*(bytes((number,)) * 10 for number in range(4)))
    assert handshake.outlet.allowance
    handshake.outlet.allowance.earn(7)
    handshake.egress.release(handshake.outlet)
    assert [datagram[0] for datagram in handshake.sent] == [0, 1]


def test_only_so_much_waits_for_a_proof() -> None:
    handshake = Handshake()
    handshake.say(*(bytes((number,)) for number in range(100)))
    handshake.outlet.allowance = None
    handshake.egress.release(handshake.outlet)
    assert [datagram[0] for datagram in handshake.sent] == list(range(100 - MAX_HELD, 100))
