"""A worker as wiring builds it, on an in-memory publisher, and aiortc's peer connections as its clients."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aioice.ice
import numpy as np
import pytest
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import channel_pb2
from prometheus_client import REGISTRY

from parley_client.repairs import repair_slots
from services.runtime.clock import SystemClock
from services.runtime.kafka.bus import Outgoing
from services.sfu.config import Config
from services.sfu.core.ids import CallId, DeviceId, ParticipantKey, UserId
from services.sfu.ports import Admission
from services.sfu.wiring import Services, build_services
from tests.integration.sfu.relay import Relay, through
from tests.support.bus import MemoryPublisher
from tests.support.identities import environment as identity_env
from tests.support.identities import sign

KEY = "a2V5LW9mLXRoZS1qb2luLXRva2Vucy0zMi1ieXRlcyE="
WORKER = "worker-1"


def dropped(reason: str) -> float:
    """How many packets were dropped for this reason since the process began."""
    return REGISTRY.get_sample_value("sfu_packets_dropped_total", {"reason": reason}) or 0.0


class Broker(MemoryPublisher):
    """A broker that keeps what it is given."""

    def of(self, topic: str) -> list[Outgoing]:
        return [record for record in self.records if record.topic == topic]

    def call_events(self) -> list[calls_events.CallEvent]:
        return [calls_events.CallEvent.FromString(record.value or b"") for record in self.of("media.events.v1")]


def environment(**more: str) -> dict[str, str]:
    """What the service reads, with ports of the system's choice."""
    return {
        "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
        **identity_env("sfu"),
        "PARLEY_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "PARLEY_SFU_WORKER_ID": WORKER,
        "PARLEY_SFU_UDP_ADDRESS": "127.0.0.1:0",
        "PARLEY_SFU_PUBLIC_IP": "127.0.0.1",
        "PARLEY_SFU_GRPC_ADVERTISED": "127.0.0.1:7000",
        "PARLEY_SFU_WORKERS": "1",
    } | more


def join_token(user: str, device: str = "d1", call: str = "call-1", **changes: object) -> str:
    """What signaling makes."""
    claims: dict[str, object] = {
        "iss": "parley-signaling",
        "aud": "parley-sfu",
        "sub": user,
        "call": call,
        "device": device,
        "worker": WORKER,
        "iat": int(time.time()),
        "exp": int(time.time()) + 300,
        "jti": "t",
    }
    return sign("signaling", claims | changes, "parley-join+jwt")


def key_of(user: str, device: str = "d1", call: str = "call-1") -> ParticipantKey:
    return ParticipantKey(CallId(call), UserId(user), DeviceId(device))


@dataclass
class RunningWorker:
    """A started worker and its broker."""

    services: Services
    publisher: Broker

    async def join(self, offer: str, user: str, device: str = "d1", call: str = "call-1") -> str:
        return (await self.admit(offer, user, device, call)).sdp_answer

    async def admit(self, offer: str, user: str, device: str = "d1", call: str = "call-1") -> Admission:
        return await self.services.sfu.join(join_token(user, device, call), offer)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clients of aiortc off the machine's other networks."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@asynccontextmanager
async def run_worker(**more: str) -> AsyncIterator[RunningWorker]:
    """A worker with changes to its environment."""
    publisher = Broker()
    config = Config.from_env(environment(**more))
    config = replace(config, node=replace(config.node, max_participants=50))
    services = build_services(config, publisher, SystemClock())
    await services.events.start()
    await services.media.start()
    await services.tcp.start()
    ticks = asyncio.create_task(services.media.run())
    try:
        yield RunningWorker(services, publisher)
    finally:
        ticks.cancel()
        await asyncio.gather(ticks, return_exceptions=True)
        await services.tcp.stop()
        await services.media.stop()
        await services.events.stop()


@pytest.fixture
async def worker() -> AsyncIterator[RunningWorker]:
    async with run_worker() as running:
        yield running


class Tone(AudioStreamTrack):
    """A sine tone instead of silence."""

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        assert frame.pts is not None
        samples = np.arange(frame.samples) + frame.pts
        wave = (12000 * np.sin(2 * np.pi * 440 * samples / frame.sample_rate)).astype(np.int16)
        toned = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        toned.pts, toned.sample_rate, toned.time_base = frame.pts, frame.sample_rate, frame.time_base
        return toned


