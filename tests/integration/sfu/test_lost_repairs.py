"""A picture goes on at the Python client when a packet is lost, its repair is lost too, or never comes."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from parley_client.media import MediaEndpoint
from parley_client.tracks import SourceOptions
from tests.integration.sfu.conftest import RunningWorker
from tests.integration.sfu.relay import Address, Relay, kind_of, through
from tests.support.waiting import PATIENCE_S

# One packet a picture. aiortc by itself goes on when this many are behind the lost one.
SMALL = SourceOptions(width=160, height=90, pictures_per_s=20)
CAPACITY = 512


class LossyRelay(Relay):
    """Loses so many of the next packets of video on the way to the client, and of the next repairs."""

    def __init__(self, worker: Address) -> None:
        super().__init__(worker)
        self.loses = {"video": 0, "repair": 0}
        self.brought = 0
        self.video_type = self.repair_type = -1

    def read(self, answer: str) -> str:
        """The answer, after a look at which payload types it has."""
        found = re.search(r"a=rtpmap:(\d+) VP8/90000", answer)
        assert found
        self.video_type = int(found[1])
        repair = re.search(rf"a=fmtp:(\d+) apt={self.video_type}\b", answer)
        assert repair
        self.repair_type = int(repair[1])
        return answer

    def _from_worker(self, data: bytes, addr: Address) -> None:
        payload_type = data[1] & 0x7F if kind_of(data) == "RTP" else -1
        name = {self.video_type: "video", self.repair_type: "repair"}.get(payload_type, "")
        if self.loses.get(name):
            self.loses[name] -= 1
            return
        self.brought += name == "video"
        super()._from_worker(data, addr)


@dataclass
class Viewer:
    """Who sees the other's picture through a relay."""

    media: MediaEndpoint
    relay: LossyRelay

    async def until_seen_on(self) -> int:
        """How many packets of video came until ten more pictures were seen."""
        brought, frames = self.relay.brought, self.media.video_frames_decoded
        seen = lambda: self.media.video_frames_decoded  # noqa: E731
        await self.media.until(lambda: seen() >= frames + 10, PATIENCE_S, "ten more pictures", seen)
        return self.relay.brought - brought


@pytest.fixture(params=[1, 2], ids=["one slot", "two slots"])
async def viewer(worker: RunningWorker, request: pytest.FixtureRequest) -> AsyncIterator[Viewer]:
    relay = LossyRelay(worker.services.media.address)
    front = await relay.start()
    ann, bob = (MediaEndpoint(request.param, request.param, SMALL) for _ in range(2))

    async def answer_ann(offer: str) -> str:
        return through(relay.read(await worker.join(offer, "ann")), front)

    try:
        await ann.connect(answer_ann)
        await bob.connect(lambda offer: worker.join(offer, "bob"))
        await ann.until_media(PATIENCE_S)
        yield Viewer(ann, relay)
    finally:
        await ann.close()
        await bob.close()
        relay.close()


@pytest.mark.parametrize("repairs", [0, 1, 3])
async def test_picture_goes_on_when_a_packet_is_lost_and_so_many_repairs_of_it(viewer: Viewer, repairs: int) -> None:
    viewer.relay.loses = {"video": 1, "repair": repairs}
    assert await viewer.until_seen_on() < CAPACITY / 4
    assert viewer.relay.loses == {"video": 0, "repair": 0}


@pytest.mark.parametrize("lost", [1, 40])
async def test_picture_goes_on_when_nothing_repairs_it(viewer: Viewer, lost: int) -> None:
    viewer.relay.loses = {"video": lost, "repair": 1_000_000}
    assert await viewer.until_seen_on() < CAPACITY / 2
