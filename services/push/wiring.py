"""Where push's objects are built; tests build the same."""

import random
from collections.abc import Callable, Collection
from pathlib import Path
from uuid import uuid4

from services.push import rpc
from services.push.clients.apns import ApnsSender
from services.push.clients.facts import GrpcFacts
from services.push.clients.fcm import FcmSender
from services.push.clients.http import HttpClient
from services.push.clients.network import NetworkSender
from services.push.clients.web_push import WebPushSender
from services.push.config import DAY_S, Config
from services.push.consumer import GROUP, AccountsConsumer, NewsConsumer, PresenceConsumer
from services.push.core.model import Provider, TokenId
from services.push.export import pages
from services.push.keeping import INTERVAL_S, Purging
from services.push.mapping import ACCOUNTS_TOPIC, CALLS_TOPIC, DELIVERY_TOPIC, PRESENCE_TOPIC
from services.push.ports import Sender as ProviderSender
from services.push.providers import Providers, parse
from services.push.sender import Sender
from services.push.service import AccountLifecycle, Devices, Notices, Operating
from services.push.sql.queue import PostgresQueue
from services.push.sql.threads import PostgresThreads
from services.push.sql.tokens import PostgresTokens
from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc import account_data
from services.runtime.grpc.guard import admins
from services.runtime.grpc.server import RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity.accounts import Accounts, AccountsFeed
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.kafka.bus import by_topic
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.periodic import PeriodicTask
from services.runtime.postgres.database import Database
from services.runtime.postgres.store_clock import StoreClock
from services.runtime.watched import Watched

MIGRATIONS = Path(__file__).parent / "migrations"


def providers_of(path: str) -> Callable[[], Providers]:
    """What the file says now. Raises ConfigError when it is faulty at the start; later what it said before holds."""
    if not path:
        nobody = Providers()
        return lambda: nobody
    return Watched("push_providers", [path], lambda files: parse(files[0])).get


def provider_senders(
    timeout_s: float, ca_file: str, providers: Callable[[], Providers], clock: Clock
) -> tuple[dict[Provider, ProviderSender], list[HttpClient]]:
    """The senders, and the parts by which they reach out: each provider has connections of its own."""
    names = ("apns", "fcm", "web-push", "network")
    apns_http, fcm_http, web_http, network_http = clients = [HttpClient(name, timeout_s, ca_file) for name in names]
    # One for both of Apple's: they share a provider token.
    apns = ApnsSender(lambda: providers().apns, apns_http, clock)
    return {
        Provider.APNS: apns,
        Provider.APNS_VOIP: apns,
        Provider.FCM: FcmSender(lambda: providers().fcm, fcm_http, clock),
        Provider.WEB_PUSH: WebPushSender(lambda: providers().web_push, web_http, clock),
        Provider.NETWORK: NetworkSender(lambda: providers().network, network_http, clock),
    }, clients


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started."""
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    service_tokens = ServiceTokens(ServiceKeys.of("push", config.server.identity), clock)
    providers = providers_of(config.providers_file)

    def served() -> Collection[Provider]:
        return providers().served

    threads, tokens, queue = PostgresThreads(database), PostgresTokens(database), PostgresQueue(database)
    facts = GrpcFacts(config.messaging_address, service_tokens, Peer.of(config.server.tls, "messaging"))
    senders, clients = provider_senders(config.timeout_s, config.ca_file, providers, clock)
    sender = Sender(
        *(queue, senders, served, clock, config.timeout_s, config.retry_s, config.parallel),
        new_claim=lambda: uuid4().hex,
        # Spreads attempts; not for secrets.
        chance=random.random,
    )
    notices = Notices(threads, facts, clock, sender.wake)
    lifecycle = AccountLifecycle(tokens, tokens)
    accounts = Accounts(clock, config.server.jwt_max_life_s)
    publisher = KafkaPublisher(config.kafka)
    operating = Operating(queue, sender.wake)
    apis = [
        *rpc.apis(Devices(tokens, served, clock), operating, providers, lambda: TokenId(str(uuid4()))),
        account_data.api_of(pages(tokens)),
    ]
    server = RpcServer(
        *(config.server, apis, rpc.ERRORS, service_tokens, UserTokens.of(config.server, clock, accounts)),
        admins=admins(admin_tokens(config.server.admin, clock), PostgresTrail(database)),
    )
    workers: list[Part] = [
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        PeriodicTask("push-purge", Purging(queue, config.keep_days * DAY_S).purge, INTERVAL_S),
    ]
    consumers = _consumers(config, notices, lifecycle, accounts, publisher)
    return App([database, publisher, facts, *clients, *workers, sender, *consumers], server)


def _consumers(
    config: Config, notices: Notices, lifecycle: AccountLifecycle, accounts: Accounts, publisher: KafkaPublisher
) -> list[KafkaConsumer]:
    """What one replica does for all; and what each must know of accounts."""
    news = NewsConsumer(notices)
    handlers = {
        DELIVERY_TOPIC: news.handle_deliveries,
        CALLS_TOPIC: news.handle_calls,
        PRESENCE_TOPIC: PresenceConsumer(notices).handle,
        ACCOUNTS_TOPIC: AccountsConsumer(lifecycle).handle,
    }
    known = Subscription((ACCOUNTS_TOPIC,), group=None)
    return [
        KafkaConsumer(config.kafka, Subscription(tuple(handlers), GROUP), by_topic(handlers), publisher),
        KafkaConsumer(config.kafka, known, AccountsFeed(accounts).handle, publisher),
    ]
