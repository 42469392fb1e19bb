"""Groups, as use-cases."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.messaging.conversations.service import readable
from services.messaging.groups.core import changes, permissions
from services.messaging.groups.core.changes import Ban, ChangeStamp, GroupChange, Settings
from services.messaging.groups.core.permissions import GroupAction
from services.messaging.groups.ports import DecideGroup, GroupStore, Invite, InviteStore
from services.messaging.hooks.service.judging import Judging
from services.messaging.kernel import checks, paging
from services.messaging.kernel.errors import (
    InvalidField,
    InviteNotFound,
    MessagingError,
    SendRate,
)
from services.messaging.kernel.model import (
    AddAudience,
    Conversation,
    ConversationId,
    MessageId,
    Role,
    UserId,
)
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.quotas import DayQuota, day_quota
from services.messaging.kernel.request import RequestState
from services.messaging.messages.service.rates import SendRates
from services.messaging.relations.ports import RelationStore, RequestStore
from services.messaging.relations.service import admissions
from services.runtime.clock import Clock
from services.runtime.ids import NewId, NewSecret


@dataclass(frozen=True)
class GroupRequest:
    """A group as its founder wants it."""

    client_conversation_id: str
    title: str
    user_ids: Sequence[str]
    avatar_ref: str
    history_open: bool
    # None for members.
    add_audience: AddAudience | None = None
    # A server of the back office makes it as this person.
    by_server: bool = False


@dataclass(frozen=True)
class GroupLimits:
    """What is configured: all but `invite_ttl` is set from config.py, and has its default here for tests."""

    members: int = 256
    invite_ttl: timedelta = timedelta(days=7)
    # As ConversationLimits: groups and direct conversations count together.
    new_conversations_per_day: int = 500
    requests_per_day: int = 100


class Groups:
    """`user_id` is always the authenticated caller.

    Errors of each beside those named: InvalidField, ConversationNotFound, NotAGroup, RoleTooLow.
    """

    def __init__(
        self,
        store: GroupStore,
        conversations: ConversationReader,
        invites: InviteStore,
        relations: RelationStore,
        requests: RequestStore,
        rates: SendRates,
        clock: Clock,
        new_id: NewId,
        new_secret: NewSecret,
        limits: GroupLimits,
        judging: Judging | None = None,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._invites = invites
        self._relations = relations
        self._requests = requests
        self._rates = rates
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret
        self._limits = limits
        # Without it nobody judges titles.
        self._judging = judging

    async def create_group(self, user_id: UserId, request: GroupRequest) -> Conversation:
        """A new group of the caller's, with those who can be added. Idempotent by client_conversation_id.

        Errors: InvalidField, ConversationQuota, RequestQuota, SendRate; with a hook MessageRefused, HookUnavailable.
        """
        client_id = checks.check_client_id("client_conversation_id", request.client_conversation_id)
        key = f"{user_id} {client_id}"
        try:
            others = checks.check_users("user_ids", request.user_ids, self._limits.members - 1)
            settings = Settings(
                *(checks.check_title(request.title), checks.check_avatar_ref(request.avatar_ref)),
                *(request.history_open, request.add_audience),
            )
            self._rates.take(user_id, self._clock.monotonic())
            if self._judging:
                judged = await self._judging.title(None, user_id, settings.title or "", by_server=request.by_server)
                settings = replace(settings, title=judged)
        except MessagingError as refusal:
            created = await self._created_before(user_id, key)
            if created is None:
                raise refusal
            return _as_known_to(user_id, created)
        stamp = self._stamp(user_id)
        conversation_id = ConversationId(self._new_id(stamp.now))
        admitted = await admissions(self._relations, user_id, others)
        change = changes.create_group(conversation_id, user_id, list(admitted), settings, stamp.now, admitted)
        quota = self._quota(user_id, stamp.now)
        return _as_known_to(user_id, await self._store.create_group(change, key, stamp, quota))

    async def update_group(self, user_id: UserId, conversation_id: str, settings: Settings) -> Conversation:
        """Change what is set. With a hook also MessageRefused, HookUnavailable."""
        title = settings.title if settings.title is None else checks.check_title(settings.title)
        checks.check_avatar_ref(settings.avatar_ref or "")
        wanted = replace(settings, title=title)
        if self._judging and title is not None:
            wanted = replace(wanted, title=await self._judged_title(self._judging, user_id, conversation_id, wanted))
        return await self._change(
            user_id, conversation_id, self._written_by(user_id, lambda group: changes.update(group, user_id, wanted))
        )

    async def add_members(
        self, user_id: UserId, conversation_id: str, user_ids: Sequence[str], client_request_id: str = ""
    ) -> Conversation:
        """Add those who can be added. Idempotent, by client_request_id where there is one.

        Errors: TooManyMembers, Banned, RequestQuota.
        """
        key = _request_key("add", client_request_id)
        try:
            return await self._add_members(user_id, conversation_id, user_ids, key)
        except MessagingError as refusal:
            added = await self._done_before(user_id, conversation_id, key)
            if added is None:
                raise refusal
            return _as_known_to(user_id, added)

    async def _add_members(
        self, user_id: UserId, conversation_id: str, user_ids: Sequence[str], key: str
    ) -> Conversation:
        limit = self._limits.members
        people = checks.check_users("user_ids", user_ids, limit)
        # Only members may learn who can be reached.
        group = await readable(self._conversations, user_id, conversation_id)
        if changes.absent(group, user_id, people):
            permissions.require(group, user_id, GroupAction.ADD)
        admitted = await admissions(self._relations, user_id, people)
        new_members, now = list(admitted), self._clock.now()
        return await self._change(
            user_id,
            conversation_id,
            self._written_by(
                user_id, lambda group: changes.add_members(group, user_id, new_members, now, limit, admitted)
            ),
            key,
            self._quota(user_id, now),
        )

    async def remove_member(self, user_id: UserId, conversation_id: str, target: str) -> Conversation:
        """Take a person out, and ban them. Idempotent."""
        person = checks.check_user_id("user_id", target)
        return await self._change(user_id, conversation_id, lambda group: changes.remove_member(group, user_id, person))

    async def list_bans(
        self, user_id: UserId, conversation_id: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Ban], str]:
        """A page of the group's bans, the newest first, and the token of the next page."""
        group = await readable(self._conversations, user_id, conversation_id)
        permissions.require(group, user_id, GroupAction.LIFT_BAN)
        size = checks.check_range("page_size", page_size, 100, 200)
        found = await self._invites.list_bans(group.id, paging.decode_user_mark(page_token), size + 1)
        bans, more = found[:size], len(found) > size
        return bans, paging.encode_user_mark(bans[-1].banned_at, bans[-1].user_id) if more else ""

    async def unban(self, user_id: UserId, conversation_id: str, target: str) -> None:
        """Let a person who was removed come in again, by whoever adds them or an invite. Idempotent."""
        person = checks.check_user_id("user_id", target)
        await self._change(user_id, conversation_id, lambda group: changes.unban(group, user_id, person))

    async def leave_group(self, user_id: UserId, conversation_id: str) -> None:
        """Go."""
        await self._change(user_id, conversation_id, lambda group: changes.leave(group, user_id))

    async def set_role(self, user_id: UserId, conversation_id: str, target: str, role: Role | None) -> Conversation:
        """Give a role. Idempotent. Errors: MemberNotFound."""
        person = checks.check_user_id("user_id", target)
        if role is None:
            raise InvalidField("role", "is not set")
        return await self._change(
            user_id, conversation_id, lambda group: changes.set_role(group, user_id, person, role)
        )

    async def create_invite(self, user_id: UserId, conversation_id: str) -> tuple[str, datetime]:
        """A token by which others can join, and until when. It makes the group's older ones invalid."""
        group = await readable(self._conversations, user_id, conversation_id)
        permissions.require(group, user_id, GroupAction.INVITE)
        token = self._new_secret()
        expires_at = self._clock.now() + self._limits.invite_ttl
        await self._invites.put_invite(Invite(_digest(token), group.id, user_id, expires_at))
        return token, expires_at

    async def revoke_invites(self, user_id: UserId, conversation_id: str) -> None:
        """Make the group's invites invalid. Idempotent."""
        group = await readable(self._conversations, user_id, conversation_id)
        permissions.require(group, user_id, GroupAction.INVITE)
        await self._invites.revoke_invites(group.id)

    async def join_by_invite(self, user_id: UserId, token: str, client_request_id: str = "") -> Conversation:
        """Come in; what waited in Requests is let in. Idempotent, by client_request_id where there is one.

        Errors: InviteNotFound, TooManyMembers, Banned.
        """
        now, key = self._clock.now(), _request_key("join", client_request_id)
        joined = await self._joined_before(user_id, token, key)
        if joined is not None:
            return joined
        invite = await self._invites.find_invite(_digest(token), now)
        # Blocked by who invites, or having blocked that person: to this user there is no such invite.
        if invite is None or await self._relations.blocked_among(user_id, [invite.created_by]):
            raise InviteNotFound("no such invite, or it is no longer valid")
        limit = self._limits.members
        group = await self._change(
            user_id, str(invite.conversation_id), lambda group: changes.join(group, user_id, now, limit), key
        )
        await self._requests.accept(invite.conversation_id, user_id, now)
        return _as_known_to(user_id, group)

    async def _judged_title(
        self, judging: Judging, user_id: UserId, conversation_id: str, wanted: Settings
    ) -> str | None:
        """What the hook makes of a new title. It is asked of nothing that is refused, or stands, anyway."""
        group = await readable(self._conversations, user_id, conversation_id)
        title = wanted.title
        if title is None or changes.update(group, user_id, wanted) is None or title == group.title:
            return title
        self._rates.require_may_write(user_id)
        return await judging.title(group, user_id, title, by_server=False)

    async def _created_before(self, user_id: UserId, key: str) -> Conversation | None:
        """The group of a request that is refused, if it is the retry of one that was taken."""
        try:
            self._rates.look(user_id, self._clock.monotonic())
        except SendRate:
            return None
        return await self._store.find_group(key)

    async def _done_before(self, user_id: UserId, conversation_id: str, key: str) -> Conversation | None:
        """The group of a request that is refused, if it is the retry of one that was done."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        if not key or not await self._invites.was_done(target, user_id, key):
            return None
        return await self._conversations.find_conversation(target)

    async def _joined_before(self, user_id: UserId, token: str, key: str) -> Conversation | None:
        """The group of an invite that the user is in, or came into by this very request, whatever became of the
        invite."""
        invite = await self._invites.find_used_invite(_digest(token))
        group = await self._conversations.find_conversation(invite.conversation_id) if invite else None
        if group is None:
            return None
        member = group.member(user_id)
        if member is None:
            came = await self._done_before(user_id, str(group.id), key)
            return came and _as_known_to(user_id, came)
        if member.request is not RequestState.ACCEPTED:
            return None
        # A request that found the person in is done, too: it brings nobody back later.
        return await self._change(user_id, str(group.id), lambda _: None, key) if key else group

    async def _change(
        self,
        user_id: UserId,
        conversation_id: str,
        decide: DecideGroup,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        return await self._store.change_group(target, decide, self._stamp(user_id), key, quota)

    def _written_by(self, user_id: UserId, decide: DecideGroup) -> DecideGroup:
        """As decided, unless the person may write nothing: titles are a way to write, and so is whom one brings in.

        What stands so already is answered all the same. Raises AccountRestricted.
        """

        def decide_for_writer(group: Conversation) -> GroupChange | None:
            change = decide(group)
            if change is not None:
                self._rates.require_may_write(user_id)
            return change

        return decide_for_writer

    def _quota(self, user_id: UserId, now: datetime) -> DayQuota:
        limits = self._limits
        return day_quota(user_id, limits.new_conversations_per_day, now, limits.requests_per_day)

    def _stamp(self, user_id: UserId) -> ChangeStamp:
        now = self._clock.now()
        return ChangeStamp(MessageId(self._new_id(now)), user_id, now)


def _request_key(kind: str, client_request_id: str) -> str:
    """What a request to come in is remembered by; empty for one without an id."""
    if not client_request_id:
        return ""
    return f"{kind} {checks.check_client_id('client_request_id', client_request_id)}"


def _as_known_to(user_id: UserId, group: Conversation) -> Conversation:
    return group if group.member(user_id) else changes.redacted_group(group)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
