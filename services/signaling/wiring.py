"""Where signaling's objects are built; tests build the same."""

import asyncio
from collections.abc import Mapping, Sequence
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
from services.runtime.kafka.bus import HandleBatch, by_topic
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


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started. `own_clock` is the host's; nothing but a guess until the database's time is known."""
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    service_keys = ServiceKeys.of("signaling", config.server.identity)
    service_tokens = ServiceTokens(service_keys, clock)
    publisher = KafkaPublisher(config.kafka)
    relay = OutboxRelay(database, publisher)
    presence = Peer.of(config.server.tls, "presence")
    direct = DirectDelivery(config.presence_addresses, lambda address: connect(address, service_tokens, presence))

    def committed(order_key: str, records: Sequence[Record]) -> None:
        relay.wake(order_key)
        direct.offer(deliveries_among(records))

    store = PostgresStore(database, committed)
    members = GrpcMembers(config.messaging_address, service_tokens, Peer.of(config.server.tls, "messaging"))
    sfu = Peer.of(config.server.tls, "sfu")
    media = SfuClient(service_tokens, sfu)
    closer = BackgroundCloser(media)
    workers = WorkerTable(config.placement, began=clock.now())
    alarms = Alarms()
    relay_store = PostgresRelays(database)
    relays = CallRelays(store, relay_store, media, workers, clock, partial(token_bytes, SECRET_BYTES))
    rounds = BackgroundRounds(relays.tell)
    changes = CallChanges(
        *(store, CallEvents(new_id), closer, alarms, clock, config.timeouts), workers=workers, relays=rounds
    )
    moves = CallMoves(store, changes, media, workers)
    roster = Roster(store, changes, members)
    devices = RoutedDevices(direct)
    turn = HmacTurnServers(config.turn.urls, config.turn.secret, config.turn.ttl_s)
    access = MediaAccess(
        *(store, moves, media, JwtJoinTokens(service_keys), turn, config.grants, clock), new_id=_new_id
    )
    starter = CallStarter(store, changes, members, roster, workers, config.start, _new_id)
    service = CallsService(
        store=store,
        changes=changes,
        starter=starter,
        roster=roster,
        access=access,
        devices=devices,
    )
    upkeep = Upkeep(store, changes, media, devices, workers, config.retention)
    look_now = asyncio.Event()
    pusher = WebhookPusher(config.push.url, config.push.secret, clock) if config.push.url else None
    key_events = KeyEvents(new_id)
    key_store = PostgresKeys(database, committed)
    keys = DeviceKeys(key_store, store, members, clock, key_events.call_key, key_events.keys_changed)
    account_store = PostgresAccounts(database)
    lifecycle = AccountLifecycle(account_store, changes, keys)
    accounts = Accounts(clock, config.server.jwt_max_life_s)
    scheduled_store = PostgresScheduled(database, committed)
    scheduled_events = ScheduledEvents(new_id)
    scheduled = ScheduledCalls(scheduled_store, members, scheduled_events, clock, _new_id)
    places = LinkPlaces(changes, roster, scheduled_store)
    links = JoinLinks(PostgresLinks(database), changes, places, _new_id, partial(token_bytes, SALT_BYTES))
    lobby = Lobby(links, changes, places)
    due = DueScheduledCalls(
        *(scheduled_store, store, members, ScheduledStarter(starter), lobby, scheduled_events, clock),
        retention=config.retention,
    )
    back_office = BackOffice(store, changes, starter, roster, members, links, accounts)
    trail = PostgresTrail(database)
    known = {
        NODES_TOPIC: WorkerConsumer(workers, look_now.set, clock).handle,
        ACCOUNTS_TOPIC: AccountsFeed(accounts).handle,
    }
    in_background = {
        QUALITY_TOPIC: QualityConsumer(service.store).handle,
        MESSAGING_TOPIC: MembersConsumer(service.roster).handle,
        ACCOUNTS_TOPIC: AccountsConsumer(lifecycle).handle,
    }
    consumers = _consumers(config, known, MediaConsumer(service), in_background, pusher, publisher)
    server = RpcServer(
        config.server,
        [
            *rpc.apis(service, links, lobby, scheduled, moves),
            keys_rpc.api_of(keys, clock),
            account_data.api_of(pages(account_store)),
            back_office_rpc.api_of(back_office),
        ],
        rpc.ERRORS,
        service_tokens,
        UserTokens.of(config.server, clock, accounts),
        admins=admins(admin_tokens(config.server.admin, clock), trail),
        servers=servers(config.server.server_keys_file, clock, trail),
    )
    background: list[Part] = [
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        Worker("alarms", partial(run_alarms, alarms, upkeep, clock)),
        *periodic_tasks(upkeep, moves, RelaySweep(relay_store, rounds, clock), look_now),
        PeriodicTask("erase-accounts", lifecycle.sweep, ERASE_INTERVAL_S),
        PeriodicTask("close-join-links", links.sweep, CLOSE_LINKS_INTERVAL_S),
        PeriodicTask("scheduled-calls", due.sweep, SCHEDULED_INTERVAL_S),
        PeriodicTask("prune-scheduled", due.prune, PRUNE_INTERVAL_S),
        Worker(WorkerHealth.name, WorkerHealth(workers, clock, service_tokens, moves.check_worker, sfu).run),
    ]

    async def has_media_worker() -> bool:
        return bool(workers.live(clock.now()))

    # Waited for at the start only: without it the first calls would find no worker.
    worker_known = Probe("media-worker", has_media_worker, essential=False)
    outward: list[Part] = [
        database,
        publisher,
        direct,
        relay,
        members,
        media,
        closer,
        rounds,
        *([pusher] if pusher else []),
    ]
    return App([*outward, *consumers, worker_known, *background], server)


def _consumers(
    config: Config,
    known: Mapping[str, HandleBatch],
    reports: MediaConsumer,
    background: Mapping[str, HandleBatch],
    pusher: WebhookPusher | None,
    publisher: KafkaPublisher,
) -> list[KafkaConsumer]:
    """What each replica must know, what calls wait for, what may come later, and what the network's own sender may
    hold up."""
    handlers = [
        (Subscription(tuple(known), group=None), by_topic(known)),
        (Subscription((MEDIA_TOPIC,), MEDIA_GROUP), reports.handle),
        (Subscription(tuple(background), BACKGROUND_GROUP, background=True), by_topic(background)),
    ]
    if pusher:
        handlers.append((Subscription((CALLS_TOPIC,), PUSH_GROUP), pusher.handle))
    return [KafkaConsumer(config.kafka, subscription, handle, publisher) for subscription, handle in handlers]


def _new_id(now: datetime) -> str:
    return str(new_id(now))
