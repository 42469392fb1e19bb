"""A hostile participant of a call: what it does must not be seen on its neighbours' screens."""

import asyncio
import itertools
import random
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from loadtests.sfu_media.peer import Peer
from services.sfu.core.errors import SdpError
from services.sfu.core.wire import rtcp
from services.sfu.dtls import Certificate
from tests.integration.sfu.conftest import Client, RunningWorker, dropped, join_token
from tests.support.waiting import until

# The share of the packets of each camera that the other has while the storm lasts. Some are still under way.
SEEN_SHARE = 0.7
PICTURES = 60
# What eve sends for each picture of the others: a thousand a second beside cameras of thirty pictures.
PER_PICTURE = 33
# Of what the neighbours must decode, in this very process: what they lose themselves on a slow machine is not the
# worker's loss. Still more than their own pictures, all of them key frames.
DECODED_PER_PICTURE = 3


@dataclass
class Neighbours:
    """Ann and bob, who see each other, and eve in their call, who has keys and sends what she likes."""

    worker: RunningWorker
    ann: Client
    bob: Client
    eve: Peer
    # Never the same twice, over all storms of a call: her own SRTP would refuse it.
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def given(self) -> int:
        """How many pictures the slower camera of the two gave."""
        return min(self.ann.picture.given, self.bob.picture.given)

    async def seen_share(self) -> float:
        """Of the packets that one's camera sends from now on, the share that comes to the other; the lesser of the two.

        Counted, not timed: a busy machine gives fewer pictures. And counted as they come: how fast the two can decode
        is their own affair.
        """
        before = await self._sent_and_seen()
        enough = self.given() + PICTURES
        await until(lambda: self.given() >= enough, what=f"{PICTURES} pictures each", progress=self.given)
        after = await self._sent_and_seen()
        return min((seen - s0) / (sent - g0) for (sent, seen), (g0, s0) in zip(after, before, strict=True))

    async def _sent_and_seen(self) -> list[tuple[int, int]]:
        pairs = ((self.ann, self.bob), (self.bob, self.ann))
        return [(await giver.packets_sent(), await seer.packets_of(giver.user)) for giver, seer in pairs]


@pytest.fixture
async def call(worker: RunningWorker) -> AsyncIterator[Neighbours]:
    ann, bob, eve = Client("ann", grey=60), Client("bob", grey=200), Peer(Certificate.generateCertificate(), 9)
    for client in (ann, bob):
        await client.join(worker)
    await eve.join(lambda offer: worker.join(offer, "eve"))
    await until(lambda: ann.sees(200) and bob.sees(60) and eve.packets, what="all see each other")
    yield Neighbours(worker, ann, bob, eve)
    await asyncio.gather(ann.close(), bob.close(), eve.close())


async def storm(call: Neighbours, send_one: Callable[[int], None], per_picture: int = PER_PICTURE) -> float:
    """What the neighbours have of each other while eve sends her packets beside their pictures."""
    over = asyncio.Event()

    async def send() -> None:
        answered = call.given()
        while not over.is_set():
            if call.given() > answered:
                answered += 1
                for _ in range(per_picture):
                    send_one(next(call.numbers))
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(send())
    share = await call.seen_share()
    over.set()
    await sending
    return share


def nack_storm(eve: Peer) -> Callable[[int], None]:
    storms = [rtcp.build_nack(1, ssrc, range(0, 4000, 17)) for ssrc in eve.slot_ssrcs]
    return lambda number: eve.send_control(storms[number % len(storms)])


def key_frame_storm(eve: Peer) -> Callable[[int], None]:
    return lambda number: eve.send_control(rtcp.build_pli(1, eve.slot_ssrcs[number % len(eve.slot_ssrcs)]))


def ssrc_storm(eve: Peer) -> Callable[[int], None]:
    def send(number: int) -> None:
        ssrc = 1 + number % 1000
        # The MID of her video, so that each SSRC looks like a new stream of it. No key frame is among them, so none is
        # forwarded: what it costs a client to decode nonsense is not measured here.
        head = struct.pack("!BBHIIHHI", 0x90, 96, number & 0xFFFF, number, ssrc, 0xBEDE, 1, 0x40310000)
        eve.send_packet(head + b"\x10\x01" + bytes(900))

    return send


def key_frame_flood(eve: Peer) -> Callable[[int], None]:
    """Her picture, of nothing but key frames."""
    return lambda number: eve.send_frame(number, [900], is_key_frame=True)


def noise_storm(eve: Peer) -> Callable[[int], None]:
    noise = random.Random(4)

    def send(number: int) -> None:
        eve.send_control(bytes((0x80 | noise.randrange(32), 200 + number % 7, 0, 5)) + noise.randbytes(20))

    return send


@pytest.mark.parametrize("kind", [nack_storm, key_frame_storm, key_frame_flood, ssrc_storm, noise_storm])
async def test_storm_of_a_participant_does_not_slow_its_neighbours(
    call: Neighbours, kind: Callable[[Peer], Callable[[int], None]]
) -> None:
    per_picture = DECODED_PER_PICTURE if kind is key_frame_flood else PER_PICTURE
    assert await storm(call, kind(call.eve), per_picture) >= SEEN_SHARE
    assert dropped("internal_error") == 0


async def test_giant_offers_are_refused_and_the_call_goes_on(call: Neighbours) -> None:
    for offer in ("v=0\r\n" + "a=x\r\n" * 1_000_000, "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 2000):
        with pytest.raises(SdpError):
            await call.worker.services.sfu.join(join_token("mallory"), offer)
    assert await call.seen_share() >= SEEN_SHARE
