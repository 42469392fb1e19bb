"""What comes to the media port without being media: dropped, counted by reason, and the calls go on."""

import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aioice import stun

from tests.integration.sfu.conftest import Client, RunningWorker, dropped
from tests.integration.sfu.relay import Relay
from tests.support.waiting import until


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    yield sock
    sock.close()


@pytest.fixture
async def call(worker: RunningWorker) -> AsyncIterator[tuple[Client, Client, Relay]]:
    """Ann through a relay, and bob, who see each other."""
    relay = Relay(worker.services.media.address)
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    await ann.join(worker, relay=relay)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    yield ann, bob, relay
    await ann.close()
    await bob.close()
    relay.close()


async def media_goes_on(call: tuple[Client, Client, Relay]) -> None:
    ann, bob, _ = call
    before = ann.frames(), bob.frames()
    await until(lambda: min(ann.frames() - before[0], bob.frames() - before[1]) >= 10, what="pictures go on")


def answers(sock: socket.socket) -> int:
    count = 0
    while True:
        try:
            sock.recv(2048)
        except BlockingIOError:
            return count
        count += 1


def check(username: str, password: str) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    message.add_message_integrity(password.encode())
    return bytes(message)


def sender(sock: socket.socket, worker: RunningWorker) -> Callable[[bytes], object]:
    return lambda datagram: sock.sendto(datagram, worker.services.media.address)


async def expect_drop(send: Callable[[bytes], object], datagram: bytes, reason: str) -> None:
    before = dropped(reason)
    send(datagram)
    await until(lambda: dropped(reason) > before, what=f"a drop for {reason}")


async def test_strangers_datagrams_are_dropped_by_reason(
    worker: RunningWorker, call: tuple[Client, Client, Relay], stranger: socket.socket
) -> None:
    good = check("nobody:x", "password")
    send = sender(stranger, worker)
    for datagram, reason in (
        (b"", "size"),
        (bytes(1600), "size"),
        (b"\x50hello", "not_media"),
        (b"\x16\xfe\xfd" + bytes(30), "unknown_source"),
        (b"\x80\x60" + bytes(30), "unknown_source"),
        (b"\x80\xc8" + bytes(30), "unknown_source"),
        (b"\x00\x01", "stun_malformed"),
        (good[:25], "stun_malformed"),
        (good[:-1] + b"\x00", "stun_malformed"),
        (good, "stun_unknown_ufrag"),
        (bytes(stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)), "stun_unexpected"),
        (bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)), "stun_unexpected"),
    ):
        await expect_drop(send, datagram, reason)
    assert answers(stranger) == 0
    await media_goes_on(call)


async def test_forged_check_gets_no_answer_and_moves_nobody(
    worker: RunningWorker, call: tuple[Client, Client, Relay], stranger: socket.socket
) -> None:
    relay = call[2]
    check_of_ann = next(datagram for datagram in relay.sent if datagram[0] < 4)
    username = stun.parse_message(check_of_ann).attributes["USERNAME"]
    send = sender(stranger, worker)
    await expect_drop(send, check(username, "guess"), "stun_forged")
    unsigned = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    unsigned.attributes["USERNAME"] = username
    await expect_drop(send, bytes(unsigned), "stun_forged")
    assert answers(stranger) == 0
    await media_goes_on(call)


async def test_replayed_and_forged_srtp_from_the_clients_own_address_is_dropped(
    worker: RunningWorker, call: tuple[Client, Client, Relay]
) -> None:
    relay = call[2]
    await until(lambda: any(200 <= d[1] <= 206 for d in relay.sent if d[0] >> 6 == 2), what="ann has sent RTCP")
    rtp = next(d for d in relay.sent if d[0] >> 6 == 2 and not 192 <= d[1] <= 223)
    rtcp = next(d for d in relay.sent if d[0] >> 6 == 2 and 200 <= d[1] <= 206)
    later = (int.from_bytes(rtp[2:4], "big") + 5000) & 0xFFFF
    for datagram, reason in (
        (rtp, "srtp_replayed"),
        (rtcp, "srtp_replayed"),
        (rtp[:-1] + bytes((rtp[-1] ^ 1,)), "srtp_replayed"),
        (rtp[:2] + later.to_bytes(2, "big") + rtp[4:], "srtp_forged"),
        (rtp[:8] + b"none" + rtp[12:], "srtp_forged"),
        # The last bytes are SRTCP's index: a later one is no replay.
        (rtcp[:-2] + b"\x7f\xff", "srtp_forged"),
        (rtp[:9], "srtp_malformed"),
        (rtcp[:5], "srtp_malformed"),
    ):
        await expect_drop(relay.inject, datagram, reason)
    await media_goes_on(call)


def first_media(datagrams: list[bytes]) -> bytes | None:
    return next((d for d in datagrams if d[0] >> 6 == 2 and not 192 <= d[1] <= 223), None)


async def test_what_the_worker_sent_is_refused_when_it_comes_back(
    worker: RunningWorker, call: tuple[Client, Client, Relay]
) -> None:
    relay = call[2]
    await until(lambda: first_media(relay.answered), what="media came to ann")
    reflected = first_media(relay.answered)
    reports = next(d for d in reversed(relay.answered) if d[0] >> 6 == 2 and 200 <= d[1] <= 206)
    assert reflected is not None
    for datagram in (reflected, reports):
        await expect_drop(relay.inject, datagram, "srtp_forged")
    await media_goes_on(call)


async def test_what_one_participant_sent_is_refused_from_another(
    worker: RunningWorker, call: tuple[Client, Client, Relay]
) -> None:
    cid, relay = Client("cid", grey=120), Relay(worker.services.media.address)
    await cid.join(worker, relay=relay)
    await until(lambda: cid.sees(200), what="cid is in the call")
    stolen = first_media(call[2].sent)
    assert stolen is not None
    await expect_drop(relay.inject, stolen, "srtp_forged")
    await media_goes_on(call)
    await cid.close()
    relay.close()


async def test_noise_on_the_port_and_from_the_clients_address_ends_nothing(
    worker: RunningWorker, call: tuple[Client, Client, Relay], stranger: socket.socket
) -> None:
    noise = random.Random(7)
    relay = call[2]
    recorded = list(relay.sent)
    for _ in range(1500):
        datagram = bytearray(noise.choice(recorded) if noise.random() < 0.6 else noise.randbytes(noise.randrange(200)))
        if datagram:
            datagram[noise.randrange(len(datagram))] ^= 1 << noise.randrange(8)
        stranger.sendto(datagram[: noise.randrange(1, 1400)], worker.services.media.address)
        relay.inject(bytes(datagram))
    await media_goes_on(call)
    assert dropped("internal_error") == 0


async def test_garbage_within_dtls_records_ends_nothing(
    worker: RunningWorker, call: tuple[Client, Client, Relay]
) -> None:
    relay = call[2]
    noise = random.Random(8)
    for first in (20, 21, 22, 23, 25, 63):
        for size in (0, 1, 12, 13, 100, 1400):
            relay.inject(bytes((first,)) + b"\xfe\xfd" + noise.randbytes(size))
    await media_goes_on(call)
    assert worker.services.sfu.participant_count == 2
