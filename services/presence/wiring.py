"""Where presence's objects are built; tests build the same."""

from pathlib import Path

from services.presence import metrics, rpc
from services.presence.accounts.consumer import AccountsConsumer
from services.presence.accounts.export import pages
from services.presence.config import Config
from services.presence.consumer import ACCOUNTS_GROUP, ACCOUNTS_TOPIC, TOPIC, Deliveries
from services.presence.core.router import Router
from services.presence.delivery_ways import DeliveryWays
from services.presence.failed_replicas import FailedReplicas
from services.presence.publisher import KafkaFeed
from services.presence.service import Presence
from services.presence.sql import PostgresStates
from services.presence.state_writer import StateWriter
from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc import account_data
from services.runtime.grpc.guard import admins
from services.runtime.grpc.server import RpcServer
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.groups import KafkaGroup
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.partitions import partition_of
from services.runtime.postgres.database import Database
from services.runtime.postgres.store_clock import StoreClock

GROUP = "presence"
MIGRATIONS = Path(__file__).parent / "migrations"
# Events of delivery.v1 taken at a time, when so many wait. Raising it keeps the event loop for longer, about 20 us an
# event; lowering it makes smaller frames for the gateways, each of which costs both sides as much as some ten events.
MAX_BATCH = 500


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started. `own_clock` is the host's; nothing but a guess until the database's time is known."""
    # Events are routed without it, so it may be away.
    database = Database(config.database, MIGRATIONS, essential=False)
    clock = StoreClock(database, own_clock or SystemClock())
    store = PostgresStates(database)
    publisher = KafkaPublisher(config.kafka)
    router = Router(config.offline_delay_s, config.gateway_sessions, partition_of)
    feed = KafkaFeed(publisher)
    writer = StateWriter(store, feed, config.state_interval_s)
    failed_replicas = FailedReplicas(KafkaGroup(config.kafka, GROUP))
    presence = Presence(router, writer, store, failed_replicas, clock, config.collect_s)
    ways = DeliveryWays(presence)
    _measure(router)
    consumers = _consumers(config, ways, AccountsConsumer(store, feed, clock), publisher)
    tokens = ServiceTokens(ServiceKeys.of("presence", config.server.identity), clock)
    apis = [*rpc.apis(presence, ways, clock, config.gateway_queue), account_data.api_of(pages(store))]
    server = RpcServer(
        *(config.server, apis, rpc.ERRORS, tokens),
        admins=admins(admin_tokens(config.server.admin, clock), PostgresTrail(database)),
    )
    workers: list[Part] = [
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        Worker("presence-timers", presence.run_timers, needed=True),
        Worker("presence-last-seen-loads", presence.run_last_seen_loads),
        Worker("presence-restores", presence.run_restores),
        Worker("presence-failed-replicas", failed_replicas.run),
    ]
    return App([database, publisher, writer, *workers, *consumers], server)


def _consumers(
    config: Config, ways: DeliveryWays, accounts: AccountsConsumer, publisher: KafkaPublisher
) -> list[KafkaConsumer]:
    """What is to be delivered, which readiness waits for; and whose account is deleted, which may come later."""
    delivered = Subscription((TOPIC,), GROUP, max_batch=MAX_BATCH)
    deleted = Subscription((ACCOUNTS_TOPIC,), ACCOUNTS_GROUP, background=True)
    return [
        KafkaConsumer(
            *(config.kafka, delivered, Deliveries(ways).handle, publisher),
            listener=ways,
            essential=True,
        ),
        KafkaConsumer(config.kafka, deleted, accounts.handle, publisher),
    ]


def _measure(router: Router) -> None:
    """Asked for at each scrape, so that they cost nothing at each event."""
    metrics.SESSIONS.set_function(lambda: router.session_count)
    metrics.GATEWAYS.set_function(lambda: router.gateway_count)
    metrics.PARTITIONS.set_function(lambda: len(router.assignment.partitions))
