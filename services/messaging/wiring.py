"""Where messaging's objects are built; tests build the same. Features of many objects build theirs themselves."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from parley.messaging.v1.relations_pb2 import Limits

from services.messaging import rpc
from services.messaging.accounts import rpc as accounts_rpc
from services.messaging.accounts.service.signing_out import PRUNE_INTERVAL_S
from services.messaging.accounts.wiring import AccountsFeature, admit_accounts, build_accounts
from services.messaging.attachments import rpc as attachments_rpc
from services.messaging.attachments.service.openings import Openings
from services.messaging.attachments.wiring import AttachmentsFeature, build_attachments
from services.messaging.back_office import rpc as back_office_rpc
from services.messaging.back_office.service import BackOffice
from services.messaging.back_office.sql import PostgresModeration
from services.messaging.config import Config
from services.messaging.conversations.consumer import FanOut
from services.messaging.conversations.service import ConversationLimits, Conversations
from services.messaging.conversations.sql.store import PostgresConversations, PostgresRequests
from services.messaging.drafts.service import SWEEP_INTERVAL_S, Drafts
from services.messaging.drafts.sql import PostgresDrafts
from services.messaging.forwarding.service import Forwarding
from services.messaging.groups.service import GroupLimits, Groups
from services.messaging.groups.sql.invites import PostgresInvites
from services.messaging.groups.sql.store import PostgresGroups
from services.messaging.hooks.service.reviewing import Reviews
from services.messaging.hooks.wiring import HooksFeature, build_hooks
from services.messaging.kernel.checks import MAX_ENTITIES, MAX_TITLE_CHARS
from services.messaging.kernel.content import MAX_DESCRIPTION_CHARS
from services.messaging.messages.consumer import CallRecords
from services.messaging.messages.core.changes import ChangePolicy
from services.messaging.messages.service.changing import Changing
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.history import History
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits
from services.messaging.messages.service.sending import Sending
from services.messaging.messages.sql.openings import PostgresOpenings
from services.messaging.messages.sql.store import PostgresMessages
from services.messaging.notices import rpc as notices_rpc
from services.messaging.notices.sql import PostgresFacts
from services.messaging.pins.service import Pins
from services.messaging.pins.sql import PostgresPins
from services.messaging.receipts.service import Receipts
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations import rpc as relations_rpc
from services.messaging.relations.consumer import GraphCopy
from services.messaging.relations.core.reports import MAX_COMMENT_CHARS, MAX_MESSAGES
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.relations.sql.store import PostgresRelations, PostgresReports
from services.messaging.scheduling import rpc as scheduling_rpc
from services.messaging.scheduling.service.scheduling import Scheduling
from services.messaging.scheduling.service.sending import ScheduledSender
from services.messaging.scheduling.sql import PostgresScheduled
from services.messaging.search.consumer import SearchIndex
from services.messaging.search.core import MAX_QUERY_CHARS
from services.messaging.search.service import Reindexer, Search
from services.messaging.search.sql import PostgresSearch
from services.messaging.sync.service import Sync
from services.messaging.sync.sql.store import PostgresSync
from services.messaging.vanishing.service import Sweeper, SweepPolicy, Vanishing
from services.messaging.vanishing.sql import PostgresSweepStore
from services.messaging.wire import topics
from services.messaging.wire.deliveries import deliveries_at_once, direct_deliveries
from services.runtime.clock import Clock, SystemClock
from services.runtime.delivery.direct import DirectDelivery
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import admins, servers
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity.accounts import AccountsFeed
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.ids import new_id, new_secret
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.periodic import PeriodicTask
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from services.runtime.postgres.store_clock import StoreClock

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Base:
    """What all features stand on, not started."""

    config: Config
    database: Database
    clock: StoreClock
    publisher: KafkaPublisher
    tokens: ServiceTokens
    direct: DirectDelivery
    relay: OutboxRelay


@dataclass(frozen=True)
class Stores:
    """The stores that several features use."""

    conversations: PostgresConversations
    requests: PostgresRequests
    messages: PostgresMessages
    groups: PostgresGroups
    relations: PostgresRelations
    search: PostgresSearch


def message_limits(config: Config) -> MessageLimits:
    """The limits of messages that are configured."""
    policy = ChangePolicy(edit_window=timedelta(seconds=config.edit_window_s), max_edits=config.max_edits)
    return MessageLimits(config.text_limit, policy, frozenset(config.sticker_hosts))


def conversation_limits(config: Config) -> ConversationLimits:
    """The limits of conversations that are configured."""
    return ConversationLimits(
        new_conversations_per_day=config.new_conversations_per_day, requests_per_day=config.requests_per_day
    )


def group_limits(config: Config) -> GroupLimits:
    """The limits of groups that are configured."""
    return GroupLimits(
        members=config.group_members,
        new_conversations_per_day=config.new_conversations_per_day,
        requests_per_day=config.requests_per_day,
    )


def sweep_policy(config: Config) -> SweepPolicy:
    """How the sweeper is configured."""
    retention = timedelta(days=config.retention_days) if config.retention_days else None
    return SweepPolicy(retention, interval_s=config.sweep_interval_s)


@dataclass(frozen=True)
class Talk:
    """How people talk: in conversations and groups, by messages that are sent, changed and read."""

    conversations: Conversations
    groups: Groups
    rates: SendRates
    sends: GroupCommit
    sending: Sending
    changing: Changing
    history: History


@dataclass(frozen=True)
class Features:
    """Those that messages are built on."""

    files: AttachmentsFeature
    people: AccountsFeature
    hooks: HooksFeature


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started. `own_clock` is the host's; nothing but a guess until the database's time is known."""
    base = _base(config, own_clock)
    stores = _stores(base)
    features = _features(base, stores)
    files, people, hooks = features.files, features.people, features.hooks
    talk = _talk(base, stores, features)
    relations, reports = _relations(base, stores)
    drafts = Drafts(PostgresDrafts(base.database, base.relay), base.clock, config.text_limit)
    scheduling, sender = _scheduling(base, stores, talk.sending, people, hooks)
    apis = [
        rpc.api(_servicer(base, stores, features, talk, drafts)),
        *relations_rpc.apis(relations, reports, client_limits(config)),
        *attachments_rpc.apis(files.attachments, _openings(base, stores, files)),
        *scheduling_rpc.apis(scheduling),
        *accounts_rpc.apis(people.accounts, people.sign_outs),
        notices_rpc.api_of(PostgresFacts(base.database)),
        back_office_rpc.api_of(_back_office(base, stores, features, talk)),
    ]
    background = [
        *_background(base, stores, features, talk),
        Worker("scheduled-messages", sender.run),
        PeriodicTask("drafts", drafts.sweep, SWEEP_INTERVAL_S),
    ]
    consumers = _consumers(base, stores, talk.sending, relations, people)
    return App([*_outward(base, files, hooks), *people.sources, *background, *consumers], _server(base, apis, people))


