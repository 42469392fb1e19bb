"""Where signaling's objects are built; tests build the same."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from secrets import token_bytes

from services.runtime.clock import Clock, SystemClock
from services.runtime.delivery.direct import DirectDelivery
from services.runtime.grpc import account_data
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import admins, servers
from services.runtime.grpc.server import RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity.accounts import Accounts, AccountsFeed
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.ids import new_id
from services.runtime.kafka.bus import by_topic
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.periodic import PeriodicTask
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from services.runtime.postgres.store_clock import StoreClock
from services.signaling import rpc
from services.signaling.accounts.consumer import AccountsConsumer
from services.signaling.accounts.export import pages
from services.signaling.accounts.service import AccountLifecycle
from services.signaling.accounts.sql import PostgresAccounts
from services.signaling.alarms import Alarms
from services.signaling.back_office import rpc as back_office_rpc
from services.signaling.back_office.service import BackOffice
from services.signaling.changes import CallChanges
from services.signaling.clients import GrpcMembers, RoutedDevices, SfuClient
from services.signaling.config import Config
from services.signaling.consumer import (
    ACCOUNTS_TOPIC,
    BACKGROUND_GROUP,
    MEDIA_GROUP,
    MEDIA_TOPIC,
    MESSAGING_TOPIC,
    NODES_TOPIC,
    QUALITY_TOPIC,
    MediaConsumer,
    MembersConsumer,
    QualityConsumer,
    WorkerConsumer,
)
from services.signaling.core.placement import WorkerTable
from services.signaling.join_tokens import JwtJoinTokens
from services.signaling.keys import rpc as keys_rpc
from services.signaling.keys.service import DeviceKeys
from services.signaling.keys.sql import PostgresKeys
from services.signaling.links.core import SALT_BYTES
from services.signaling.links.lobby import Lobby
from services.signaling.links.places import LinkPlaces
from services.signaling.links.service import JoinLinks
from services.signaling.links.sql import PostgresLinks
from services.signaling.media_access import MediaAccess
from services.signaling.media_closer import BackgroundCloser
from services.signaling.moves import CallMoves
from services.signaling.ports import Record
from services.signaling.publisher import CALLS_TOPIC, CallEvents, KeyEvents, ScheduledEvents, deliveries_among
from services.signaling.push import GROUP as PUSH_GROUP
from services.signaling.push import WebhookPusher
from services.signaling.relays.core import SECRET_BYTES
from services.signaling.relays.rounds import BackgroundRounds
from services.signaling.relays.service import CallRelays, RelaySweep
from services.signaling.relays.sql import PostgresRelays
from services.signaling.roster import Roster
from services.signaling.scheduled.due import DueScheduledCalls
from services.signaling.scheduled.placing import ScheduledStarter
from services.signaling.scheduled.service import ScheduledCalls
from services.signaling.scheduled.sql import PostgresScheduled
from services.signaling.service import CallsService
from services.signaling.sql.store import PostgresStore
from services.signaling.starting import CallStarter
from services.signaling.timers import periodic_tasks, run_alarms
from services.signaling.turn import HmacTurnServers
from services.signaling.upkeep import Upkeep
from services.signaling.worker_health import WorkerHealth

MIGRATIONS = Path(__file__).parent / "migrations"
# The time between looks for deleted people whose calls have ended since. Raising it keeps their rows longer; lowering
# it costs idle queries.
ERASE_INTERVAL_S = 30.0
# The time between looks for revoked join links whose guests may still be in a call, because a replica ended in between.
# Raising it leaves them there for longer; lowering it costs idle queries.
CLOSE_LINKS_INTERVAL_S = 30.0
# The time between looks for scheduled calls whose time has come. Raising it begins them later; lowering it costs idle
# queries.
SCHEDULED_INTERVAL_S = 5.0
# The time between looks for those that were over too long ago. Raising it keeps them a little longer; lowering it costs
# idle queries.
PRUNE_INTERVAL_S = 3600.0


@dataclass(frozen=True)
class Base:
    """What all of it stands on, not started."""

    config: Config
    database: Database
    clock: StoreClock
    publisher: KafkaPublisher
    keys: ServiceKeys
    tokens: ServiceTokens
    direct: DirectDelivery
    relay: OutboxRelay
    members: GrpcMembers
    sfu: Peer | None

    def committed(self, order_key: str, records: Sequence[Record]) -> None:
        """Tells of what a transaction wrote: the topics at once, and devices before that."""
        self.relay.wake(order_key)
        self.direct.offer(deliveries_among(records))


@dataclass(frozen=True)
class Calls:
    """The state of calls and the workers that carry them."""

    store: PostgresStore
    media: SfuClient
    closer: BackgroundCloser
    workers: WorkerTable
    alarms: Alarms
    changes: CallChanges
    moves: CallMoves
    rounds: BackgroundRounds
    relay_sweep: RelaySweep
    roster: Roster
    starter: CallStarter
    service: CallsService
    upkeep: Upkeep


@dataclass(frozen=True)
class Meetings:
    """Calls that are planned, and the links by which strangers come."""

    links: JoinLinks
    lobby: Lobby
    scheduled: ScheduledCalls
    due: DueScheduledCalls


@dataclass(frozen=True)
class People:
    """What is kept of people beside their calls."""

    accounts: Accounts
    store: PostgresAccounts
    keys: DeviceKeys
    lifecycle: AccountLifecycle


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started. `own_clock` is the host's; nothing but a guess until the database's time is known."""
    base = _base(config, own_clock)
    calls = _calls(base)
    meetings = _meetings(base, calls)
    people = _people(base, calls)
    pusher = WebhookPusher(config.push.url, config.push.secret, base.clock) if config.push.url else None
    # A worker that is there anew is looked at once it says so.
    look_now = asyncio.Event()
    server = _server(base, calls, meetings, people)
    consumers = _consumers(base, calls, people, look_now.set, pusher)
    background = _background(base, calls, meetings, people, look_now)
    return App([*_outward(base, calls, pusher), *consumers, *background], server)


