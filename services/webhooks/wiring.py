"""Where webhooks' objects are built; tests build the same."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc.guard import admins
from services.runtime.grpc.server import RpcServer
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.periodic import PeriodicTask
from services.runtime.postgres.database import Database
from services.runtime.postgres.store_clock import StoreClock
from services.runtime.watched import Watched
from services.webhooks import rpc
from services.webhooks.clients import HttpPost
from services.webhooks.config import DAY_S, Config
from services.webhooks.consumer import GROUP, TOPICS, EventsConsumer
from services.webhooks.core.attempts import RetryPolicy
from services.webhooks.core.endpoints import parse
from services.webhooks.core.model import ClaimId, Endpoint
from services.webhooks.keeping import INTERVAL_S, Purging
from services.webhooks.mapping import TYPES
from services.webhooks.sender import Sender
from services.webhooks.service import Intake, Operating
from services.webhooks.sql import PostgresDeliveries

MIGRATIONS = Path(__file__).parent / "migrations"


def endpoints_of(path: str) -> Callable[[], Sequence[Endpoint]]:
    """What the file says now. Raises ConfigError when it is faulty at the start; later what it said before holds."""
    if not path:
        return lambda: ()
    return Watched("webhook_endpoints", [path], lambda files: parse(files[0], TYPES)).get


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started."""
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    store = PostgresDeliveries(database)
    endpoints = endpoints_of(config.endpoints_file)
    publisher = KafkaPublisher(config.kafka)
    post = HttpPost(clock, config.timeout_s)
    policy = RetryPolicy(config.retry_days * DAY_S, config.most_backoff_s)
    sender = Sender(
        *(store, post, endpoints, clock, policy, config.timeout_s),
        new_claim_id=lambda: ClaimId(uuid4().hex),
        # Spreads attempts; not for secrets.
        chance=random.random,
    )
    events = EventsConsumer(Intake(store, endpoints, sender.wake), endpoints)
    consumer = KafkaConsumer(config.kafka, Subscription(TOPICS, GROUP, unhurried=True), events.handle, publisher)
    tokens = ServiceTokens(ServiceKeys.of("webhooks", config.server.identity), clock)
    server = RpcServer(
        *(config.server, rpc.apis(Operating(store, endpoints, sender.wake)), rpc.ERRORS, tokens),
        admins=admins(admin_tokens(config.server.admin, clock), PostgresTrail(database)),
    )
    workers: list[Part] = [
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        PeriodicTask("webhooks-purge", Purging(store, config.keep_days * DAY_S).purge, INTERVAL_S),
    ]
    return App([database, publisher, *workers, post, sender, consumer], server)
