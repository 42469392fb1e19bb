"""The media of one device in one call: an aiortc peer connection that encodes, sends, receives and decodes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from google.protobuf.message import DecodeError
from parley.calls.v1 import messages_pb2 as calls
from parley.sfu.v1 import channel_pb2

from parley_client.repairs import repair_slots
from parley_client.tracks import (
    Continuity,
    PictureTrack,
    ReceivedAudio,
    ReceivedVideo,
    Sink,
    SourceOptions,
    ToneTrack,
    drain,
)
from parley_client.waiting import Changes, DeadlineMissedError, Progress, no_progress

# Brings an SDP offer to the SFU and returns its answer.
Exchange = Callable[[str], Awaitable[str]]
# How long a close waits for a connection that is being made. Raising it: a call whose worker died meanwhile is left
# later. Lowering it: a connection that comes up after its close goes on asking for consent, for half a minute.
CONNECTING_S = 5.0


class MediaLostError(Exception):
    """The peer connection failed or was closed by the other end."""


@dataclass
class MediaContinuity:
    """How continuously the other side was heard and seen, whatever connection brought it."""

    tone: Continuity = field(default_factory=Continuity)
    picture: Continuity = field(default_factory=Continuity)


@dataclass
class IceOptions:
    """The relays that the media grant names.

    `only`: "turn" or "turns", to take no other way than a relay under this scheme, as behind a strict firewall.
    """

    servers: Sequence[calls.IceServer] = ()
    only: str = ""

    def configuration(self) -> RTCConfiguration:
        """As aiortc takes it; of several addresses it uses the first that it can."""
        servers = [
            RTCIceServer(urls=self._usable(server.urls), username=server.username, credential=server.credential)
            for server in self.servers
        ]
        policy = RTCIceTransportPolicy.RELAY if self.only else RTCIceTransportPolicy.ALL
        return RTCConfiguration(iceServers=servers, iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)

    def _usable(self, urls: Sequence[str]) -> list[str]:
        return [url for url in urls if not self.only or url.startswith(f"{self.only}:")]


class MediaEndpoint:
    """Sends the tone and the picture; decodes and measures what arrives on the receive slots.

    `audio_slots`, `video_slots`: as the media grant has them. `expected_hz`: the tone that the other side sends.
    `clock` stamps the first good frames, in seconds. One offer, one answer: a new call or a rejoin needs a new one.
    """

    def __init__(
        self,
        audio_slots: int,
        video_slots: int,
        source: SourceOptions | None = None,
        expected_hz: float = 440.0,
        clock: Callable[[], float] = time.monotonic,
        continuity: MediaContinuity | None = None,
        ice: IceOptions | None = None,
        on_state: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_state` is called when the connection's state has changed."""
        source = source or SourceOptions()
        continuity = continuity or MediaContinuity()
        self._clock = clock
        self._changes = Changes()
        self._tone = ToneTrack(source.tone_hz)
        self._picture = PictureTrack(source)
        # Never a STUN server: the SFU's address is in its answer, and a call must not depend on anyone else's.
        self._peer = RTCPeerConnection((ice or IceOptions()).configuration())
        self._peer.addTransceiver(self._tone, direction="sendonly")
        self._peer.addTransceiver(self._picture, direction="sendonly")
        self._audio_slots = [self._receive("audio") for _ in range(audio_slots)]
        self._video_slots = [self._receive("video") for _ in range(video_slots)]
        self._channel = self._peer.createDataChannel("parley", negotiated=True, id=0)
        self._channel.on("message", self._on_message)
        self._channel.on("open", self._say_media_state)
        self._peer.on("connectionstatechange", self._changes.notify)
        self._peer.on("connectionstatechange", on_state)
        self._audio = [ReceivedAudio(expected_hz, continuity.tone) for _ in range(audio_slots)]
        self._video = [ReceivedVideo(continuity.picture) for _ in range(video_slots)]
        self._drains: list[asyncio.Task[None]] = []
        self.slot_map: dict[str, channel_pb2.Slot] = {}

    @property
    def state(self) -> str:
        """WebRTC's connection state: new, connecting, connected, failed or closed."""
        return str(self._peer.connectionState)

    @property
    def is_lost(self) -> bool:
        """Whether the media will not come back without a rejoin."""
        return self.state in ("failed", "closed")

    @property
    def heard_slots(self) -> int:
        """How many slots have brought the expected tone."""
        return sum(heard.first_tone_s is not None for heard in self._audio)

    @property
    def muted(self) -> tuple[bool, bool]:
        """Whether the microphone and the camera are off."""
        return self._tone.muted, self._picture.muted

    @property
    def video_frames_decoded(self) -> int:
        """Over all slots."""
        return sum(seen.decoded_frames for seen in self._video)

    @property
    def flat_pictures(self) -> int:
        """How many of the pictures that were looked at showed nothing."""
        return sum(seen.flat for seen in self._video)

    @property
    def moved_pictures(self) -> int:
        """How many of the pictures that were looked at differed from the one before."""
        return sum(seen.moved for seen in self._video)

    @property
    def audio_ms_decoded(self) -> float:
        """Over all slots, concealment included."""
        return sum(heard.decoded_ms for heard in self._audio)

    @property
    def tone_ms_decoded(self) -> float:
        """Of the decoded audio, how much was the expected tone."""
        return sum(heard.tone_ms for heard in self._audio)

    @property
    def tone_ms_by_slot(self) -> list[float]:
        """The same of each slot: of each of the others, while nobody comes or goes."""
        return [heard.tone_ms for heard in self._audio]

    @property
    def frames_by_slot(self) -> list[int]:
        """Pictures that were decoded, of each slot."""
        return [seen.decoded_frames for seen in self._video]

    @property
    def first_media_s(self) -> float | None:
        """The clock's value when both the tone and a picture that shows something had come; None until then."""
        tones = [heard.first_tone_s for heard in self._audio if heard.first_tone_s is not None]
        pictures = [seen.first_picture_s for seen in self._video if seen.first_picture_s is not None]
        return max(min(tones), min(pictures)) if tones and pictures else None

    async def connect(self, exchange: Exchange) -> None:
        """Offers, takes the answer, and starts to decode. Returns before the media is up; see `until_media`.

        What `exchange` raises is passed on; an answer that does not fit the offer raises ValueError.
        """
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await exchange(self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        repair_slots(self._peer, answer)
        slots: list[tuple[RTCRtpTransceiver, Sink]] = [
            *zip(self._audio_slots, self._audio, strict=True),
            *zip(self._video_slots, self._video, strict=True),
        ]
        refused = [transceiver.mid for transceiver, _ in slots if transceiver.receiver.track is None]
        if refused:
            raise ValueError(f"the answer sends nothing on the receive slots {refused}")
        self._drains = [self._start_drain(transceiver.receiver.track, sink) for transceiver, sink in slots]

    async def until(
        self, condition: Callable[[], bool], deadline_s: float, what: str, progress: Progress = no_progress
    ) -> None:
        """Waits for a condition on this endpoint (`Changes.until`). Raises MediaLostError at once when it is lost."""
        await self._changes.until(lambda: condition() or self.is_lost, deadline_s, what, progress)
        if not condition():
            raise MediaLostError(f"{what}: the connection is {self.state}")

    async def until_lost(self, deadline_s: float) -> None:
        """Waits until the other end has closed the connection. Raises DeadlineMissedError."""
        await self._changes.until(lambda: self.is_lost, deadline_s, "the other end closes the connection")

    async def until_media(self, deadline_s: float) -> float:
        """Waits for the tone and the picture of the other side; returns the clock's value at which both were there."""
        await self.until(lambda: self.first_media_s is not None, deadline_s, "tone and picture of the other side")
        assert self.first_media_s is not None
        return self.first_media_s

    def set_muted(self, *, audio: bool, video: bool) -> None:
        """Sends silence or black from now on, and tells the SFU so."""
        self._tone.muted = audio
        self._picture.muted = video
        self._say_media_state()

    async def close(self) -> None:
        """Closes the connection in order. Idempotent."""
        if self._drains:
            with suppress(DeadlineMissedError):
                await self._changes.until(lambda: self.state not in ("new", "connecting"), CONNECTING_S, "connecting")
        await self._peer.close()
        for task in self._drains:
            task.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        self._changes.notify()

    def _receive(self, kind: str) -> RTCRtpTransceiver:
        return self._peer.addTransceiver(kind, direction="recvonly")

    def _start_drain(self, track: MediaStreamTrack, sink: Sink) -> asyncio.Task[None]:
        return asyncio.create_task(drain(track, sink, self._clock, self._changes.notify))

    def _on_message(self, data: bytes | str) -> None:
        message = channel_pb2.ChannelMessage()
        try:
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
        except DecodeError:
            return
        if message.WhichOneof("message") == "slot_map":
            self.slot_map = {slot.mid: slot for slot in message.slot_map.slots}
            self._changes.notify()

    def _say_media_state(self) -> None:
        if self._channel.readyState == "open":
            state = channel_pb2.MediaState(audio_muted=self._tone.muted, video_muted=self._picture.muted)
            self._channel.send(channel_pb2.ChannelMessage(media_state=state).SerializeToString())