def _base(config: Config, own_clock: Clock | None) -> Base:
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    publisher = KafkaPublisher(config.kafka)
    keys = ServiceKeys.of("signaling", config.server.identity)
    tokens = ServiceTokens(keys, clock)
    presence = Peer.of(config.server.tls, "presence")
    direct = DirectDelivery(config.presence_addresses, lambda address: connect(address, tokens, presence))
    members = GrpcMembers(config.messaging_address, tokens, Peer.of(config.server.tls, "messaging"))
    relay, sfu = OutboxRelay(database, publisher), Peer.of(config.server.tls, "sfu")
    return Base(config, database, clock, publisher, keys, tokens, direct, relay, members, sfu)


def _calls(base: Base) -> Calls:
    config, clock, members = base.config, base.clock, base.members
    store = PostgresStore(base.database, base.committed)
    media = SfuClient(base.tokens, base.sfu)
    closer = BackgroundCloser(media)
    workers = WorkerTable(config.placement, began=clock.now())
    alarms = Alarms()
    legs = PostgresRelays(base.database)
    relays = CallRelays(store, legs, media, workers, clock, partial(token_bytes, SECRET_BYTES))
    rounds = BackgroundRounds(relays.tell)
    changes = CallChanges(
        *(store, CallEvents(new_id), closer, alarms, clock, config.timeouts), workers=workers, relays=rounds
    )
    moves = CallMoves(store, changes, media, workers)
    roster = Roster(store, changes, members)
    devices = RoutedDevices(base.direct)
    turn = HmacTurnServers(config.turn.urls, config.turn.secret, config.turn.ttl_s)
    tokens = JwtJoinTokens(base.keys)
    access = MediaAccess(store, moves, media, tokens, turn, config.grants, clock, new_id=_new_id)
    starter = CallStarter(store, changes, members, roster, workers, config.start, _new_id)
    return Calls(
        *(store, media, closer, workers, alarms, changes, moves, rounds, RelaySweep(legs, rounds, clock)),
        roster=roster,
        starter=starter,
        service=CallsService(
            store=store, changes=changes, starter=starter, roster=roster, access=access, devices=devices
        ),
        upkeep=Upkeep(store, changes, media, devices, workers, config.retention),
    )


def _meetings(base: Base, calls: Calls) -> Meetings:
    clock, members = base.clock, base.members
    store = PostgresScheduled(base.database, base.committed)
    events = ScheduledEvents(new_id)
    places = LinkPlaces(calls.changes, calls.roster, store)
    new_salt = partial(token_bytes, SALT_BYTES)
    links = JoinLinks(PostgresLinks(base.database), calls.changes, places, _new_id, new_salt)
    lobby = Lobby(links, calls.changes, places)
    due = DueScheduledCalls(
        *(store, calls.store, members, ScheduledStarter(calls.starter), lobby, events, clock),
        retention=base.config.retention,
    )
    return Meetings(links, lobby, ScheduledCalls(store, members, events, clock, _new_id), due)


