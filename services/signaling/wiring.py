"""Where signaling's objects are built; tests build the same."""

from datetime import datetime
from functools import partial
from pathlib import Path

from services.runtime.auth import JwksKeys, ServiceTokens, UserTokens, http_jwks
from services.runtime.bus import KafkaConsumer, KafkaPublisher, Subscription
from services.runtime.clock import SystemClock
from services.runtime.db import Database
from services.runtime.ids import new_id
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.outbox import OutboxRelay
from services.runtime.rpc import RpcServer
from services.signaling import rpc
from services.signaling.changes import CallChanges
from services.signaling.clients import BackgroundCloser, GrpcMembers, SfuClient
from services.signaling.config import Config
from services.signaling.consumer import GROUP, NODES_TOPIC, MediaConsumer, NodeConsumer
from services.signaling.core.placement import NodeTable
from services.signaling.metrics import PrometheusMetrics
from services.signaling.publisher import CALLS_TOPIC, CallAnnouncer
from services.signaling.service import CallsService
from services.signaling.store import PostgresStore
from services.signaling.timers import Alarms, routines, run_alarms
from services.signaling.tokens import JwtJoinTokens
from services.signaling.upkeep import Upkeep

# Workers announce themselves every 2 s. Higher: a new one gets calls later.
NODES_PATIENCE_MS = 50
MIGRATIONS = Path(__file__).parent / "migrations"


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    service_tokens = ServiceTokens(config.server.service_key, "signaling", clock)
    database = Database(config.database, MIGRATIONS)
    publisher = KafkaPublisher(config.kafka)
    relay = OutboxRelay(database, publisher)
    store = PostgresStore(database, relay.wake)
    members = GrpcMembers(config.messaging_address, service_tokens)
    media = SfuClient(service_tokens)
    closer = BackgroundCloser(media)
    nodes = NodeTable(config.placement)
    alarms = Alarms()
    changes = CallChanges(store, CallAnnouncer(new_id), closer, alarms, PrometheusMetrics(), clock, config.timeouts)
    service = CallsService(
        store, changes, members, media, nodes, JwtJoinTokens(config.join_token_key), config.grants, _new_id
    )
    upkeep = Upkeep(store, changes, media, nodes)
    announcements = Subscription(NODES_TOPIC, group=None, patience_ms=NODES_PATIENCE_MS)
    node_reader = KafkaConsumer(config.kafka, announcements, NodeConsumer(nodes).handle, publisher)
    media_reader = KafkaConsumer(
        config.kafka, Subscription(CALLS_TOPIC, GROUP), MediaConsumer(service).handle, publisher
    )
    keys = JwksKeys(http_jwks(config.server.jwks_url), clock)
    server = RpcServer(
        config.server,
        rpc.apis(service),
        rpc.ERRORS,
        service_tokens,
        UserTokens(keys, config.server.jwt_issuer, config.server.jwt_audience, clock),
    )
    workers = [
        Worker("alarms", partial(run_alarms, alarms, upkeep, clock)),
        *(Worker(routine.name, routine.run) for routine in routines(upkeep)),
    ]

    async def has_media_worker() -> bool:
        return bool(nodes.live(clock.now()))

    # Waited for at the start only: without it the first calls would find no worker.
    worker_known = Probe("media-worker", has_media_worker, essential=False)
    outward: list[Part] = [database, publisher, relay, members, media, closer]
    return App([*outward, node_reader, media_reader, worker_known, *workers], server)


def _new_id(now: datetime) -> str:
    return str(new_id(now))