def _base(config: Config, own_clock: Clock | None) -> Base:
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    publisher = KafkaPublisher(config.kafka)
    tokens = ServiceTokens(ServiceKeys.of("messaging", config.server.identity), clock)
    presence = Peer.of(config.server.tls, "presence")
    direct = DirectDelivery(config.presence_addresses, lambda address: connect(address, tokens, presence))
    relay = OutboxRelay(database, publisher, direct_deliveries, lambda record: direct.offer(deliveries_at_once(record)))
    return Base(config, database, clock, publisher, tokens, direct, relay)


def _stores(base: Base) -> Stores:
    database, relay = base.database, base.relay
    return Stores(
        PostgresConversations(database, relay),
        PostgresRequests(database, relay.wake),
        PostgresMessages(database, relay, new_id, base.config.request_messages),
        PostgresGroups(database, relay, new_id),
        PostgresRelations(database, relay.wake),
        PostgresSearch(database),
    )


def _features(base: Base, stores: Stores) -> Features:
    config, database, clock = base.config, base.database, base.clock
    files = build_attachments(config, database, clock, stores.conversations, stores.messages)
    people = build_accounts(config, database, base.relay, clock, base.tokens, stores.groups, files.objects)
    return Features(files, people, build_hooks(config, database, clock, base.tokens, stores.messages.places))


def _talk(base: Base, stores: Stores, features: Features) -> Talk:
    config, clock, judging = base.config, base.clock, features.hooks.judging
    limits, may_write = message_limits(config), features.people.admission.require_may_write
    rates = SendRates(config.send_rate_per_s, config.send_burst, may_write=may_write)
    sends = GroupCommit(stores.messages, config.send_queue)
    groups = Groups(
        *(stores.groups, stores.conversations, PostgresInvites(base.database), stores.relations, stores.requests),
        *(rates, clock, new_id, new_secret, group_limits(config)),
        judging=judging,
    )
    sending = Sending(
        *(stores.messages, stores.conversations, sends, rates, clock, new_id, limits),
        *(features.files.attachments, judging),
    )
    return Talk(
        Conversations(stores.conversations, clock, new_id, conversation_limits(config)),
        *(groups, rates, sends, sending),
        changing=Changing(stores.messages, stores.conversations, rates, clock, limits, judging),
        history=History(stores.messages, stores.conversations, clock),
    )


def _openings(base: Base, stores: Stores, files: AttachmentsFeature) -> Openings:
    kept = PostgresOpenings(base.database, base.relay, new_id)
    return Openings(kept, stores.conversations, stores.messages, files.attachments, base.clock)


def _servicer(base: Base, stores: Stores, features: Features, talk: Talk, drafts: Drafts) -> rpc.MessagingServicer:
    database, relay, clock = base.database, base.relay, base.clock
    return rpc.MessagingServicer(
        talk.conversations,
        talk.sending,
        talk.changing,
        talk.history,
        Sync(PostgresSync(database), clock),
        Search(stores.search, stores.conversations, clock),
        talk.groups,
        Receipts(PostgresReceipts(database, relay, new_id), clock, base.config.receipt_members),
        Vanishing(stores.groups, clock, new_id),
        Pins(PostgresPins(database, relay, new_id), talk.rates, clock, new_id),
        Forwarding(talk.sending, stores.conversations, stores.messages, features.files.attachments, clock),
        features.hooks.withdrawals,
        drafts,
    )


