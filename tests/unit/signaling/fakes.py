"""Signaling's ports in memory, a clock that tests turn, and a whole service made of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from services.runtime.errors import StoreUnavailable
from services.signaling.changes import CallChanges
from services.signaling.core.errors import ConversationNotFound, UserTaken, VersionConflict
from services.signaling.core.grants import Claims, GrantPolicy
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    MoveReason,
    Timeouts,
    UserId,
    Worker,
    WorkerId,
)
from services.signaling.core.placement import Node, NodeTable
from services.signaling.core.quality import Direction, LegTotals, QualityKey, QualityReport, UserQuality, sum_up
from services.signaling.core.rate import RatePolicy, StartPolicy
from services.signaling.core.settings import CallSettings
from services.signaling.moves import CallMoves
from services.signaling.ports import (
    Callees,
    CalleesTaken,
    CallerTaken,
    ClientKey,
    Created,
    Creation,
    GroupTaken,
    KeyKnown,
    Membership,
    Record,
)
from services.signaling.service import CallsService
from services.signaling.starting import CallStarter, StartRequest
from services.signaling.tokens import JwtJoinTokens
from services.signaling.turn import HmacTurnServers
from services.signaling.upkeep import Upkeep
from tests.support.clock import ManualClock

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TIMEOUTS = Timeouts(ring_s=45, media_lost_s=60)
GRANTS = GrantPolicy(token_ttl_s=60, audio_slots=1, video_slots=1)
POLICY = StartPolicy(group_capacity=4, rate=RatePolicy(max_calls=100))
RETENTION = timedelta(days=90)
TALK = ConversationId("0190f000-0000-7000-8000-000000000001")
GROUP_TALK = ConversationId("0190f000-0000-7000-8000-000000000009")
ALICE, BOB, CAROL, DAVE = UserId("alice"), UserId("bob"), UserId("carol"), UserId("dave")
PHONE, TABLET, LAPTOP = DeviceId("phone-01"), DeviceId("tablet-1"), DeviceId("laptop-1")
WORKER = Worker(WorkerId("sfu-1"), "127.0.0.1:7100")
OTHER_WORKER = Worker(WorkerId("sfu-2"), "127.0.0.1:7200")


class FakeStore:
    """ports.Store in memory. `down` makes it unavailable; `refused` counts what was asked of it then."""

    def __init__(self) -> None:
        self.down = False
        self.refused = 0
        self.records: list[Record] = []
        self.settings: dict[UserId, CallSettings] = {}
        self._calls: dict[CallId, Call] = {}
        self._keys: dict[ClientKey, CallId] = {}
        self._held: dict[UserId, CallId] = {}
        self._due: dict[CallId, datetime | None] = {}
        self._quality: dict[tuple[QualityKey, Direction], tuple[datetime, LegTotals]] = {}

    async def create(self, call: Call, key: ClientKey, records: Sequence[Record]) -> Creation:
        self._check()
        if key in self._keys:
            return KeyKnown(self._calls[self._keys[key]])
        existing = await self.find_of_group(call.conversation_id) if call.group else None
        if existing and call.state is not CallState.ENDED:
            return GroupTaken(existing)
        if call.holds and call.caller_id in self._held:
            return CallerTaken(self._calls[self._held[call.caller_id]])
        taken = tuple(user_id for user_id in call.holds if user_id in self._held)
        if taken:
            return CalleesTaken(taken)
        self._keys[key] = call.call_id
        self._put(call, records)
        return Created()

    async def save(
        self, call: Call, records: Sequence[Record], key: ClientKey | None = None, *, same_holds: bool = False
    ) -> None:
        self._check()
        if self._calls[call.call_id].version != call.version - 1:
            raise VersionConflict
        for user_id in call.holds:
            if self._held.get(user_id, call.call_id) != call.call_id:
                raise UserTaken(user_id, self._held[user_id])
        if key:
            self._keys.setdefault(key, call.call_id)
        self._put(call, records)

    async def find(self, call_id: CallId) -> Call | None:
        self._check()
        return self._calls.get(call_id)

    async def find_by_key(self, key: ClientKey) -> Call | None:
        self._check()
        return self._calls[self._keys[key]] if key in self._keys else None

    async def find_holding(self, user_id: UserId) -> Call | None:
        self._check()
        return self._calls[self._held[user_id]] if user_id in self._held else None

    async def find_of_group(self, conversation_id: ConversationId) -> Call | None:
        self._check()
        return next((call for call in self._running() if call.group and call.conversation_id == conversation_id), None)

    async def list_active(self, user_id: UserId) -> Sequence[Call]:
        self._check()
        return [call for call in self._running() if user_id in call.audience]

    async def list_placed(self, user_id: UserId, since: datetime, limit: int) -> Sequence[datetime]:
        self._check()
        times = [call.create_time for call in self._calls.values() if call.caller_id == user_id]
        return sorted((at for at in times if at > since), reverse=True)[:limit]

    async def list_besieged(
        self, user_ids: Sequence[UserId], conversation_id: ConversationId, since: datetime, limit: int
    ) -> Sequence[UserId]:
        self._check()

        def is_besieged(user_id: UserId) -> bool:
            mine = [call for call in self._calls.values() if call.leg_of(user_id)]
            rung = [call for call in mine if call.caller_id != user_id and call.create_time > since]
            here = [call.leg_of(user_id) for call in mine if call.conversation_id == conversation_id]
            return len(rung) >= limit and not any(leg and leg.join_time for leg in here)

        return [user_id for user_id in user_ids if is_besieged(user_id)]

    async def list_ended(self, user_id: UserId, before: CallId | None, limit: int) -> Sequence[Call]:
        self._check()
        ended = [call for call in self._calls.values() if call.state is CallState.ENDED and call.leg_of(user_id)]
        below = [call for call in ended if before is None or call.call_id < before]
        return sorted(below, key=lambda call: call.call_id, reverse=True)[:limit]

    async def prune(self, before: datetime, limit: int) -> int:
        self._check()
        old = [call.call_id for call in self._calls.values() if call.end_time and call.end_time < before][:limit]
        for call_id in old:
            del self._calls[call_id]
        self._keys = {key: call_id for key, call_id in self._keys.items() if call_id not in old}
        self._quality = {key: value for key, value in self._quality.items() if key[0].call_id not in old}
        return len(old)

    async def settings_of(self, user_ids: Sequence[UserId]) -> Mapping[UserId, CallSettings]:
        self._check()
        return {user_id: self.settings[user_id] for user_id in user_ids if user_id in self.settings}

    async def save_settings(self, user_id: UserId, settings: CallSettings) -> None:
        self._check()
        self.settings[user_id] = settings

    async def add_quality(self, reports: Sequence[QualityReport]) -> None:
        self._check()
        for report in reports:
            for direction, totals in report.legs.items():
                last, sums = self._quality.get((report.key, direction), (None, LegTotals()))
                if report.key.call_id in self._calls and (last is None or last < report.report_time):
                    self._quality[report.key, direction] = (report.report_time, sums.add(totals))

    async def quality_of(self, call_ids: Sequence[CallId]) -> Mapping[CallId, Sequence[UserQuality]]:
        self._check()
        found: dict[CallId, Sequence[UserQuality]] = {}
        for call_id in call_ids:
            parts = [
                (key.user_id, direction, totals)
                for (key, direction), (_, totals) in self._quality.items()
                if key.call_id == call_id
            ]
            if parts:
                found[call_id] = sum_up(parts)
        return found

    async def list_on(self, worker: Worker, limit: int) -> Sequence[CallId]:
        self._check()
        return [call.call_id for call in self._running() if worker.is_same_process(call.worker)][:limit]

    async def list_workers(self) -> Sequence[Worker]:
        self._check()
        return list(dict.fromkeys(call.worker for call in self._running() if call.worker))

    async def claim_due(self, now: datetime, lease: timedelta, limit: int) -> Sequence[CallId]:
        self._check()
        due = sorted((at, call_id) for call_id, at in self._due.items() if at and at <= now)[:limit]
        self._due.update({call_id: now + lease for _, call_id in due})
        return [call_id for _, call_id in due]

    async def count_by_state(self) -> Mapping[CallState, int]:
        self._check()
        states = [call.state for call in self._running()]
        return {state: states.count(state) for state in set(states)}

    def _running(self) -> list[Call]:
        return [call for call in self._calls.values() if call.state is not CallState.ENDED]

    def _put(self, call: Call, records: Sequence[Record]) -> None:
        self._held = {user: held for user, held in self._held.items() if held != call.call_id}
        self._held.update(dict.fromkeys(call.holds, call.call_id))
        self._calls[call.call_id] = call
        self._due[call.call_id] = call.due_time
        self.records.extend(records)

    def _check(self) -> None:
        if self.down:
            self.refused += 1
            raise StoreUnavailable


@dataclass
class FakeMembers:
    """ports.Members: the conversations that there are. Three people or more are a group; `admins` of all of them."""

    conversations: dict[ConversationId, list[UserId]] = field(default_factory=lambda: {TALK: [ALICE, BOB]})
    admins: set[UserId] = field(default_factory=set)
    # Whom nobody may ring.
    closed: set[UserId] = field(default_factory=set)
    asked: int = 0

    async def members_of(self, conversation_id: ConversationId) -> Membership:
        self.asked += 1
        if conversation_id not in self.conversations:
            raise ConversationNotFound
        user_ids = tuple(self.conversations[conversation_id])
        return Membership(user_ids, frozenset(self.admins), len(user_ids) != 2)

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        members = await self.members_of(conversation_id)
        return Callees(members.user_ids, frozenset(members.user_ids) - self.closed - {caller_id}, members.group)


@dataclass
class FakeMedia:
    """ports.MediaWorkers: answers each offer, unless `refusal` is set."""

    refusal: Exception | None = None
    unreachable: set[WorkerId] = field(default_factory=set)
    joined: list[tuple[Worker, str]] = field(default_factory=list)
    ended: list[tuple[Worker, CallId]] = field(default_factory=list)
    removed: list[tuple[Worker, UserId, DeviceId]] = field(default_factory=list)
    draining: dict[WorkerId, bool] = field(default_factory=dict)

    async def join(self, worker: Worker, join_token: str, sdp_offer: str) -> str:
        if self.refusal:
            raise self.refusal
        self.joined.append((worker, join_token))
        return f"answer to {sdp_offer}"

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        if self.refusal:
            raise self.refusal
        self.ended.append((worker, call_id))

    async def remove(self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId) -> None:
        if self.refusal:
            raise self.refusal
        self.removed.append((worker, user_id, device_id))

    async def set_draining(self, worker: Worker, draining: bool) -> None:
        if self.refusal:
            raise self.refusal
        self.draining[worker.worker_id] = draining

    async def is_reachable(self, worker: Worker) -> bool:
        return worker.worker_id not in self.unreachable


@dataclass
class RecordingCloser:
    """ports.MediaCloser that remembers."""

    closed: list[tuple[Worker, CallId]] = field(default_factory=list)
    removed: list[tuple[Worker, UserId, DeviceId]] = field(default_factory=list)

    def close(self, worker: Worker, call_id: CallId) -> None:
        self.closed.append((worker, call_id))

    def remove(self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId) -> None:
        self.removed.append((worker, user_id, device_id))


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
    moves: list[MoveReason] = field(default_factory=list)
    moved_s: list[float] = field(default_factory=list)

    def call_answered(self, ring_s: float) -> None:
        self.rings_s.append(ring_s)

    def media_started(self, since_answer_s: float) -> None:
        self.media_s.append(since_answer_s)

    def call_ended(self, reason: EndReason) -> None:
        self.ended.append(reason)

    def setup_failed(self, stage: str) -> None:
        self.failures.append(stage)

    def call_moved(self, reason: MoveReason) -> None:
        self.moves.append(reason)

    def move_completed(self, reason: MoveReason, took_s: float) -> None:
        self.moved_s.append(took_s)

    def calls_counted(self, by_state: Mapping[CallState, int]) -> None:
        self.counts = dict(by_state)


def announce(before: Call | None, call: Call, now: datetime) -> Sequence[Record]:
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
        self.moves = CallMoves(self.store, self.changes, self.media, self.nodes)
        self.service = make_service(
            self.changes, self.members, self.moves, lambda now: str(UUID(int=next(numbers))), self.tokens
        )
        self.upkeep = Upkeep(self.store, self.changes, self.media, self.nodes, RETENTION)
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


def make_service(
    changes: CallChanges,
    members: FakeMembers,
    moves: CallMoves,
    new_id: Callable[[datetime], str],
    tokens: JwtJoinTokens | None = None,
) -> CallsService:
    """The use-cases over what is given."""
    return CallsService(
        store=changes.store,
        changes=changes,
        starter=CallStarter(changes.store, changes, members, moves.nodes, POLICY, new_id),
        moves=moves,
        members=members,
        media=moves.media,
        tokens=tokens or JwtJoinTokens(b"k" * 32),
        turn=HmacTurnServers((), b"", 60),
        grants=GRANTS,
        new_id=new_id,
    )


def node(worker: Worker = WORKER, announce_time: datetime = START, **changes: object) -> Node:
    """A worker that stands empty, but for the changes."""
    empty = Node(worker, "here", announce_time, participants=0, max_participants=100, cpu_ratio=0.0, draining=False)
    return replace(empty, **changes)  # type: ignore[arg-type]
