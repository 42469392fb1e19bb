"""Any bytes in any field of any RPC give an answer or a documented error, never a bug, on the real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parley.messaging.v1 import accounts_pb2, attachments_pb2, relations_pb2, scheduled_pb2, server_pb2, service_pb2

from services.messaging.accounts.core.jobs import AccountPolicy
from services.messaging.accounts.rpc import AccountAdminServicer, AccountServicer
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.accounts.service.signing_out import SignOuts
from services.messaging.accounts.sql.store import PostgresJobs, PostgresRevocations
from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.rpc import AttachmentsServicer
from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.attachments.service.openings import Openings
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.back_office.rpc import ServerMessagingServicer
from services.messaging.back_office.service import BackOffice
from services.messaging.back_office.sql import PostgresModeration
from services.messaging.conversations.service import ConversationLimits
from services.messaging.drafts.service import Drafts
from services.messaging.drafts.sql import PostgresDrafts
from services.messaging.forwarding.service import Forwarding
from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.groups.sql.invites import PostgresInvites
from services.messaging.hooks.core.holding import Held, HeldId
from services.messaging.hooks.service.reviewing import Reviews
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import ConversationId, DraftKey, UserId
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.messages.sql.openings import PostgresOpenings
from services.messaging.pins.service import Pins
from services.messaging.pins.sql import PostgresPins
from services.messaging.receipts.service import Receipts
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations.core.reports import Reason, ReportRequest
from services.messaging.relations.rpc import MembershipServicer, ModerationServicer, RelationsServicer
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.relations.sql.store import PostgresReports
from services.messaging.rpc import ERRORS, MessagingServicer
from services.messaging.scheduling.rpc import ScheduledMessagesServicer
from services.messaging.scheduling.service.scheduling import Scheduling
from services.messaging.scheduling.sql import PostgresScheduled
from services.messaging.vanishing.service import Vanishing
from services.messaging.wiring import MIGRATIONS
from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig
from services.runtime.errors import BASE_TABLE, find_refusal
from services.runtime.identity import scopes
from services.runtime.identity.admin import set_current_admin
from services.runtime.identity.auth import UserId as CallerId
from services.runtime.identity.auth import UserToken, set_current_token
from services.runtime.identity.server_keys import Server, set_current_server
from services.runtime.ids import new_id, new_secret
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.attachments import MemoryObjects
from tests.support.bus import MemoryPublisher
from tests.support.examples import examples
from tests.support.messaging_cases import Cases
from tests.support.messaging_postgres import PostgresRelations, PostgresStore
from tests.support.requests import any_request

TABLE = {**BASE_TABLE, **ERRORS}
ALICE = UserId("alice")
SERVICES = {
    name: service
    for file in (service_pb2, relations_pb2, attachments_pb2, scheduled_pb2, accounts_pb2, server_pb2)
    for name, service in file.DESCRIPTOR.services_by_name.items()
}
RPCS = [(name, method.name) for name, service in SERVICES.items() for method in service.methods]


class Town:
    """Messaging on a real database. `known` is what a request may speak of, by the name of its field."""

    def __init__(self, url: str) -> None:
        self.database = Database(DatabaseConfig(url, pool_size=3), MIGRATIONS)
        self.known: dict[str, list[str]] = {}
        clock = SystemClock()
        relay = OutboxRelay(self.database, MemoryPublisher())
        store, kept = PostgresStore(self.database, relay, new_id), PostgresRelations(self.database, relay.wake)
        self.store = store
        self.sends = sends = GroupCommit(store, 100)
        # High quotas: what comes after them is to be met too.
        limits = RelationLimits(blocks=1_000_000, reports_per_day=1_000_000)
        rates, many = SendRates(per_s=1e6), 1_000_000
        objects, uploads, jobs = MemoryObjects(), PostgresAttachments(self.database), PostgresJobs(self.database)
        self.objects, self.attachments = (
            objects,
            Attachments(*(uploads, store, store, objects, clock, new_id, UploadPolicy())),
        )
        admission = AccountAdmission(jobs, clock, 5)
        self.accounts = Accounts(jobs, admission, objects, clock, new_id, AccountPolicy())
        revocations = PostgresRevocations(self.database, relay.wake)
        sign_outs = SignOuts(revocations, admission, lambda *_: None, clock, timedelta(days=1))
        cases = Cases(
            *(
                store,
                sends,
                rates,
                clock,
                new_id,
                MessageLimits(sticker_hosts=frozenset({"stickers.example"})),
                self.attachments,
            ),
            ConversationLimits(new_conversations_per_day=many),
        )
        self.conversations, self.sending, self.changing = cases.conversations, cases.sending, cases.changing
        self.groups = groups = Groups(
            *(store, store, PostgresInvites(self.database), kept, kept, rates, clock, new_id, new_secret),
            GroupLimits(new_conversations_per_day=many),
        )
        relations = Relations(store, kept, kept, clock, limits)
        self.reports = reports = Reports(store, store, PostgresReports(self.database), clock, new_id, limits)
        receipts = Receipts(PostgresReceipts(self.database, relay, new_id), clock)
        vanishing = Vanishing(store, clock, new_id)
        pins = Pins(PostgresPins(self.database, relay, new_id), rates, clock, new_id)
        withdrawals = Withdrawals(PostgresHeld(self.database, timedelta(days=1)), clock)
        scheduled = PostgresScheduled(self.database, relay)
        self.scheduling = Scheduling(scheduled, cases.sending, store, withdrawals, clock, new_id)
        self.servicers = {
            "MessagingService": MessagingServicer(
                *(cases.conversations, cases.sending, cases.changing, cases.history),
                *(cases.sync, cases.search, groups, receipts, vanishing, pins),
                Forwarding(cases.sending, store, store, self.attachments, clock),
                *(withdrawals, Drafts(PostgresDrafts(self.database, relay), clock)),
            ),
            "MembershipService": MembershipServicer(relations),
            "RelationsService": RelationsServicer(relations, reports, relations_pb2.Limits()),
            "ModerationService": ModerationServicer(reports),
            "AttachmentsService": AttachmentsServicer(
                self.attachments,
                Openings(PostgresOpenings(self.database, relay, new_id), store, store, self.attachments, clock),
            ),
            "ScheduledMessagesService": ScheduledMessagesServicer(self.scheduling),
            "AccountService": AccountServicer(self.accounts, sign_outs),
            "AccountAdminService": AccountAdminServicer(self.accounts, sign_outs),
            "ServerMessagingService": ServerMessagingServicer(
                BackOffice(
                    *(cases.conversations, cases.sending, cases.history, groups, store, store),
                    *(PostgresModeration(self.database), admission),
                    *(
                        Reviews(PostgresHeld(self.database, timedelta(days=1)), cases.sending, cases.changing, clock),
                        clock,
                    ),
                )
            ),
        }

    async def open(self) -> None:
        """Alice and Bob have a group and a direct conversation, and something of each kind."""
        await self.database.start()
        await self.database.wait_connected()
        self._committer = asyncio.create_task(self.sends.run())
        conversation = str((await self.groups.create_group(ALICE, GroupRequest("k", "Trip", ["bob"], "", False))).id)
        direct = str((await self.conversations.open_direct(ALICE, "bob")).id)
        report_id = str((await self.reports.report(ALICE, ReportRequest("k", conversation, [], Reason.SPAM, ""))).id)
        token, _ = await self.groups.create_invite(ALICE, conversation)
        png = UploadRequest("u1", "a.png", "image/png", 80)
        sent, waiting = [await self._uploaded(replace(png, client_upload_id=key)) for key in "12"]
        picture = TextRequest("picture", Text(""), attachment_ids=[sent])
        await self.sending.send(ALICE, conversation, picture)
        job = await self.accounts.start_export(ALICE)
        held = Held(
            *(HeldId(new_id(SystemClock().now())), DraftKey(ConversationId(UUID(conversation)), ALICE, "held")),
            *(Text("buy this"), SystemClock().now()),
        )
        await PostgresHeld(self.database, timedelta(days=1)).hold(held, 10)
        later = TextRequest("later", Text("not yet"))
        await self.scheduling.schedule(ALICE, conversation, later, SystemClock().now() + timedelta(days=1))
        self.known = {
            "attachment_id": [sent, waiting],
            "attachment_ids": [sent, waiting],
            "client_upload_id": ["1", "2", "3"],
            "file_name": ["a.png", "é"],
            "content_type": ["image/png", "text/plain"],
            "job_id": [str(job.id)],
            "held_id": [str(held.id)],
            "device_ids": ["phone-0001", "tablet-0001"],
            "confirm_user_id": ["mallory"],
            "conversation_id": [conversation, direct],
            "user_id": ["alice", "bob"],
            "as_user_id": ["alice", "bob"],
            "reason": ["spam"],
            "of_user_id": ["alice", "bob", ""],
            "caller_id": ["alice", "bob"],
            "client_report_id": ["k", "k2", "k3"],
            "report_id": [report_id],
            "resolved_by": ["moderator-1"],
            "comment": ["", "look at this"],
            "user_ids": ["bob", "carol"],
            "peer_user_id": ["bob", "carol"],
            "mention_user_id": ["bob"],
            "client_conversation_id": ["k", "k2"],
            "client_message_id": ["k", "k2", "held", "later"],
            "avatar_ref": ["a/b.png"],
            "token": [token],
            "client_request_id": ["k", ""],
            "text": ["hello", "see https://stickers.example/a.gif"],
            "url": ["https://stickers.example/a.gif"],
            "query": ["hello", "الس", "' & | ! :*"],
        }

    async def close(self) -> None:
        self._committer.cancel()
        await asyncio.gather(self._committer, return_exceptions=True)
        await self.database.stop()

    async def _uploaded(self, request: UploadRequest) -> str:
        upload, _ = await self.attachments.create_upload(ALICE, request)
        self.objects.receive(upload)
        return str(upload.attachment.id)

    async def ask(self, service: str, method: str, user: str, request: object) -> object:
        """What an RPC answers to a user, to a person of this name, or to a server that may act as this user. Raises
        what refuses it."""
        set_current_token(UserToken(CallerId(user), 2e9))
        set_current_admin(UserToken(CallerId(user), 2e9))
        set_current_server(Server("bot", scopes.ALL, frozenset({user})))
        return await getattr(self.servicers[service], method)(request, None)

    async def call(self, service: str, method: str, user: str, request: object) -> Exception | None:
        """The error of an RPC, if it had one."""
        try:
            await self.ask(service, method, user, request)
        except Exception as error:
            return error
        return None


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    town = Town(migrated_url)
    await town.open()
    yield town
    await town.close()


@pytest.mark.parametrize(("service", "method"), RPCS)
@given(data=st.data())
@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_request_is_answered_or_refused(town: Town, service: str, method: str, data: Any) -> None:
    kind = GetMessageClass(SERVICES[service].methods_by_name[method].input_type)
    request = data.draw(any_request(kind, town.known))
    user = data.draw(st.sampled_from(["alice", "alice", "bob", "mallory"]))
    error = await town.call(service, method, user, request)
    assert error is None or find_refusal(TABLE, error) is not None, repr(error)
