"""Workers of one call, joined in memory: what one's core says to another arrives, unless a test loses it."""

from collections import deque
from collections.abc import Callable, Iterable

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import CallId, LegNumber
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session.effects import Effect, SendRelayed
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.relays import RemoteDevice
from services.sfu.core.session.router import Router
from services.sfu.core.wire import relay_frames
from tests.unit.sfu.builders import key, make_router, offer
from tests.unit.sfu.effects import sent

CALL = CallId("call-1")
STEP_S = 0.02


class Workers:
    """One call on several workers. `lose` says of each frame between two of them whether it is lost."""

    def __init__(self, count: int = 2, lose: Callable[[int, bytes], bool] = lambda _kind, _frame: False) -> None:
        self.now = 1.0
        self.routers: list[Router] = [make_router(seed) for seed in range(count)]
        self.effects: list[list[Effect]] = [[] for _ in range(count)]
        self.lose = lose
        # (to, leg, frame), of those that arrived.
        self.arrived: list[tuple[int, LegNumber, bytes]] = []
        self.dropped: list[str] = []
        self._transit: deque[tuple[int, LegNumber, bytes]] = deque()
        self._homes: dict[str, tuple[int, Participant]] = {}
        self.revision = 0

    def leg(self, here: int, there: int) -> LegNumber:
        """What a worker calls its leg to another."""
        return LegNumber(100 * (here + 1) + there)

    def join(self, worker: int, user: str, requests: VideoRequests | None = None, **options: bool | int) -> Participant:
        """A device comes to a worker, and all are told."""
        router = self.routers[worker]
        participant, effects = router.members.join(key(user), offer(**options), self.now)
        self.post(worker, effects)
        self.post(worker, router.handle_transport_up(participant, self.now))
        if requests is not None:
            self.post(worker, router.handle_video_requests(participant, requests, self.now))
        self._homes[user] = worker, participant
        self.set_relays()
        return participant

    def leave(self, user: str) -> None:
        worker, participant = self._homes.pop(user)
        self.post(worker, self.routers[worker].members.remove(participant.key, self.now))
        self.set_relays()

    def set_relays(self, *workers: int) -> None:
        """Tell all workers, or some, how it is."""
        self.revision += 1
        for here in workers or range(len(self.routers)):
            legs = [self.leg(here, there) for there in range(len(self.routers)) if there != here]
            devices = [
                RemoteDevice(participant.key, self.leg(here, there), participant.number, participant.offer)
                for there, participant in self._homes.values()
                if there != here
            ]
            self.post(here, self.routers[here].members.set_relays(CALL, self.revision, legs, devices, self.now))
        self.deliver()

    def end(self) -> None:
        for here, router in enumerate(self.routers):
            self.post(here, router.members.end_call(CALL, self.now))
        self.deliver()

    def home_of(self, user: str) -> tuple[int, Participant]:
        """Where a device is at home, and as whom."""
        return self._homes[user]

    def remote(self, worker: int, user: str) -> Participant:
        """What a worker has of a device that is at home elsewhere."""
        found = self.routers[worker].members.find(key(user))
        assert found is not None
        assert found.home is not None
        return found

    def post(self, worker: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendRelayed):
                self._transit.append((int(effect.leg) % 100, self.leg(int(effect.leg) % 100, worker), effect.frame))
            else:
                self.effects[worker].append(effect)

    def deliver(self) -> None:
        """All that is on its way, and what follows from it."""
        while self._transit:
            to, leg, frame = self._transit.popleft()
            kind, _ = relay_frames.read_head(frame)
            if not self.lose(kind, frame):
                self.hand_over(to, leg, frame)

    def hand_over(self, to: int, leg: LegNumber, frame: bytes) -> None:
        """One frame arrives."""
        self.arrived.append((to, leg, frame))
        try:
            self.post(to, self.routers[to].handle_frame(leg, frame, self.now))
        except PacketError as error:
            self.dropped.append(error.reason)

    def send(self, user: str, datagram: bytes) -> None:
        """A packet of a device comes to its home."""
        worker, participant = self._homes[user]
        self.post(worker, self.routers[worker].handle_rtp(participant, datagram, self.now))
        self.deliver()

    def send_rtcp(self, user: str, payload: bytes) -> None:
        worker, participant = self._homes[user]
        self.post(worker, self.routers[worker].handle_rtcp(participant, payload, self.now))
        self.deliver()

    def tick(self, seconds: float = STEP_S) -> None:
        """Let time pass on all workers."""
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            for worker, router in enumerate(self.routers):
                for participant in router.members.participants:
                    self.post(worker, router.handle_consent(participant, self.now))
                self.post(worker, router.tick(self.now))
            self.deliver()

    def take(self, worker: int) -> list[Effect]:
        """What a worker did for its own participants since the last time."""
        effects, self.effects[worker] = self.effects[worker], []
        return effects

    def take_sent(self, worker: int) -> list[bytes]:
        return sent(self.take(worker))

    def media_to(self, worker: int) -> list[bytes]:
        """The packets that came over legs to a worker."""
        frames = [frame for to, _, frame in self.arrived if to == worker]
        return [relay_frames.read_media(frame)[1] for frame in frames if frame[0] == relay_frames.MEDIA]
