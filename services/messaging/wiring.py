"""Where messaging's objects are built; tests build the same."""

from datetime import timedelta
from pathlib import Path

from services.messaging import rpc, topics
from services.messaging.config import Config
from services.messaging.consumer import CallRecords, FanOut, SearchIndex
from services.messaging.core.changes import ChangePolicy
from services.messaging.deliveries import direct_deliveries
from services.messaging.group_commit import GroupCommit
from services.messaging.service import Limits, Messaging
from services.messaging.store import PostgresStore
from services.runtime.auth import JwksKeys, ServiceTokens, UserTokens, http_jwks
from services.runtime.bus import KafkaConsumer, KafkaPublisher, Subscription
from services.runtime.clock import SystemClock
from services.runtime.db import Database
from services.runtime.ids import new_id, new_secret
from services.runtime.lifecycle import App, Worker
from services.runtime.outbox import OutboxRelay
from services.runtime.rpc import RpcServer

# Nobody waits for the record of a call that is over. Higher: it stands in the conversation later.
CALLS_PATIENCE_MS = 50
# Nor for the words of a text that was sent just now. Higher: it is found later.
SEARCH_PATIENCE_MS = 1_000
MIGRATIONS = Path(__file__).parent / "migrations"


def limits(config: Config) -> Limits:
    """The limits that are configured."""
    policy = ChangePolicy(edit_window=timedelta(seconds=config.edit_window_s), max_edits=config.max_edits)
    return Limits(text_chars=config.text_limit, group_members=config.group_members, changes=policy)


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    database = Database(config.database, MIGRATIONS)
    publisher = KafkaPublisher(config.kafka)
    relay = OutboxRelay(database, publisher, direct_deliveries)
    store = PostgresStore(database, relay, new_id)
    sends = GroupCommit(store, config.send_queue)
    messaging = Messaging(store, sends, clock, new_id, new_secret, limits(config))
    fan_out = KafkaConsumer(
        config.kafka, Subscription(topics.EVENTS, "messaging-fanout"), FanOut(messaging, publisher).handle, publisher
    )
    sent = Subscription(topics.EVENTS, "messaging-search", patience_ms=SEARCH_PATIENCE_MS)
    search_index = KafkaConsumer(config.kafka, sent, SearchIndex(messaging).handle, publisher)
    ended_calls = Subscription(topics.CALLS, "messaging-calls", patience_ms=CALLS_PATIENCE_MS)
    call_records = KafkaConsumer(config.kafka, ended_calls, CallRecords(messaging).handle, publisher)
    keys = JwksKeys(http_jwks(config.server.jwks_url), clock)
    server = RpcServer(
        config.server,
        rpc.apis(messaging),
        rpc.ERRORS,
        ServiceTokens(config.server.service_key, "messaging", clock),
        UserTokens(keys, config.server.jwt_issuer, config.server.jwt_audience, clock),
    )
    return App(
        [database, publisher, relay, Worker("group-commit", sends.run), fan_out, call_records, search_index], server
    )