def _back_office(base: Base, stores: Stores, features: Features, talk: Talk) -> BackOffice:
    reviews = Reviews(features.hooks.held, talk.sending, talk.changing, base.clock)
    return BackOffice(
        *(talk.conversations, talk.sending, talk.history, talk.groups, stores.conversations, stores.messages),
        *(PostgresModeration(base.database), features.people.admission, reviews, base.clock),
    )


def _background(base: Base, stores: Stores, features: Features, talk: Talk) -> list[Part]:
    clock, people = base.clock, features.people
    sweeper = Sweeper(PostgresSweepStore(base.database, base.relay, new_id), clock, sweep_policy(base.config))
    return [
        Probe("time", clock.is_known, essential=False),
        Worker("store-clock", clock.run),
        Worker("group-commit", talk.sends.run, needed=True),
        Worker("sweeper", sweeper.run),
        Worker("search-reindexer", Reindexer(stores.search).run),
        Worker("objects-collector", features.files.collector.run),
        Worker("account-jobs", people.runner.run),
        PeriodicTask("revocations", people.sign_outs.prune, PRUNE_INTERVAL_S),
        Worker("held-messages", features.hooks.purging.run),
    ]


def _relations(base: Base, stores: Stores) -> tuple[Relations, Reports]:
    limits = RelationLimits(blocks=base.config.max_blocks, reports_per_day=base.config.reports_per_day)
    relations = Relations(stores.conversations, stores.relations, stores.requests, base.clock, limits)
    kept = PostgresReports(base.database)
    return relations, Reports(stores.conversations, stores.messages, kept, base.clock, new_id, limits)


def _scheduling(
    base: Base, stores: Stores, sending: Sending, people: AccountsFeature, hooks: HooksFeature
) -> tuple[Scheduling, ScheduledSender]:
    scheduled = PostgresScheduled(base.database, base.relay)
    refusal_of = partial(scheduling_rpc.refusal_in, rpc.ERRORS)
    sender = ScheduledSender(scheduled, sending, people.admission.require_not_deleted, refusal_of, base.clock, new_id)
    scheduling = Scheduling(
        *(scheduled, sending, stores.conversations, hooks.withdrawals, base.clock, new_id, sender.wake)
    )
    return scheduling, sender


def _outward(base: Base, files: AttachmentsFeature, hooks: HooksFeature) -> list[Part]:
    """What asks others, in the order of its start."""
    hook = [hooks.hook] if hooks.hook else []
    return [base.database, base.publisher, base.direct, base.relay, *files.outward, *hook]


def _consumers(
    base: Base, stores: Stores, sending: Sending, relations: Relations, people: AccountsFeature
) -> list[KafkaConsumer]:
    fan_out = FanOut(stores.conversations, base.publisher, base.config.request_messages, base.direct.offer)
    in_background = partial(Subscription, background=True)
    handlers = [
        (Subscription((topics.EVENTS,), "messaging-fanout"), fan_out.handle),
        (in_background((topics.CALLS,), "messaging-calls"), CallRecords(sending).handle),
        (in_background((topics.EVENTS,), "messaging-search"), SearchIndex(stores.search).handle),
        (in_background((topics.GRAPH,), "messaging-graph"), GraphCopy(relations).handle),
        (Subscription((topics.ACCOUNTS,), group=None), AccountsFeed(people.revoked).handle),
    ]
    return [KafkaConsumer(base.config.kafka, topic, handle, base.publisher) for topic, handle in handlers]


def _server(base: Base, apis: list[Api], people: AccountsFeature) -> RpcServer:
    server, clock, trail = base.config.server, base.clock, PostgresTrail(base.database)
    return RpcServer(
        server,
        apis,
        rpc.ERRORS,
        base.tokens,
        UserTokens.of(server, clock, people.revoked),
        admit=admit_accounts(people.admission),
        admins=admins(admin_tokens(server.admin, clock), trail),
        servers=servers(server.server_keys_file, clock, trail),
    )


def client_limits(config: Config) -> Limits:
    """What the service takes, as it tells clients, so that they need no copy: what is configured, and what is fixed."""
    return Limits(
        text_chars=config.text_limit,
        text_entities=MAX_ENTITIES,
        attachments=config.attachments,
        upload_bytes=config.upload_bytes,
        group_members=config.group_members,
        title_chars=MAX_TITLE_CHARS,
        query_chars=MAX_QUERY_CHARS,
        report_messages=MAX_MESSAGES,
        report_comment_chars=MAX_COMMENT_CHARS,
        sticker_hosts=config.sticker_hosts,
        sticker_description_chars=MAX_DESCRIPTION_CHARS,
    )
