"""Where messaging's objects are built; tests build the same."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from parley.messaging.v1.relations_pb2 import Limits

from services.messaging import rpc
from services.messaging.accounts import rpc as accounts_rpc
from services.messaging.accounts.clients import GrpcSource
from services.messaging.accounts.core.jobs import AccountPolicy
from services.messaging.accounts.mapping import standing_of
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.accounts.service.runner import JobRunner
from services.messaging.accounts.service.signing_out import PRUNE_INTERVAL_S, SignOuts
from services.messaging.accounts.sql.store import (
    PostgresAccounts,
    PostgresJobs,
    PostgresSessions,
)
from services.messaging.attachments import rpc as attachments_rpc
from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.core.hash_lists import read_hashes
from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.ports import Hashes
from services.messaging.attachments.scanner import WebhookScanner
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.attachments.service.collecting import Collector
from services.messaging.attachments.service.scanning import ScanWorker
from services.messaging.attachments.sql.store import PostgresAttachments
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
from services.messaging.hooks.clients import GrpcHook, HttpHook
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Surface
from services.messaging.hooks.ports import Places
from services.messaging.hooks.service.asking import Asking
from services.messaging.hooks.service.judging import Judging
from services.messaging.hooks.service.reviewing import HeldPurging, KeepingPolicy, Reviews
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.kernel.checks import MAX_ENTITIES, MAX_TITLE_CHARS
from services.messaging.kernel.model import UserId
from services.messaging.messages.consumer import CallRecords
from services.messaging.messages.core.changes import ChangePolicy
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.messages import MessageLimits, Messages
from services.messaging.messages.service.rates import SendRates
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
from services.runtime.grpc.guard import Admit, admins, servers
from services.runtime.grpc.server import RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity import accounts as standings
from services.runtime.identity import auth
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.ids import new_id, new_secret
from services.runtime.kafka.consumer import KafkaConsumer, Subscription
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.lifecycle import App, Part, Probe, Worker
from services.runtime.periodic import PeriodicTask
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from services.runtime.postgres.store_clock import StoreClock
from services.runtime.watched import Watched

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"


def message_limits(config: Config) -> MessageLimits:
    """The limits of messages that are configured."""
    policy = ChangePolicy(edit_window=timedelta(seconds=config.edit_window_s), max_edits=config.max_edits)
    return MessageLimits(text_chars=config.text_limit, changes=policy)


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


def upload_policy(config: Config) -> UploadPolicy:
    """The limits of uploads that are configured."""
    return UploadPolicy(
        max_bytes=config.upload_bytes,
        types=frozenset(config.upload_types),
        per_message=config.attachments,
        waiting=config.uploads_waiting,
        put_ttl=timedelta(seconds=config.upload_ttl_s),
        unused_ttl=timedelta(seconds=config.upload_unused_s),
        get_ttl=timedelta(seconds=config.download_ttl_s),
    )


def account_policy(config: Config) -> AccountPolicy:
    """The times of exports and deletions that are configured."""
    start_delay_s = config.account_check_s + config.server.default_deadline_s
    return AccountPolicy(kept=timedelta(seconds=config.export_kept_s), start_delay=timedelta(seconds=start_delay_s))


def account_sources(config: Config, tokens: ServiceTokens) -> list[GrpcSource]:
    """The other services that hold something of people."""
    others = (
        ("signaling", config.signaling_address),
        ("presence", ",".join(config.presence_addresses)),
        ("push", config.push_address),
    )
    return [GrpcSource(name, address, tokens, Peer.of(config.server.tls, name)) for name, address in others if address]


def admit_accounts(admission: AccountAdmission) -> Admit:
    """Keeps deleted accounts out of all services but the one that tells how the deletion stands."""

    async def admit(service: str, user_id: auth.UserId) -> None:
        if service != accounts_rpc.ACCOUNT_SERVICE:
            await admission.require_not_deleted(UserId(user_id))

    return admit


def file_hashes(config: Config) -> Hashes | None:
    """The list of hashes that is configured. Raises ConfigError for one that cannot be read."""
    path = config.scanner.hashes_file
    return Watched("hashes", [path], lambda read: read_hashes(read[0])).get if path else None


def scanning(
    config: Config, uploads: PostgresAttachments, objects: S3Objects, clock: Clock, hashes: Hashes | None
) -> tuple[WebhookScanner | None, ScanWorker | None]:
    """The scanner that is configured, and the work of asking it and of looking into the list of hashes. Without a
    scanner files are not scanned, which is said."""
    scanner = None
    if config.scanner.url:
        scanner = WebhookScanner(config.scanner.url, config.scanner.secrets, clock, config.scanner.timeout_s)
    else:
        log.info("files_are_not_scanned", because="PARLEY_SCANNER_URL is not set")
    if scanner is None and hashes is None:
        return None, None
    timeout = timedelta(seconds=config.scanner.timeout_s)
    return scanner, ScanWorker(uploads, objects, scanner, clock, timeout, hashes)


def message_hook(config: Config, clock: Clock, tokens: ServiceTokens) -> GrpcHook | HttpHook | None:
    """The hook that is configured. Without one nobody judges what people write, which is said."""
    hook = config.hook
    scheme, _, address = hook.url.partition("://")
    if not hook.url:
        log.info("messages_are_not_judged", because="PARLEY_HOOK_URL is not set")
        return None
    if scheme in ("grpc", "grpcs"):
        return GrpcHook(address, tokens, secure=scheme == "grpcs")
    return HttpHook(hook.url, hook.secrets, clock)


def judging_by(hook: GrpcHook | HttpHook, config: Config, held: PostgresHeld, places: Places, clock: Clock) -> Judging:
    """What asks the hook."""
    found = config.hook
    asking = Asking(hook, clock, found.timeout_ms / 1000, found.at_once, config.text_limit)
    surfaces = {Surface.REQUEST: found.requests, Surface.DIRECT: found.direct, Surface.GROUP: found.groups}
    policy = HookPolicy({surface: WithoutAnswer(value) for surface, value in surfaces.items()}, found.servers)
    return Judging(asking, held, places, policy, clock, new_id)


def build(config: Config, own_clock: Clock | None = None) -> App:
    """The service, not started. `own_clock` is the host's; nothing but a guess until the database's time is known."""
    database = Database(config.database, MIGRATIONS)
    clock = StoreClock(database, own_clock or SystemClock())
    publisher = KafkaPublisher(config.kafka)
    service_tokens = ServiceTokens(ServiceKeys.of("messaging", config.server.identity), clock)
    presence = Peer.of(config.server.tls, "presence")
    direct = DirectDelivery(config.presence_addresses, lambda address: connect(address, service_tokens, presence))
    relay = OutboxRelay(database, publisher, direct_deliveries, lambda record: direct.offer(deliveries_at_once(record)))
    conversation_store = PostgresConversations(database, relay)
    request_store = PostgresRequests(database, relay.wake)
    message_store = PostgresMessages(database, relay, new_id, config.request_messages)
    group_store = PostgresGroups(database, relay, new_id)
    search_store = PostgresSearch(database)
    sends = GroupCommit(message_store, config.send_queue)
    receipts = Receipts(PostgresReceipts(database, relay, new_id), clock, config.receipt_members)
    vanishing = Vanishing(group_store, clock, new_id)
    sweeper = Sweeper(PostgresSweepStore(database, relay, new_id), clock, sweep_policy(config))
    relation_store = PostgresRelations(database, relay.wake)
    relation_limits = RelationLimits(blocks=config.max_blocks, reports_per_day=config.reports_per_day)
    relations = Relations(conversation_store, relation_store, request_store, clock, relation_limits)
    reports = Reports(*(conversation_store, message_store, PostgresReports(database)), clock, new_id, relation_limits)
    objects = S3Objects(config.objects, clock)
    uploads = PostgresAttachments(database)
    hashes = file_hashes(config)
    scanner, scans = scanning(config, uploads, objects, clock, hashes)
    outward: list[Part] = [database, publisher, direct, relay, objects]
    if scanner:
        outward.append(scanner)
    if scans:
        outward.append(Worker("scans", scans.run))
    attachments = Attachments(
        *(uploads, conversation_store, message_store, objects, clock, new_id, upload_policy(config)),
        wake_scans=scans.wake if scans else None,
        hashes=hashes,
    )
    collector = Collector(uploads, objects, clock)
    jobs = PostgresJobs(database, relay.wake)
    admission = AccountAdmission(jobs, clock, config.account_check_s)
    policy = account_policy(config)
    sources = account_sources(config, service_tokens)
    data = PostgresAccounts(database, relay, new_id)
    runner = JobRunner(jobs, data, group_store, objects, clock, new_id, policy, sources)
    accounts = Accounts(jobs, admission, objects, clock, new_id, policy, runner.wake)
    # Deleted accounts are kept out by `admission`, which lets them ask how their deletion stands.
    revoked = standings.Accounts(clock, config.server.jwt_max_life_s, refuses_deleted=False)
    sign_outs = SignOuts(
        PostgresSessions(database, relay.wake),
        admission,
        lambda user_id, found: revoked.note(user_id, standing_of(found)),
        clock,
        timedelta(seconds=config.server.jwt_max_life_s),
    )
    rates = SendRates(config.send_rate_per_s, config.send_burst, may_write=admission.require_may_write)
    conversations = Conversations(conversation_store, clock, new_id, conversation_limits(config))
    keeping = KeepingPolicy(waiting=timedelta(days=config.hook.held_days))
    held = PostgresHeld(database, keeping.waiting)
    hook = message_hook(config, clock, service_tokens)
    judging = judging_by(hook, config, held, message_store.places, clock) if hook else None
    if hook:
        outward.append(hook)
    messages = Messages(
        *(message_store, conversation_store, sends, rates, clock, new_id, message_limits(config), attachments, judging)
    )
    sync = Sync(PostgresSync(database), clock)
    search = Search(search_store, conversation_store, clock)
    groups = Groups(
        *(group_store, conversation_store, PostgresInvites(database), relation_store, request_store),
        *(rates, clock, new_id, new_secret, group_limits(config)),
        judging=judging,
    )
    pins = Pins(PostgresPins(database, relay, new_id), rates, clock, new_id)
    forwarding = Forwarding(messages, conversation_store, message_store, attachments, clock)
    drafts = Drafts(PostgresDrafts(database, relay), clock, config.text_limit)
    scheduled = PostgresScheduled(database, relay)
    sender = ScheduledSender(
        *(scheduled, messages, admission.require_not_deleted),
        *(partial(scheduling_rpc.refusal_in, rpc.ERRORS), clock, new_id),
    )
    scheduling = Scheduling(
        *(scheduled, messages, conversation_store, Withdrawals(held, clock), clock, new_id, sender.wake)
    )
    fan_out = KafkaConsumer(
        config.kafka,
        Subscription((topics.EVENTS,), "messaging-fanout"),
        FanOut(conversation_store, publisher, config.request_messages, direct.offer).handle,
        publisher,
    )
    sent = Subscription((topics.EVENTS,), "messaging-search", background=True)
    search_index = KafkaConsumer(config.kafka, sent, SearchIndex(search_store).handle, publisher)
    ended_calls = Subscription((topics.CALLS,), "messaging-calls", background=True)
    call_records = KafkaConsumer(config.kafka, ended_calls, CallRecords(messages).handle, publisher)
    follows = Subscription((topics.GRAPH,), "messaging-graph", background=True)
    graph_copy = KafkaConsumer(config.kafka, follows, GraphCopy(relations).handle, publisher)
    account_states = Subscription((topics.ACCOUNTS,), group=None)
    account_feed = KafkaConsumer(config.kafka, account_states, standings.AccountsFeed(revoked).handle, publisher)
    back_office = BackOffice(
        *(conversations, messages, groups, conversation_store, message_store),
        *(PostgresModeration(database), admission, Reviews(held, messages, clock), clock),
    )
    trail = PostgresTrail(database)
    server = RpcServer(
        config.server,
        [
            rpc.api(
                rpc.MessagingServicer(
                    *(conversations, messages, sync, search, groups, receipts, vanishing, pins, forwarding),
                    *(Withdrawals(held, clock), drafts),
                )
            ),
            *relations_rpc.apis(relations, reports, client_limits(config)),
            *attachments_rpc.apis(attachments),
            *scheduling_rpc.apis(scheduling),
            *accounts_rpc.apis(accounts, sign_outs),
            notices_rpc.api_of(PostgresFacts(database)),
            back_office_rpc.api_of(back_office),
        ],
        rpc.ERRORS,
        service_tokens,
        UserTokens.of(config.server, clock, revoked),
        admit=admit_accounts(admission),
        admins=admins(admin_tokens(config.server.admin, clock), trail),
        servers=servers(config.server.server_keys_file, clock, trail),
    )
    return App(
        [
            *outward,
            *sources,
            *(
                Probe("time", clock.is_known, essential=False),
                Worker("store-clock", clock.run),
                Worker("group-commit", sends.run, needed=True),
                Worker("sweeper", sweeper.run),
                Worker("search-reindexer", Reindexer(search_store).run),
                Worker("objects-collector", collector.run),
                Worker("account-jobs", runner.run),
                PeriodicTask("revocations", sign_outs.prune, PRUNE_INTERVAL_S),
                # What was held stays so when the hook is taken away.
                Worker("held-messages", HeldPurging(held, clock, keeping).run),
                Worker("scheduled-messages", sender.run),
                PeriodicTask("drafts", drafts.sweep, SWEEP_INTERVAL_S),
            ),
            *(fan_out, call_records, search_index, graph_copy, account_feed),
        ],
        server,
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
    )
