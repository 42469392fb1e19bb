"""A participant that says it is where it is not: hardly anything goes there, and its media stays where it was."""

import re
import socket
import struct
from collections.abc import Iterator

import pytest
from aioice import stun

from loadtests.sfu_media.peer import Peer
from services.sfu.dtls import Certificate
from tests.integration.sfu.conftest import Client, RunningWorker, dropped
from tests.integration.sfu.relay import Relay
from tests.support.waiting import until


class Victim:
    """A socket that answers nothing; what a participant sends from it has a source that is not its own."""

    def __init__(self, worker: RunningWorker) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._worker = worker.services.media.address
        self.sent = self.received = 0
        self.kinds: set[str] = set()

    def send(self, datagram: bytes) -> None:
        self.sent += len(datagram)
        self._socket.sendto(datagram, self._worker)

    def look(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(2048)
            except BlockingIOError:
                return
            self.received += len(datagram)
            self.kinds.add("stun" if datagram[0] < 4 else "dtls" if datagram[0] < 64 else "srtp")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def victim(worker: RunningWorker) -> Iterator[Victim]:
    victim = Victim(worker)
    yield victim
    victim.close()


def nomination(answer: str, theirs: str = "x") -> bytes:
    ufrag, password = (re.search(rf"a=ice-{name}:(\S+)", answer) for name in ("ufrag", "pwd"))
    assert ufrag is not None
    assert password is not None
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag[1]}:{theirs}"
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password[1].encode())
    return bytes(message)


async def test_media_does_not_go_where_a_check_points(worker: RunningWorker, victim: Victim) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    answer = await ann.join(worker)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    for _ in range(3):
        before = ann.frames()
        victim.send(nomination(answer))
        await until(lambda before=before: ann.frames() >= before + 10, what="ann goes on seeing")  # type: ignore[misc]
        victim.look()
    assert victim.kinds == {"stun"}
    assert victim.received <= 3 * victim.sent
    for client in (ann, bob):
        await client.close()


async def test_who_is_nowhere_else_gets_three_times_what_it_sends(worker: RunningWorker, victim: Victim) -> None:
    """The participant falls silent, so that the victim's address is the only one; its peer goes on sending."""
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    relay = Relay(worker.services.media.address)
    answer = await ann.join(worker, relay=relay)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    relay.loss = 1.0
    seen: list[str] = []

    def is_moved() -> bool:
        victim.send(nomination(answer))
        victim.look()
        assert victim.received <= 3 * victim.sent
        seen.extend(victim.kinds)
        return "srtp" in victim.kinds and victim.sent > 40 * len(nomination(answer))

    await until(is_moved, what="something of the media has come to the victim, within its bounds")
    for client in (ann, bob):
        await client.close()
    relay.close()


async def test_handshake_does_not_go_where_a_check_points(worker: RunningWorker, victim: Victim) -> None:
    ann = Client("ann")
    answer = await worker.join(await ann.offer(), "ann")
    victim.send(nomination(answer))
    # A ClientHello of DTLS 1.2 with the suites of browsers, as short as one is: the flight that answers it is large.
    suites = struct.pack("!H4H", 8, 0xC02B, 0xC02F, 0xC009, 0xC013)
    srtp = struct.pack("!HHHHB", 14, 5, 2, 7, 0)
    groups = struct.pack("!HHHH", 10, 4, 2, 23)
    hashes = struct.pack("!HHHHH", 13, 6, 4, 0x0403, 0x0401)
    extensions = srtp + groups + hashes + struct.pack("!HHBB", 11, 2, 1, 0) + struct.pack("!HHB", 0xFF01, 1, 0)
    body = b"\xfe\xfd" + bytes(32) + b"\0\0" + suites + b"\x01\0" + struct.pack("!H", len(extensions)) + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + bytes(2) + bytes(3) + len(body).to_bytes(3, "big") + body
    hello = b"\x16\xfe\xff" + bytes(8) + struct.pack("!H", len(handshake)) + handshake
    for _ in range(5):
        victim.send(hello)
    sent = victim.sent

    def is_answered() -> bool:
        victim.look()
        assert victim.received <= 3 * sent
        return bool(victim.kinds)

    await until(is_answered, what="the worker has answered something")
    await ann.close()


async def test_nothing_of_a_handshake_is_lost_to_who_begins_it_before_the_address_is_proven(
    worker: RunningWorker,
) -> None:
    """A client may send its ClientHello right behind its check: what is lost of its flight comes a second later."""
    lost = dropped("unproven_address")
    eager = Peer(Certificate.generateCertificate(), 9)
    await eager.join(lambda offer: worker.join(offer, "eve"))
    assert dropped("unproven_address") == lost
    await eager.close()


async def test_client_answers_the_workers_question_and_moves_in_a_round_trip(worker: RunningWorker) -> None:
    ann, relay = Client("ann", grey=60), Relay(worker.services.media.address)
    bob = Client("bob", grey=200)
    await ann.join(worker, relay=relay)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    assert any(datagram[:2] == b"\x01\x01" for datagram in relay.sent), "it has answered a check of the worker"
    await relay.move()
    before = ann.frames()
    await until(lambda: ann.frames() >= before + 10, what="ann sees at her new address")
    for client in (ann, bob):
        await client.close()
    relay.close()
