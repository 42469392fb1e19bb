"""A gateway without a network: one presence replica that owns everything, membership by hand, a clock by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as api

from services.gateway.admission import Admission
from services.gateway.core.admission import SharedStreamRate, StreamsPerAddress
from services.gateway.core.model import (
    PresenceFrame,
    Register,
    ReplicaId,
    Route,
    RouteWatchList,
    UserId,
)
from services.gateway.core.queue import QueueLimits
from services.gateway.core.registry import Registry
from services.gateway.core.resume import ResumeTokens
from services.gateway.ports import Membership, MembershipUnavailable
from services.gateway.rates import UserStreamRate, UserTypingRate
from services.gateway.service import Gateway
from services.gateway.streams import StreamPolicy, Streams
from tests.support.clock import ManualClock
from tests.support.waiting import PATIENCE_S, until

REPLICA = ReplicaId("presence:1")
POLICY = StreamPolicy(
    heartbeat_s=10,
    queue=QueueLimits(frames=8, bytes_=1 << 16, replay_frames=4, replay_bytes=1 << 14),
    max_devices=100,
    route_wait_s=15,
    resume_window_s=60,
    drain_spread_s=0,
    drain_within_s=4,
)


class FakePresence:
    """The uplinks, and the replica at their other end: it acknowledges at once and brings watch lists back."""

    def __init__(self, registry: Registry) -> None:
        self.frames: list[PresenceFrame] = []
        self._registry = registry
        self.gateway: Gateway | None = None
        self.acknowledges = True

    def push(self, replica: ReplicaId, frame: PresenceFrame) -> None:
        self.frames.append(frame)
        asyncio.get_running_loop().call_soon(self._answer, frame)

    def of(self, kind: type[PresenceFrame]) -> list[PresenceFrame]:
        """What came of one kind."""
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def _answer(self, frame: PresenceFrame) -> None:
        assert self.gateway
        if isinstance(frame, Register) and self.acknowledges:
            self.gateway.streams.apply(
                self.gateway.registry.acknowledged([session.session_id for session in frame.sessions])
            )
        elif isinstance(frame, RouteWatchList):
            for session in self._registry.sessions_of(frame.user_id):
                if session.device_id == frame.device_id:
                    self.gateway.command_watch(session.session_id, frame.user_ids)


class FakeMembership:
    """Everybody may see everybody but those who are `hidden` from each other."""

    def __init__(self) -> None:
        self.conversations: dict[str, set[UserId]] = {}
        self.hidden: set[frozenset[str]] = set()
        self.away = False
        self.asked = 0
        self.forgotten: list[str] = []

    async def audience(self, conversation_id: str, user_id: UserId) -> Collection[UserId]:
        return self.conversations.get(conversation_id, set())

    def forget(self, user_id: UserId) -> None:
        self.forgotten.append(user_id)

    async def contacts_among(self, user_id: UserId, candidates: Sequence[UserId]) -> Sequence[UserId]:
        self.asked += 1
        if self.away:
            raise MembershipUnavailable("messaging is away")
        return [candidate for candidate in candidates if frozenset((user_id, candidate)) not in self.hidden]


class FakeDevice:
    """One connection of a device. `reads` is cleared to stop reading."""

    def __init__(self) -> None:
        self.got: list[api.SubscribeResponse] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.task: asyncio.Task[None] | None = None

    async def write(self, frame: bytes) -> None:
        await self.reads.wait()
        self.got.append(api.SubscribeResponse.FromString(frame))

    def of(self, kind: str) -> list[api.SubscribeResponse]:
        """What came of one kind of event."""
        return [response for response in self.got if response.event.WhichOneof("event") == kind]

    @property
    def seqs(self) -> list[int]:
        return [response.event.message.seq for response in self.of("message")]

    @property
    def position(self) -> int:
        return max((response.position for response in self.got), default=0)

    @property
    def ready(self) -> events.Ready:
        return self.of("ready")[-1].event.ready

    async def ended(self) -> BaseException | None:
        """Why the stream ended."""
        assert self.task
        await asyncio.wait([self.task], timeout=PATIENCE_S)
        assert self.task.done()
        return None if self.task.cancelled() else self.task.exception()

    async def break_off(self) -> None:
        """The connection breaks."""
        assert self.task
        self.task.cancel()
        await asyncio.wait([self.task], timeout=PATIENCE_S)


class GatewayWorld:
    """A gateway with its surroundings. `tick` lets time pass."""

    def __init__(
        self,
        policy: StreamPolicy = POLICY,
        *,
        per_s: float = 1e6,
        devices_per_user: int = 20,
        user_per_s: float = 1e6,
        per_address: int = 1_000_000,
        typing_burst: int = 3,
        membership: Membership | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.clock.advance(1_000)
        self.registry = Registry(devices_per_user)
        self.presence = FakePresence(self.registry)
        self.membership = FakeMembership()
        self.streams = Streams(
            self.registry,
            self.presence,
            self.clock,
            ResumeTokens([b"k" * 32], b"gateway1"),
            lambda: 0.5,
            policy,
        )
        self.admission = Admission(
            self.streams,
            SharedStreamRate(per_s, burst=100),
            UserStreamRate(user_per_s, burst=100),
            StreamsPerAddress(per_address),
            self.clock,
            lambda: 0.5,
        )
        self.gateway = Gateway(
            self.registry,
            self.streams,
            self.admission,
            membership or self.membership,
            UserTypingRate(per_s=2, burst=typing_burst),
            self.clock,
        )
        self.presence.gateway = self.gateway
        self.streams.apply(self.registry.assigned(REPLICA, 1, range(16), 16))
        self._ticks = 0
        self._devices: list[FakeDevice] = []

    async def close(self) -> None:
        """All connections break."""
        for device in self._devices:
            await device.break_off()

    async def connect(
        self, user_id: str = "alice", device_id: str = "phone-01", after: FakeDevice | None = None, token: str = ""
    ) -> FakeDevice:
        """A connection that got Ready; with `after`, one that goes on where that broke."""
        device = self.begin(user_id, device_id, after, token)
        await until(lambda: device.of("ready"), what="Ready")
        return device

    def begin(
        self, user_id: str, device_id: str, after: FakeDevice | None = None, token: str = "", ttl_s: float = 3600
    ) -> FakeDevice:
        """A connection that is under way."""
        device = FakeDevice()
        if after is not None:
            token = token or after.ready.resume_token
        expires_at = self.clock.now().timestamp() + ttl_s
        position = after.position if after else 0
        subscribe = self.gateway.subscribe(user_id, device_id, expires_at, token, position, device.write)
        device.task = asyncio.create_task(subscribe)
        self._devices.append(device)
        return device

    def tell(self, user_id: str, seq: int, conversation_id: str = "c1", text: str = "", trace: str = "") -> None:
        """A message for all devices of a user."""
        response = api.SubscribeResponse()
        response.event.message.conversation_id = conversation_id
        response.event.message.seq = seq
        response.event.message.text.text = text
        self.gateway.deliver(self.session_ids(user_id), response.SerializeToString(), durable=True, trace=trace)

    def session_ids(self, user_id: str) -> list[int]:
        return [session.session_id for session in self.registry.sessions_of(UserId(user_id))]

    def typed(self) -> list[UserId]:
        """Who was told of typing."""
        return [frame.user_id for frame in self.presence.frames if isinstance(frame, Route)]

    async def tick(self, seconds: int = 1) -> None:
        """Let seconds pass, one by one."""
        for _ in range(seconds):
            self._ticks += 1
            self.clock.advance(1)
            self.streams.tick(self._ticks)
            # The writers' turn.
            for _ in range(3):
                await asyncio.sleep(0)


def with_policy(**changes: float) -> StreamPolicy:
    """The policy, with some changes."""
    return replace(POLICY, **changes)  # type: ignore[arg-type]
