"""What relations do for their callers: users, Parley's other services, and moderators."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.messaging.kernel import checks, paging
from services.messaging.kernel.access import find_visible
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    ConversationKind,
    Message,
    UserId,
    require_member,
)
from services.messaging.kernel.ports import ConversationReader, MessageReader
from services.messaging.kernel.quotas import day_quota
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core import reach, reports
from services.messaging.relations.core.errors import ReportNotFound
from services.messaging.relations.core.graph import Block, GraphEvent, check_other
from services.messaging.relations.core.reach import Settings, SettingsChange
from services.messaging.relations.core.reports import MAX_MESSAGES, Report, ReportRequest, State
from services.messaging.relations.ports import ContactReader, RelationStore, ReportStore, RequestStore
from services.runtime.clock import Clock
from services.runtime.ids import NewId

MAX_CANDIDATES = 1_000


@dataclass(frozen=True)
class RelationLimits:
    """What is configured. The service sets all of it from config.py; the defaults are for tests."""

    # People whom a user may block in Parley. Raising it keeps longer lists; lowering it leaves people without room who
    # are harassed by many.
    blocks: int = 10_000
    # Reports of a user a day. Raising it gives moderators more to read; lowering it refuses true reports.
    reports_per_day: int = 50


@dataclass(frozen=True)
class Callees:
    """Whom a call may ring, and all members."""

    user_ids: Sequence[UserId]
    member_ids: Sequence[UserId]
    group: bool
    # No call begins where nobody may write.
    frozen: bool = False


class Relations:
    """The use-cases of RelationsService and MembershipService. `user_id` of the former is the authenticated caller."""

    def __init__(
        self,
        conversations: ContactReader,
        relations: RelationStore,
        requests: RequestStore,
        clock: Clock,
        limits: RelationLimits,
    ) -> None:
        self._conversations = conversations
        self._relations = relations
        self._requests = requests
        self._clock = clock
        self._limits = limits

    async def get_settings(self, user_id: UserId) -> Settings:
        """As they stand."""
        return await self._relations.settings_of(user_id)

    async def update_settings(self, user_id: UserId, change: SettingsChange) -> Settings:
        """The settings afterwards. Idempotent. Errors: InvalidField."""
        return await self._relations.change_settings(user_id, reach.check_change(change), self._clock.now())

    async def block_user(self, user_id: UserId, other: str) -> None:
        """From the moment this returns, neither reaches the other. Idempotent. Errors: InvalidField, TooManyBlocks."""
        target = check_other("user_id", user_id, checks.check_user_id("user_id", other))
        await self._relations.block(user_id, target, self._limits.blocks, self._clock.now())

    async def unblock_user(self, user_id: UserId, other: str) -> None:
        """Take back what was blocked in Parley. Idempotent. Errors: InvalidField."""
        await self._relations.unblock(user_id, checks.check_user_id("user_id", other), self._clock.now())

    async def list_blocks(self, user_id: UserId, page_size: int, page_token: str) -> tuple[Sequence[Block], str]:
        """A page, the newest first, and the token of the next. Errors: InvalidField."""
        limit = checks.check_range("page_size", page_size, 100, 200)
        mark = paging.decode_user_mark(page_token)
        rows = await self._relations.list_blocks(user_id, Block(mark[1], mark[0]) if mark else None, limit + 1)
        page = rows[:limit]
        return page, paging.encode_user_mark(page[-1].time, page[-1].user_id) if len(rows) > limit else ""

    async def accept_request(self, user_id: UserId, conversation_id: str) -> None:
        """Let a conversation in. Idempotent. Errors: InvalidField, ConversationNotFound."""
        conversation = await self._readable(user_id, conversation_id)
        await self._requests.accept(conversation.id, user_id, self._clock.now())

    async def decline_request(self, user_id: UserId, conversation_id: str, *, block: bool) -> None:
        """Put away a conversation that waits, and block who invited if that is wished. Idempotent.

        Errors: InvalidField, ConversationNotFound, TooManyBlocks.
        """
        conversation = await self._readable(user_id, conversation_id)
        inviter = _inviter_of(conversation, user_id)
        if block and inviter:
            await self._relations.block(user_id, inviter, self._limits.blocks, self._clock.now())
        await self._requests.decline(conversation.id, user_id, self._clock.now())

    # For the network's consumer and the other services.

    async def apply_graph_events(self, events: Sequence[GraphEvent]) -> None:
        """Apply events of the network's graph. Idempotent, in any order.

        One from a host whose clock is ahead is of now: else it would outweigh all that is said before that time comes.
        """
        now = self._clock.now()
        await self._relations.apply_graph_events([replace(event, time=min(event.time, now)) for event in events])

    async def members_of(self, conversation_id: str, of_user_id: str) -> tuple[Conversation, Sequence[UserId]]:
        """The conversation, and all members; or, of one of them, those who may learn what that one does, and that one.

        Errors: InvalidField, ConversationNotFound.
        """
        conversation = await self._find(conversation_id)
        if not of_user_id:
            return conversation, [member.user_id for member in conversation.members]
        doer = checks.check_user_id("of_user_id", of_user_id)
        others = _let_in(require_member(conversation, doer), doer)
        blocked = await self._relations.blocked_among(doer, others) if others else ()
        return conversation, sorted({doer, *others} - set(blocked))

    async def filter_contacts(self, user_id: str, candidates: Sequence[str]) -> Collection[UserId]:
        """Those whose presence the user may see. Errors: InvalidField."""
        user = checks.check_user_id("user_id", user_id)
        asked = checks.check_users("user_ids", candidates, MAX_CANDIDATES)
        contacts = await self._conversations.contacts_among(user, asked)
        if not contacts:
            return []
        relationships = await self._relations.relationships(
            [pair for other in contacts for pair in ((user, other), (other, user))]
        )
        return [
            other for other in contacts if reach.see_each_other(relationships[user, other], relationships[other, user])
        ]

    async def filter_blocked(self, user_id: str, others: Sequence[str]) -> Collection[UserId]:
        """Those between whom and the user a block stands, whichever way. Errors: InvalidField."""
        user = checks.check_user_id("user_id", user_id)
        asked = checks.check_users("user_ids", others, MAX_CANDIDATES)
        return await self._relations.blocked_among(user, asked) if asked else ()

    async def callees_of(self, conversation_id: str, caller_id: str) -> Callees:
        """Whom a call may ring. Errors: InvalidField, ConversationNotFound, also when the caller is not in it."""
        caller = checks.check_user_id("caller_id", caller_id)
        conversation = require_member(await self._find(conversation_id), caller)
        others = [] if conversation.frozen else _let_in(conversation, caller)
        relationships = await self._relations.relationships([(other, caller) for other in others]) if others else {}
        callees = [other for other in others if reach.may_ring(relationships[other, caller])]
        is_group = conversation.kind is ConversationKind.GROUP
        return Callees(callees, [member.user_id for member in conversation.members], is_group, conversation.frozen)

    async def _find(self, conversation_id: str) -> Conversation:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        conversation = await self._conversations.find_conversation(target)
        if conversation is None or not conversation.members:
            raise ConversationNotFound
        return conversation

    async def _readable(self, user_id: UserId, conversation_id: str) -> Conversation:
        return require_member(await self._find(conversation_id), user_id)


class Reports:
    """The use-cases of reporting and of ModerationService."""

    def __init__(
        self,
        conversations: ConversationReader,
        messages: MessageReader,
        reports: ReportStore,
        clock: Clock,
        new_id: NewId,
        limits: RelationLimits,
    ) -> None:
        self._conversations = conversations
        self._messages = messages
        self._reports = reports
        self._clock = clock
        self._new_id = new_id
        self._limits = limits

    async def report(self, user_id: UserId, request: ReportRequest) -> Report:
        """Copy what the caller sees for the moderators. Idempotent by client_report_id.

        Errors: InvalidField, ConversationNotFound, MessageNotFound, ReportQuota.
        """
        client_id = checks.check_client_id("client_report_id", request.client_report_id)
        if filed := await self._reports.find_filed(user_id, client_id):
            # The reporter may be out by now, or what was reported gone.
            return filed
        reason, seqs = reports.check_request(request)
        target = ConversationId(checks.check_uuid("conversation_id", request.conversation_id))
        conversation = require_member(await self._conversations.find_conversation(target), user_id)
        messages = await self._reported(conversation, user_id, seqs)
        now = self._clock.now()
        report = Report(
            id=self._new_id(now),
            reporter_id=user_id,
            client_report_id=request.client_report_id,
            conversation_id=conversation.id,
            reason=reason,
            comment=request.comment,
            created_at=now,
            messages=tuple(reports.copy_of(message) for message in messages),
            reported_ids=reports.reported_by(user_id, messages) if seqs else _inviters(conversation, user_id),
        )
        return await self._reports.file(report, day_quota(user_id, self._limits.reports_per_day, now))

    async def list_reports(self, state: State, page_size: int, page_token: str) -> tuple[Sequence[Report], str]:
        """A page, the oldest first, and the token of the next. Errors: InvalidField."""
        limit = checks.check_range("page_size", page_size, 50, 100)
        after = checks.check_uuid("page_token", page_token) if page_token else None
        rows = await self._reports.list(state, after, limit + 1)
        page = rows[:limit]
        return page, str(page[-1].id) if len(rows) > limit else ""

    async def get_report(self, report_id: str) -> Report:
        """With its copies. Errors: InvalidField, ReportNotFound."""
        report = await self._reports.find(checks.check_uuid("report_id", report_id))
        if report is None:
            raise ReportNotFound
        return report

    async def resolve_report(self, report_id: str, state: State, resolver: str) -> Report:
        """Close it. Idempotent. Errors: InvalidField, ReportNotFound, ReportClosed."""
        target: UUID = checks.check_uuid("report_id", report_id)
        by = checks.check_client_id("resolved_by", resolver)
        now = self._clock.now()
        return await self._reports.change(target, lambda report: reports.resolve(report, state, by, now))

    async def _reported(self, conversation: Conversation, user_id: UserId, seqs: Sequence[int]) -> Sequence[Message]:
        found: list[Message]
        if not seqs:
            member = conversation.member(user_id)
            after = member.visible_after_seq if member else conversation.last_seq
            found = list(reversed(await self._messages.list_messages(conversation.id, after, None, MAX_MESSAGES)))
        else:
            named = [await self._messages.find_message(conversation.id, seq) for seq in seqs]
            found = [find_visible(conversation, user_id, message) for message in named]
        return [as_of(message, self._clock.now()) for message in found]


async def admissions(
    relations: RelationStore, actor: UserId, people: Sequence[UserId]
) -> Mapping[UserId, RequestState]:
    """How a group that the actor invites to stands with each of the people; who cannot be invited is left out."""
    others = [person for person in people if person != actor]
    relationships = await relations.relationships([(person, actor) for person in others]) if others else {}
    words = {person: reach.admit(relationships[person, actor]) for person in others}
    return {person: request for person, request in words.items() if request is not None}


def _let_in(conversation: Conversation, user_id: UserId) -> list[UserId]:
    """The other members, when the user and they let the conversation in, and it is not closed."""
    if conversation.blocked:
        # Also where an account is deleted, without a block between the two.
        return []
    inside = [member.user_id for member in conversation.members if member.request is RequestState.ACCEPTED]
    return [member for member in inside if member != user_id] if user_id in inside else []


def _inviters(conversation: Conversation, user_id: UserId) -> tuple[UserId, ...]:
    """Whom a report of a conversation as a whole is about."""
    inviter = _inviter_of(conversation, user_id)
    return (inviter,) if inviter else ()


def _inviter_of(conversation: Conversation, user_id: UserId) -> UserId | None:
    if conversation.kind is ConversationKind.DIRECT:
        return next((member.user_id for member in conversation.members if member.user_id != user_id), None)
    member = conversation.member(user_id)
    return member.added_by if member and member.added_by else None
