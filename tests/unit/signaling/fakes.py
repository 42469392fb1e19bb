"""Signaling's ports in memory, a clock that tests turn, and a whole service made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from services.runtime.errors import StoreUnavailable
from services.signaling.changes import CallChanges
from services.signaling.core.calls import Callees
from services.signaling.core.errors import ConversationNotFound, VersionConflict
from services.signaling.core.grants import Claims, GrantPolicy
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    Timeouts,
    UserId,
    Worker,
    WorkerId,
)
from services.signaling.core.placement import Node, NodeTable
from services.signaling.ports import CalleeTaken, CallerTaken, ClientKey, Created, Creation, KeyKnown, Record
from services.signaling.service import CallsService, StartRequest
from services.signaling.tokens import JwtJoinTokens
from services.signaling.upkeep import Upkeep
from tests.support.clock import ManualClock

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TIMEOUTS = Timeouts(ring_s=45, media_lost_s=60)
GRANTS = GrantPolicy(token_ttl_s=60, audio_slots=1, video_slots=1)
TALK = ConversationId("0190f000-0000-7000-8000-000000000001")
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
PHONE, TABLET, LAPTOP = DeviceId("phone-01"), DeviceId("tablet-1"), DeviceId("laptop-1")
WORKER = Worker(WorkerId("sfu-1"), "127.0.0.1:7100")
OTHER_WORKER = Worker(WorkerId("sfu-2"), "127.0.0.1:7200")


class FakeStore:
    """ports.Store in memory. `down` makes it unavailable; `refused` counts what was asked of it then."""

    def __init__(self) -> None:
        self.down = False
        self.refused = 0
        self.records: list[Record] = []
        self._calls: dict[CallId, Call] = {}
        self._keys: dict[ClientKey, CallId] = {}
        self._active: dict[UserId, CallId] = {}
        self._due: dict[CallId, datetime | None] = {}

    async def create(self, call: Call, key: ClientKey, records: Sequence[Record]) -> Creation:
        self._check()
        if key in self._keys:
            return KeyKnown(self._calls[self._keys[key]])
        if call.state is not CallState.ENDED:
            if call.caller_id in self._active:
                return CallerTaken(self._calls[self._active[call.caller_id]])
            if any(user_id in self._active for user_id in call.user_ids):
                return CalleeTaken()
            self._active.update(dict.fromkeys(call.user_ids, call.call_id))
        self._keys[key] = call.call_id
        self._put(call, records)
        return Created()

    async def save(self, call: Call, records: Sequence[Record], key: ClientKey | None = None) -> None:
        self._check()
        if self._calls[call.call_id].version != call.version - 1:
            raise VersionConflict
        if key:
            self._keys.setdefault(key, call.call_id)
        if call.state is CallState.ENDED:
            self._active = {user: taken for user, taken in self._active.items() if taken != call.call_id}
        self._put(call, records)

    async def find(self, call_id: CallId) -> Call | None:
        self._check()
        return self._calls.get(call_id)

    async def find_by_key(self, key: ClientKey) -> Call | None:
        self._check()
        return self._calls[self._keys[key]] if key in self._keys else None

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        self._check()
        return [self._calls[self._active[user_id]]] if user_id in self._active else []

    async def list_running_on(self, worker_id: WorkerId, limit: int) -> Sequence[CallId]:
        self._check()
        running = (call for call in self._calls.values() if call.state is not CallState.ENDED and call.worker)
        return [
            call.call_id
            for call in running
            if call.worker and call.worker.worker_id == worker_id and any(leg.media_up for leg in call.legs)
        ][:limit]

    async def list_workers(self) -> Sequence[Worker]:
        self._check()
        running = (call for call in self._calls.values() if call.state is not CallState.ENDED)
        return list(dict.fromkeys(call.worker for call in running if call.worker))

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        self._check()
        due = sorted((at, call_id) for call_id, at in self._due.items() if at and at <= now)[:limit]
        self._due.update({call_id: now + lease for _, call_id in due})
        return [call_id for _, call_id in due]

    async def count_by_state(self) -> Mapping[CallState, int]:
        self._check()
        states = [call.state for call in self._calls.values() if call.state is not CallState.ENDED]
        return {state: states.count(state) for state in set(states)}

    def _put(self, call: Call, records: Sequence[Record]) -> None:
        self._calls[call.call_id] = call
        self._due[call.call_id] = call.due_time
        self.records.extend(records)

    def _check(self) -> None:
        if self.down:
            self.refused += 1
            raise StoreUnavailable


@dataclass
class FakeMembers:
    """ports.Members: the conversations that there are."""

    conversations: dict[ConversationId, list[UserId]] = field(default_factory=lambda: {TALK: [ALICE, BOB]})
    asked: int = 0

    # Who lets nobody ring.
    closed: set[UserId] = field(default_factory=set)

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        self.asked += 1
        if conversation_id not in self.conversations:
            raise ConversationNotFound
        members = self.conversations[conversation_id]
        return Callees(members, frozenset(members) - {caller_id} - self.closed)


@dataclass
class FakeMedia:
    """ports.MediaWorkers: answers each offer, unless `refusal` is set."""

    refusal: Exception | None = None
    unreachable: set[WorkerId] = field(default_factory=set)
    joined: list[tuple[Worker, str]] = field(default_factory=list)
    ended: list[tuple[Worker, CallId]] = field(default_factory=list)

    async def join(self, worker: Worker, join_token: str, sdp_offer: str) -> str:
        if self.refusal:
            raise self.refusal
        self.joined.append((worker, join_token))
        return f"answer to {sdp_offer}"

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        if self.refusal:
            raise self.refusal
        self.ended.append((worker, call_id))

    async def is_reachable(self, worker: Worker) -> bool:
        return worker.worker_id not in self.unreachable


@dataclass
class RecordingCloser:
    """ports.MediaCloser that remembers."""

    closed: list[tuple[Worker, CallId]] = field(default_factory=list)

    def close(self, worker: Worker, call_id: CallId) -> None:
        self.closed.append((worker, call_id))


@dataclass
class RecordingTimers:
    """ports.Timers that remembers."""

    alarms: list[tuple[CallId, datetime]] = field(default_factory=list)

    def schedule(self, call_id: CallId, due_time: datetime) -> None:
        self.alarms.append((call_id, due_time))


@dataclass
class RecordingMetrics:
    """ports.Metrics that remembers."""

    rings_s: list[float] = field(default_factory=list)
    media_s: list[float] = field(default_factory=list)
    ended: list[EndReason] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    counts: dict[CallState, int] = field(default_factory=dict)

    def call_answered(self, ring_s: float) -> None:
        self.rings_s.append(ring_s)

    def media_started(self, since_answer_s: float) -> None:
        self.media_s.append(since_answer_s)

    def call_ended(self, reason: EndReason) -> None:
        self.ended.append(reason)

    def setup_failed(self, stage: str) -> None:
        self.failures.append(stage)

    def calls_counted(self, by_state: Mapping[CallState, int]) -> None:
        self.counts = dict(by_state)


def announce(call: Call, now: datetime) -> Sequence[Record]:
    """ports.Announcer that says what the call's version, state and end are."""
    reason = call.end_reason.value if call.end_reason else ""
    return [Record("changed", call.call_id, f"{call.version} {call.state.value} {reason}".strip().encode())]


