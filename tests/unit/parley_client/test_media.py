"""The media endpoint against a second aiortc peer that plays the SFU's part: one answer, slots, one data channel."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from parley.sfu.v1 import channel_pb2

from parley_client.media import MediaEndpoint, MediaLostError
from parley_client.tracks import PictureTrack, SourceOptions, ToneTrack
from parley_client.waiting import Changes, DeadlineMissedError

DEADLINE_S = 15.0
SMALL = SourceOptions(tone_hz=554.4, width=160, height=90, pictures_per_s=10)


class FarPeer:
    """Answers with its own tone and picture on the first receive slot of each kind, and keeps what it is told."""

    def __init__(self) -> None:
        self.tone = ToneTrack(440.0)
        self.picture = PictureTrack(SMALL)
        self.states: list[channel_pb2.MediaState] = []
        self.changes = Changes()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._channel: RTCDataChannel | None = None

    async def answer(self, offer: str) -> str:
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        # Only now: aiortc stops the transport of a data channel that stood before its own transceivers did.
        self._channel = self._peer.createDataChannel("parley", negotiated=True, id=0)
        self._channel.on("message", self._take)
        for kind, track in (("audio", self.tone), ("video", self.picture)):
            slot = [each for each in self._peer.getTransceivers() if each.kind == kind][1]
            slot.sender.replaceTrack(track)
            slot.direction = "sendonly"
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return str(self._peer.localDescription.sdp)

    def send(self, data: bytes) -> None:
        assert self._channel is not None
        self._channel.send(data)

    async def close(self) -> None:
        await self._peer.close()

    def _take(self, data: bytes) -> None:
        message = channel_pb2.ChannelMessage.FromString(data)
        self.states.append(message.media_state)
        self.changes.notify()


@pytest.fixture
async def far() -> AsyncIterator[FarPeer]:
    peer = FarPeer()
    yield peer
    await peer.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[MediaEndpoint]:
    media = MediaEndpoint(audio_slots=1, video_slots=1, source=SMALL, expected_hz=440.0)
    yield media
    await media.close()


async def test_the_tone_and_a_moving_picture_are_decoded(endpoint: MediaEndpoint, far: FarPeer) -> None:
    await endpoint.connect(far.answer)
    await endpoint.until_media(DEADLINE_S)
    await endpoint.until(lambda: endpoint.moved_pictures > 2, DEADLINE_S, "a moving picture")
    assert endpoint.flat_pictures == 0
    assert endpoint.tone_ms_decoded > 0
    assert endpoint.audio_ms_decoded >= endpoint.tone_ms_decoded


async def test_another_tone_does_not_count_as_the_other_sides(far: FarPeer) -> None:
    media = MediaEndpoint(audio_slots=1, video_slots=1, source=SMALL, expected_hz=700.0)
    try:
        await media.connect(far.answer)
        await media.until(lambda: media.audio_ms_decoded > 400, DEADLINE_S, "audio")
        assert media.tone_ms_decoded == 0
        assert media.first_media_s is None
    finally:
        await media.close()


async def test_a_black_picture_does_not_count_as_seen(endpoint: MediaEndpoint, far: FarPeer) -> None:
    far.picture.muted = True
    await endpoint.connect(far.answer)
    await endpoint.until(lambda: endpoint.flat_pictures >= 3, DEADLINE_S, "black pictures")
    assert endpoint.first_media_s is None


async def test_the_other_end_is_told_of_a_mute(endpoint: MediaEndpoint, far: FarPeer) -> None:
    await endpoint.connect(far.answer)
    await far.changes.until(lambda: len(far.states) == 1, DEADLINE_S, "the first state")
    endpoint.set_muted(audio=True, video=False)
    await far.changes.until(lambda: len(far.states) == 2, DEADLINE_S, "the mute")
    assert not far.states[0].audio_muted
    assert far.states[1].audio_muted
    assert not far.states[1].video_muted


async def test_a_slot_map_is_kept_and_garbage_is_passed_over(endpoint: MediaEndpoint, far: FarPeer) -> None:
    await endpoint.connect(far.answer)
    await far.changes.until(lambda: bool(far.states), DEADLINE_S, "the open channel")
    slots = channel_pb2.SlotMap(slots=[channel_pb2.Slot(mid="2", user_id="bob", device_id="bob-phone")])
    far.send(b"\xff\xff\xff")
    far.send(channel_pb2.ChannelMessage(slot_map=slots).SerializeToString())
    await endpoint.until(lambda: "2" in endpoint.slot_map, DEADLINE_S, "the slot map")
    assert endpoint.slot_map["2"].user_id == "bob"


async def test_waiting_ends_at_once_when_the_media_is_lost(endpoint: MediaEndpoint, far: FarPeer) -> None:
    await endpoint.connect(far.answer)
    await endpoint.until_media(DEADLINE_S)
    await far.close()
    with pytest.raises(MediaLostError, match="more pictures"):
        await endpoint.until(lambda: False, DEADLINE_S, "more pictures")


async def test_media_that_never_comes_is_named(endpoint: MediaEndpoint) -> None:
    with pytest.raises(DeadlineMissedError, match="tone and picture"):
        await endpoint.until_media(0.01)


async def test_the_offer_has_the_own_media_first_and_then_the_slots() -> None:
    offers: list[str] = []

    async def refuse(offer: str) -> str:
        offers.append(offer)
        raise ConnectionError

    media = MediaEndpoint(audio_slots=2, video_slots=1)
    with pytest.raises(ConnectionError):
        await media.connect(refuse)
    await media.close()
    kept = [line for line in offers[0].splitlines() if line.startswith(("m=", "a=sendonly", "a=recvonly"))]
    kinds = [line.split()[0] for line in kept]
    assert kinds == [
        *("m=audio", "a=sendonly", "m=video", "a=sendonly"),
        *("m=audio", "a=recvonly", "m=audio", "a=recvonly", "m=video", "a=recvonly", "m=application"),
    ]