def _people(base: Base, calls: Calls) -> People:
    events = KeyEvents(new_id)
    keys = DeviceKeys(
        *(PostgresKeys(base.database, base.committed), calls.store, base.members, base.clock),
        *(events.call_key, events.keys_changed),
    )
    accounts = Accounts(base.clock, base.config.server.jwt_max_life_s)
    store = PostgresAccounts(base.database)
    return People(accounts, store, keys, AccountLifecycle(store, calls.changes, keys))


def _server(base: Base, calls: Calls, meetings: Meetings, people: People) -> RpcServer:
    server, clock, trail = base.config.server, base.clock, PostgresTrail(base.database)
    back_office = BackOffice(
        *(calls.store, calls.changes, calls.starter, calls.roster, base.members, meetings.links, people.accounts)
    )
    return RpcServer(
        server,
        [
            *rpc.apis(calls.service, meetings.links, meetings.lobby, meetings.scheduled, calls.moves),
            keys_rpc.api_of(people.keys, clock),
            account_data.api_of(pages(people.store)),
            back_office_rpc.api_of(back_office),
        ],
        rpc.ERRORS,
        base.tokens,
        UserTokens.of(server, clock, people.accounts),
        admins=admins(admin_tokens(server.admin, clock), trail),
        servers=servers(server.server_keys_file, clock, trail),
    )


def _outward(base: Base, calls: Calls, pusher: WebhookPusher | None) -> list[Part]:
    """What asks others, in the order of its start."""
    ours: list[Part] = [base.members, calls.media, calls.closer, calls.rounds]
    return [base.database, base.publisher, base.direct, base.relay, *ours, *([pusher] if pusher else [])]


def _background(base: Base, calls: Calls, meetings: Meetings, people: People, look_now: asyncio.Event) -> list[Part]:
    clock, workers = base.clock, calls.workers
    health = WorkerHealth(workers, clock, base.tokens, calls.moves.check_worker, base.sfu)

    async def has_media_worker() -> bool:
        return bool(workers.live(clock.now()))

    return [
        # Waited for at the start only: without it the first calls would find no worker.
        Probe("media-worker", has_media_worker, essential=False),
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        Worker("alarms", partial(run_alarms, calls.alarms, calls.upkeep, clock)),
        *periodic_tasks(calls.upkeep, calls.moves, calls.relay_sweep, look_now),
        PeriodicTask("erase-accounts", people.lifecycle.sweep, ERASE_INTERVAL_S),
        PeriodicTask("close-join-links", meetings.links.sweep, CLOSE_LINKS_INTERVAL_S),
        PeriodicTask("scheduled-calls", meetings.due.sweep, SCHEDULED_INTERVAL_S),
        PeriodicTask("prune-scheduled", meetings.due.prune, PRUNE_INTERVAL_S),
        Worker(WorkerHealth.name, health.run),
    ]


def _consumers(
    base: Base, calls: Calls, people: People, look_now: Callable[[], None], pusher: WebhookPusher | None
) -> list[KafkaConsumer]:
    """What each replica must know, what calls wait for, what may come later, and what the network's own sender may
    hold up."""
    known = {
        NODES_TOPIC: WorkerConsumer(calls.workers, look_now, base.clock).handle,
        ACCOUNTS_TOPIC: AccountsFeed(people.accounts).handle,
    }
    in_background = {
        QUALITY_TOPIC: QualityConsumer(calls.store).handle,
        MESSAGING_TOPIC: MembersConsumer(calls.roster).handle,
        ACCOUNTS_TOPIC: AccountsConsumer(people.lifecycle).handle,
    }
    handlers = [
        (Subscription(tuple(known), group=None), by_topic(known)),
        (Subscription((MEDIA_TOPIC,), MEDIA_GROUP), MediaConsumer(calls.service).handle),
        (Subscription(tuple(in_background), BACKGROUND_GROUP, background=True), by_topic(in_background)),
    ]
    if pusher:
        handlers.append((Subscription((CALLS_TOPIC,), PUSH_GROUP), pusher.handle))
    return [KafkaConsumer(base.config.kafka, topics, handle, base.publisher) for topics, handle in handlers]


def _new_id(now: datetime) -> str:
    return str(new_id(now))