class World:
    """A whole service over fakes, with one worker that announced itself just now."""

    def __init__(self) -> None:
        numbers = count(1)
        self.clock = ManualClock(START)
        self.store = FakeStore()
        self.members = FakeMembers()
        self.media = FakeMedia()
        self.closer = RecordingCloser()
        self.timers = RecordingTimers()
        self.metrics = RecordingMetrics()
        self.tokens = JwtJoinTokens(b"k" * 32)
        self.nodes = NodeTable()
        self.changes = CallChanges(self.store, announce, self.closer, self.timers, self.metrics, self.clock, TIMEOUTS)
        self.service = CallsService(
            self.store,
            self.changes,
            self.members,
            self.media,
            self.nodes,
            self.tokens,
            GRANTS,
            lambda now: str(UUID(int=next(numbers))),
        )
        self.upkeep = Upkeep(self.store, self.changes, self.media, self.nodes)
        self.hear(WORKER)

    def hear(self, worker: Worker, **changes: object) -> None:
        """An announcement of a worker comes in."""
        self.nodes.announce(node(worker, self.clock.now(), **changes))

    def advance_with(self, worker: Worker, seconds: int) -> None:
        """Time passes, and the worker announces itself all the while."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.hear(worker)

    async def start(
        self, caller: UserId = ALICE, device: DeviceId = PHONE, key: str = "first", talk: ConversationId = TALK
    ) -> Call:
        """A user places a call."""
        request = StartRequest(caller, device, talk, video=True, client_call_id=key)
        return (await self.service.start_call(request))[0]

    async def answered(self) -> Call:
        """Alice's phone rang Bob, and his tablet took it."""
        call = await self.start()
        return (await self.service.accept_call(call.call_id, BOB, TABLET))[0]

    def told(self) -> list[str]:
        """What the events said, in order."""
        return [record.value.decode() for record in self.store.records]

    def read(self, token: str) -> Claims:
        """What a join token says."""
        return self.tokens.read(token)


def node(worker: Worker = WORKER, announce_time: datetime = START, **changes: object) -> Node:
    """A worker that stands empty, but for the changes."""
    empty = Node(worker, "here", announce_time, participants=0, max_participants=100, cpu_ratio=0.0, draining=False)
    return replace(empty, **changes)  # type: ignore[arg-type]
