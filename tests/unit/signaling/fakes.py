"""Signaling's ports in memory but for the store, a clock that tests turn, and a whole service made of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from services.signaling.alarms import Alarms
from services.signaling.changes import CallChanges
from services.signaling.core.errors import ConversationNotFound
from services.signaling.core.grants import Claims, GrantPolicy
from services.signaling.core.model import (
    Call,
    CallId,
    ConversationId,
    DeviceId,
    Timeouts,
    UserId,
    Worker,
    WorkerId,
)
from services.signaling.core.placement import WorkerAnnouncement, WorkerTable
from services.signaling.core.rate import RatePolicy, StartPolicy
from services.signaling.join_tokens import JwtJoinTokens
from services.signaling.links.core import SALT_BYTES
from services.signaling.links.lobby import Lobby
from services.signaling.links.places import LinkPlaces
from services.signaling.links.ports import LinkStore
from services.signaling.links.service import JoinLinks
from services.signaling.media_access import MediaAccess
from services.signaling.moves import CallMoves
from services.signaling.ports import (
    Callees,
    Devices,
    Members,
    Membership,
    Record,
)
from services.signaling.relays.service import CallRelays, RelaySweep
from services.signaling.roster import Roster
from services.signaling.scheduled.core import Notice, ScheduledCall, recipients
from services.signaling.scheduled.due import DueScheduledCalls
from services.signaling.scheduled.placing import ScheduledStarter
from services.signaling.scheduled.ports import ScheduledStore
from services.signaling.scheduled.service import ScheduledCalls
from services.signaling.service import CallsService
from services.signaling.starting import CallStarter, StartRequest
from services.signaling.turn import HmacTurnServers
from services.signaling.upkeep import Upkeep
from tests.support.clock import ManualClock
from tests.support.identities import keys_of
from tests.unit.signaling.fake_links import FakeLinks
from tests.unit.signaling.fake_relays import SECRET, FakeRelayStore, FakeRelayWorkers
from tests.unit.signaling.fake_scheduled import FakeScheduled
from tests.unit.signaling.fake_store import FakeStore
from tests.unit.signaling.measured import Measured

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


@dataclass
class FakeMembers:
    """ports.Members: the conversations that there are. Three people or more are a group; `admins` of all of them."""

    conversations: dict[ConversationId, list[UserId]] = field(default_factory=lambda: {TALK: [ALICE, BOB]})
    admins: set[UserId] = field(default_factory=set)
    # Whom nobody may ring.
    closed: set[UserId] = field(default_factory=set)
    # Pairs between whom a block stands, or one of whom is deleted.
    severed: set[ConversationId] = field(default_factory=set)
    # Where moderation lets no call begin.
    frozen: set[ConversationId] = field(default_factory=set)
    # Who is blocked by whom.
    blocks: set[tuple[UserId, UserId]] = field(default_factory=set)
    asked: int = 0

    async def blocked_among(self, user_id: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        self.asked += 1
        return frozenset(other for other in others if {(user_id, other), (other, user_id)} & self.blocks)

    async def members_of(self, conversation_id: ConversationId) -> Membership:
        self.asked += 1
        if conversation_id not in self.conversations:
            raise ConversationNotFound
        user_ids = tuple(self.conversations[conversation_id])
        return Membership(user_ids, frozenset(self.admins), len(user_ids) != 2)

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        members = await self.members_of(conversation_id)
        if caller_id not in members.user_ids:
            raise ConversationNotFound
        allowed = frozenset(members.user_ids) - self.closed - {caller_id}
        is_frozen = conversation_id in self.frozen
        is_closed = is_frozen or conversation_id in self.severed
        return Callees(members.user_ids, frozenset() if is_closed else allowed, members.group, is_frozen)

    async def audience_of(self, conversation_id: ConversationId, user_id: UserId) -> frozenset[UserId]:
        members = await self.members_of(conversation_id)
        if user_id not in members.user_ids:
            raise ConversationNotFound
        return frozenset({user_id}) if conversation_id in self.severed else frozenset(members.user_ids)


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
class FakeDevices:
    """ports.Devices: those whose event stream has ended, and when."""

    clock: ManualClock
    closed: dict[tuple[UserId, DeviceId], datetime] = field(default_factory=dict)

    async def closed_for(self, user_id: UserId, device_id: DeviceId) -> timedelta | None:
        closed_time = self.closed.get((user_id, device_id))
        return None if closed_time is None else self.clock.now() - closed_time

    def close(self, user_id: UserId, device_id: DeviceId) -> None:
        """The device's stream ends now."""
        self.closed[user_id, device_id] = self.clock.now()

    def open(self, user_id: UserId, device_id: DeviceId) -> None:
        """The device has a stream."""
        self.closed.pop((user_id, device_id), None)


@dataclass
class RecordingCloser:
    """ports.MediaCloser that remembers."""

    closed: list[tuple[Worker, CallId]] = field(default_factory=list)
    removed: list[tuple[Worker, UserId, DeviceId]] = field(default_factory=list)
    # After how long each of them.
    delays: list[float] = field(default_factory=list)

    def close(self, worker: Worker, call_id: CallId) -> None:
        self.closed.append((worker, call_id))

    def remove(
        self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId, after_s: float = 0.0
    ) -> None:
        self.removed.append((worker, user_id, device_id))
        self.delays.append(after_s)