class Picture(VideoStreamTrack):
    """Small frames of one grey, so that a test can tell whose they are."""

    def __init__(self, grey: int, every: int) -> None:
        super().__init__()
        self._grey = grey
        self._every = every
        # How many were given to be sent.
        self.given = 0

    async def recv(self) -> VideoFrame:
        for _ in range(self._every):
            pts, time_base = await self.next_timestamp()
        self.given += 1
        frame = VideoFrame.from_ndarray(np.full((96, 128, 3), self._grey, dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


@dataclass
class Heard:
    """What came on one receive slot."""

    kind: str
    frames: int = 0
    grey: float = 0.0
    energy: float = 0.0


@dataclass
class Client:
    """A device with tone and picture, two receive slots of each kind, and the data channel. It plays whatever m-line it
    receives on; `direction` is that of the lines of its own."""

    user: str
    grey: int = 128
    # Of 30 pictures a second it sends one of so many.
    every: int = 1
    device: str = "d1"
    slots: int = 2
    sends: str = "audio video"
    codec: str = "video/VP8"
    direction: str = "sendonly"
    heard: dict[str, Heard] = field(default_factory=dict)
    maps: list[channel_pb2.SlotMap] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Under "balanced" aiortc leaves a kind's second and later transceivers on a transport that it then stops.
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._tasks: list[asyncio.Task[None]] = []
        self.picture = Picture(self.grey, self.every)
        if "audio" in self.sends:
            self.pc.addTransceiver(Tone(), direction=self.direction)
        if "video" in self.sends:
            camera = self.pc.addTransceiver(self.picture, direction=self.direction)
            known = RTCRtpSender.getCapabilities("video").codecs
            camera.setCodecPreferences([codec for codec in known if codec.mimeType in (self.codec, "video/rtx")])
        for kind in ("audio", "video"):
            for _ in range(self.slots):
                self.pc.addTransceiver(kind, direction="recvonly")
        self.channel = self.pc.createDataChannel("parley", negotiated=True, id=0)
        self.channel.on("message", self._handle_message)

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def join(self, worker: RunningWorker, call: str = "call-1", relay: Relay | None = None) -> str:
        answer = await worker.join(await self.offer(), self.user, self.device, call)
        if relay is not None:
            answer = through(answer, await relay.start())
        await self.play(RTCSessionDescription(answer, "answer"))
        return answer

    async def play(self, answer: RTCSessionDescription) -> None:
        """Take the answer and play what comes."""
        await self.pc.setRemoteDescription(answer)
        repair_slots(self.pc, answer.sdp)
        for transceiver in self.pc.getTransceivers():
            if transceiver.direction in ("recvonly", "sendrecv"):
                heard = self.heard.setdefault(str(transceiver.mid), Heard(transceiver.kind))
                self._tasks.append(asyncio.create_task(_consume(transceiver.receiver.track, heard)))

    def mute(self, *, audio: bool, video: bool) -> None:
        state = channel_pb2.MediaState(audio_muted=audio, video_muted=video)
        self.channel.send(channel_pb2.ChannelMessage(media_state=state).SerializeToString())

    def sees(self, grey: int) -> bool:
        """Whether a picture of this grey has come to any slot."""
        return any(h.kind == "video" and h.frames and abs(h.grey - grey) < 12 for h in self.heard.values())

    def frames(self) -> int:
        """Pictures decoded on all slots."""
        return sum(heard.frames for heard in self.heard.values() if heard.kind == "video")

    async def packets_of(self, user: str) -> int:
        """Packets that came on the video slots where this person is now, decoded or not."""
        mids = [mid for mid, publisher in self.publishers().items() if publisher == user]
        receivers = [t.receiver for t in self.pc.getTransceivers() if t.kind == "video" and str(t.mid) in mids]
        reports = [await receiver.getStats() for receiver in receivers]
        return sum(s.packetsReceived for report in reports for s in report.values() if s.type == "inbound-rtp")

    async def packets_sent(self) -> int:
        """Packets of its camera."""
        senders = [t.sender for t in self.pc.getTransceivers() if t.kind == "video" and t.sender.track]
        reports = [await sender.getStats() for sender in senders]
        return sum(s.packetsSent for report in reports for s in report.values() if s.type == "outbound-rtp")

    def hears(self) -> bool:
        return any(h.kind == "audio" and h.energy > 1000 for h in self.heard.values())

    def muted(self) -> set[str]:
        """MIDs of the slots that the last map says are muted."""
        return {slot.mid for slot in self.maps[-1].slots if slot.muted} if self.maps else set()

    def publishers(self) -> dict[str, str]:
        """User by MID, of the last map."""
        return {slot.mid: slot.user_id for slot in self.maps[-1].slots if slot.user_id} if self.maps else {}

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handle_message(self, data: bytes) -> None:
        message = channel_pb2.ChannelMessage.FromString(data)
        if message.WhichOneof("message") == "slot_map":
            self.maps.append(message.slot_map)


async def _consume(track: MediaStreamTrack, heard: Heard) -> None:
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        heard.frames += 1
        if isinstance(frame, VideoFrame):
            heard.grey = float(frame.to_ndarray(format="rgb24").mean())
        elif isinstance(frame, AudioFrame):
            heard.energy = float(np.abs(frame.to_ndarray()).mean())