@dataclass
class RecordingRounds:
    """ports.RelayRounds that remembers."""

    noted: list[CallId] = field(default_factory=list)

    def note(self, call_id: CallId) -> None:
        self.noted.append(call_id)


def events_of(before: Call | None, call: Call, now: datetime) -> Sequence[Record]:
    """ports.EventsOf that says what the call's version, state and end are."""
    reason = call.end_reason.value if call.end_reason else ""
    return [Record("changed", call.call_id, f"{call.version} {call.state.value} {reason}".strip().encode())]


def scheduled_events_of(
    call: ScheduledCall, members: Collection[UserId], notice: Notice | None, now: datetime
) -> Sequence[Record]:
    """scheduled.ports.ScheduledEventsOf that says to whom what is told."""
    noticed = recipients(call, members, notice) if notice else []
    said = f"{call.version} {call.state.value}"
    return [
        Record(user_id, call.scheduled_id, f"{said} {notice.value if notice and user_id in noticed else ''}".encode())
        for user_id in sorted(members)
    ]


class World:
    """A whole service over fakes, with one worker that announced itself just now."""

    def __init__(self, members: FakeMembers | None = None) -> None:
        numbers = count(1)
        self.clock = ManualClock(START)
        self.store = FakeStore()
        self.members = members or FakeMembers()
        self.media = FakeMedia()
        self.devices = FakeDevices(self.clock)
        self.closer = RecordingCloser()
        self.alarms = Alarms()
        self.metrics = Measured()
        self.tokens = JwtJoinTokens(keys_of("signaling"))
        self.workers = WorkerTable()
        self.rounds = RecordingRounds()
        self.changes = CallChanges(
            *(self.store, events_of, self.closer, self.alarms, self.clock, TIMEOUTS, self.workers, self.rounds)
        )
        self.moves = CallMoves(self.store, self.changes, self.media, self.workers)
        self.service = make_service(
            self.changes, self.members, self.moves, lambda now: str(UUID(int=next(numbers))), self.tokens, self.devices
        )
        self.relay_store = FakeRelayStore(self.store)
        self.relay_workers = FakeRelayWorkers()
        self.relays = CallRelays(
            *(self.store, self.relay_store, self.relay_workers, self.workers, self.clock, lambda: SECRET)
        )
        self.relay_sweep = RelaySweep(self.relay_store, self.rounds, self.clock)
        self.upkeep = Upkeep(self.store, self.changes, self.media, self.devices, self.workers, RETENTION)
        self.link_store = FakeLinks()
        self.scheduled_store = FakeScheduled(self.link_store)
        self.links = make_links(self.changes, self.service, self.link_store, self.scheduled_store)
        self.lobby = make_lobby(self.links)
        self.scheduled = ScheduledCalls(
            *(self.scheduled_store, self.members, scheduled_events_of, self.clock, self.service.access.new_id)
        )
        self.due = DueScheduledCalls(
            *(self.scheduled_store, self.store, self.members, ScheduledStarter(self.service.starter), self.lobby),
            *(scheduled_events_of, self.clock, RETENTION),
        )
        self.hear(WORKER)

    def hear(self, worker: Worker, **changes: object) -> None:
        """An announcement of a worker comes in."""
        self.workers.announce(announcement(worker, self.clock.now(), **changes))

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
    members: Members,
    moves: CallMoves,
    new_id: Callable[[datetime], str],
    tokens: JwtJoinTokens | None = None,
    devices: Devices | None = None,
) -> CallsService:
    """The use-cases over what is given."""
    roster = Roster(changes.store, changes, members)
    return CallsService(
        store=changes.store,
        changes=changes,
        starter=CallStarter(changes.store, changes, members, roster, moves.workers, POLICY, new_id),
        roster=roster,
        devices=devices or FakeDevices(ManualClock(START)),
        access=MediaAccess(
            store=changes.store,
            moves=moves,
            media=moves.media,
            tokens=tokens or JwtJoinTokens(keys_of("signaling")),
            turn=HmacTurnServers((), b"", 60),
            policy=GRANTS,
            clock=changes.clock,
            new_id=new_id,
        ),
    )


def make_links(changes: CallChanges, service: CallsService, store: LinkStore, scheduled: ScheduledStore) -> JoinLinks:
    """The use-cases of join links beside those of calls."""
    salts = count(1)

    def new_salt() -> bytes:
        return next(salts).to_bytes(SALT_BYTES, "big")

    places = LinkPlaces(changes, service.roster, scheduled)
    return JoinLinks(store, changes, places, service.access.new_id, new_salt)


def make_lobby(links: JoinLinks) -> Lobby:
    """What becomes of who opens these links."""
    return Lobby(links, links.changes, links.places)


def announcement(worker: Worker = WORKER, announce_time: datetime = START, **changes: object) -> WorkerAnnouncement:
    """A worker that stands empty, but for the changes."""
    empty = WorkerAnnouncement(
        worker, "here", announce_time, participants=0, max_participants=100, cpu_ratio=0.0, draining=False
    )
    return replace(empty, **changes)  # type: ignore[arg-type]
