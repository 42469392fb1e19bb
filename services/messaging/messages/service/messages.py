"""What messaging does for its callers."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.messaging import metrics
from services.messaging.kernel import checks, model, paging
from services.messaging.kernel.content import (
    CallRecord,
    Content,
    Mention,
    Text,
    kind_of,
    text_of,
    withheld,
)
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
    MessagingError,
    SendRate,
    TooManyConversations,
)
from services.messaging.kernel.model import (
    Attachment,
    Conversation,
    ConversationId,
    Cursor,
    Delta,
    Draft,
    DraftKey,
    Edit,
    Message,
    MessageId,
    PageMark,
    Recipient,
    Summary,
    UserId,
    require_member,
)
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.quotas import day_quota
from services.messaging.kernel.request import Request
from services.messaging.kernel.weighing import (
    MAX_ANSWER_BYTES,
    fitting,
    weigh_conversation,
    weigh_delta,
    weigh_message,
)
from services.messaging.kernel.withholding import shown_to, withhold
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy, MessageChange
from services.messaging.messages.ports import Store, Uploads
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.search import core
from services.messaging.sync.core.account import AccountCatchup, cut_page, token_at
from services.messaging.sync.core.tokens import decode_sync_token, encode_sync_token
from services.messaging.vanishing.core import as_of
from services.runtime.clock import Clock
from services.runtime.ids import NewId
from services.runtime.observability import tracing

# Decides on a message that the caller may see.
DecideVisible = Callable[[Message], MessageChange | None]
# What a person says in a conversation, checked. Raises MessagingError.
CheckSaid = Callable[[ConversationId], Awaitable[Content]]

MAX_CURSORS = 1_000
MAX_SYNC_DELTAS = 200
# Most messages that one answer is made from. Higher: fewer pages. Lower: less memory for each request.
MAX_SYNC_MESSAGES = 4_000
# Read cursors that moved this long before the last sync are told again: commits become visible late. Higher: more
# is repeated. Lower: a move that committed slowly can be missed.
READ_OVERLAP = timedelta(seconds=60)


@dataclass(frozen=True)
class Page:
    """A page of conversations and the token of the next, empty on the last."""

    items: Sequence[Summary]
    next_token: str
    # Of the first page: what changes from then on, Sync with this token tells.
    sync_token: str = ""


@dataclass(frozen=True)
class Catchup:
    """What a device lacks, what it is to forget, and what it sends as `since` the next time."""

    deltas: Sequence[Delta]
    has_more: bool
    gone: Sequence[ConversationId]
    sync_time: datetime


@dataclass(frozen=True)
class AccountSyncRequest:
    """A device's token (empty: it has nothing), and each (conversation, seq, revision) that it names."""

    sync_token: str
    cursors: Sequence[tuple[str, int, int]] = ()
    limit: int = 0
    page_size: int = 0


@dataclass(frozen=True)
class TextRequest:
    """A text as its sender wants it."""

    client_message_id: str
    text: Text
    reply_to_seq: int = 0
    attachment_ids: Sequence[str] = ()


@dataclass(frozen=True)
class SendRequest:
    """What a person says, of a kind whose row checks it."""

    client_message_id: str
    content: Content
    reply_to_seq: int = 0
    attachment_ids: Sequence[str] = ()


@dataclass(frozen=True)
class Limits:
    """What is configured."""

    text_chars: int = 10_000
    # Higher: a spammer reaches more people. Lower: busy people are refused.
    new_conversations_per_day: int = 500
    # As above, of those who have to let the conversation in; reports lower it.
    requests_per_day: int = 100
    changes: ChangePolicy = field(default_factory=ChangePolicy)


class Messaging:
    """The use-cases. `user_id` is always the authenticated caller."""

    def __init__(
        self,
        store: Store,
        sends: GroupCommit,
        rates: SendRates,
        clock: Clock,
        new_id: NewId,
        limits: Limits,
        uploads: Uploads | None = None,
    ) -> None:
        self._store = store
        self._sends = sends
        self._rates = rates
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        # Without it messages take no files.
        self._uploads = uploads

    # Conversations.

    async def open_direct(self, user_id: UserId, peer: str) -> Conversation:
        """The one conversation of the pair. Idempotent. Errors: InvalidField, NotAllowed, ConversationQuota,
        RequestQuota."""
        now = self._clock.now()
        peer_id = checks.check_user_id("peer_user_id", peer)
        fresh = model.open_direct(ConversationId(self._new_id(now)), user_id, peer_id, now)
        quota = day_quota(user_id, self._limits.new_conversations_per_day, now, self._limits.requests_per_day)
        return await self._store.open_direct(fresh, user_id, quota)

    async def get_conversation(self, user_id: UserId, conversation_id: str) -> Conversation:
        """Errors: InvalidField, ConversationNotFound."""
        return shown_to(await self._readable(user_id, conversation_id), user_id)

    async def list_conversations(
        self, user_id: UserId, page_size: int, page_token: str, request: Request = Request.NONE
    ) -> Page:
        """The conversations that were let in, or those that wait to be. Errors: InvalidField."""
        limit = checks.check_range("page_size", page_size, 50, 100)
        below = paging.decode_page_mark(page_token)
        now = self._clock.now()
        # Before the page: what changes while it is read is told by Sync.
        sync_token = "" if below else encode_sync_token(token_at(await self._store.snapshot()), user_id)
        rows = await self._store.list_conversations(user_id, below, limit + 1, now, request)
        page = [self._summary_shown(row, user_id, now) for row in rows[:limit]]
        page = page[: _fitting_summaries(page)]
        token = ""
        if len(rows) > len(page):
            token = paging.encode_page_mark(PageMark(page[-1].active_at, page[-1].conversation.id))
        return Page(page, token, sync_token)

    # Messages.

    async def send_text(self, user_id: UserId, conversation_id: str, request: TextRequest) -> Message:
        """Store a text. Idempotent by client_message_id. Errors: InvalidField, ConversationNotFound, NotAllowed,
        RequestPending, RequestPendingLimit, Overloaded, SendRate, and with attachments AttachmentNotFound,
        AttachmentNotUploaded, ObjectsUnavailable.

        The key comes before every check: the retry of what was stored gets the first result, whatever changed since.
        """
        may_be_empty = bool(request.attachment_ids)
        return await self._say(
            user_id,
            conversation_id,
            request,
            lambda target: self._checked_text(user_id, target, request.text, may_be_empty=may_be_empty),
        )

    async def send(self, user_id: UserId, conversation_id: str, request: SendRequest) -> Message:
        """Store what a person says that is no text. Idempotent and with errors as for send_text."""

        async def checked(_: ConversationId) -> Content:
            return checks.check_content(request.content, request.attachment_ids)

        return await self._say(user_id, conversation_id, request, checked)

    async def record_call(self, conversation_id: ConversationId, caller: UserId, record: CallRecord) -> Message:
        """Put an ended call into its conversation. Idempotent by the call's id. Errors as for send_text."""
        return await self._send(conversation_id, caller, model.CALL_KEY_PREFIX + str(record.call_id), record, 0)

    async def edit_message(self, user_id: UserId, conversation_id: str, seq: int, text: Text) -> Message:
        """Replace one's own text. Errors: InvalidField, ConversationNotFound, MessageNotFound, NotTheSender,
        NotAllowed, NotEditable, EditTooLate, TooManyEdits, SendRate."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        try:
            checked = await self._checked_text(user_id, target, text)
            self._rates.take(user_id, self._clock.monotonic())
        except MessagingError as refusal:
            return await self._done_before(user_id, refusal, self._standing_text(user_id, target, seq, text))
        now, policy = self._clock.now(), self._limits.changes
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.edit(message, user_id, checked, now, policy),
            is_said=True,
        )

    async def unsend_message(self, user_id: UserId, conversation_id: str, seq: int) -> Message:
        """Take one's own message back. Idempotent. Errors: InvalidField, ConversationNotFound, MessageNotFound,
        NotTheSender, NotEditable."""
        return await self._change_message(
            user_id, conversation_id, seq, lambda message: changes.unsend(message, user_id)
        )

    async def set_reaction(
        self, user_id: UserId, conversation_id: str, seq: int, emoji: str, *, present: bool
    ) -> Message:
        """Put a reaction on or take it away. Idempotent. Errors: InvalidField, ConversationNotFound,
        MessageNotFound, NotAllowed, NotEditable, TooManyReactions, SendRate."""
        if present:
            checks.check_emoji(emoji)
        policy = self._limits.changes
        try:
            self._rates.take(user_id, self._clock.monotonic())
        except SendRate as refusal:
            standing = self._standing_reaction(user_id, conversation_id, seq, emoji, present=present)
            return await self._done_before(user_id, refusal, standing)
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.react(
                message, user_id, changes.check_reaction(message, emoji, present=present), policy, present=present
            ),
            is_said=True,
        )

    async def list_edits(self, user_id: UserId, conversation_id: str, seq: int) -> Sequence[Edit]:
        """The former texts, the oldest first. Errors: InvalidField, ConversationNotFound, MessageNotFound."""
        conversation = await self._readable(user_id, conversation_id)
        message = await self._store.find_message(conversation.id, checks.check_seq("seq", seq))
        shown = self._shown([changes.find_visible(conversation, user_id, message)])[0]
        if not shown.edit_count:
            return []
        edits = await self._store.list_edits(conversation.id, seq)
        return [replace(edit, text=withheld(edit.text)) for edit in edits] if _waits(conversation, user_id) else edits

    async def list_messages(
        self, user_id: UserId, conversation_id: str, before_seq: int, page_size: int
    ) -> tuple[Sequence[Message], bool]:
        """A page, descending, and whether there is more. Errors: InvalidField, ConversationNotFound."""
        limit = checks.check_range("page_size", page_size, 50, 200)
        before = checks.check_seq("before_seq", before_seq) or None
        conversation = await self._readable(user_id, conversation_id)
        member = conversation.member(user_id)
        visible_after = member.visible_after_seq if member else 0
        messages = await self._store.list_messages(conversation.id, visible_after, before, limit + 1)
        fits = fitting([weigh_message(message) for message in messages[:limit]], MAX_ANSWER_BYTES)
        shown = self._shown(messages[:fits], withheld=_waits(conversation, user_id))
        return shown, len(messages) > fits

    async def search(
        self, user_id: UserId, query: str, conversation_id: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Message], str]:
        """A page of texts, newest first, and the token of the next. Errors: InvalidField, ConversationNotFound."""
        limit = checks.check_range("page_size", page_size, 20, 50)
        words = core.query_of(query)
        below = MessageId(checks.check_uuid("page_token", page_token)) if page_token else None
        room = await self._readable(user_id, conversation_id) if conversation_id else None
        within = room.id if room else None
        found = await self._store.search(user_id, words, within, below, limit + 1)
        page = found[: fitting([weigh_message(message) for message in found[:limit]], MAX_ANSWER_BYTES)]
        shown = self._shown(page, withheld=room is not None and _waits(room, user_id))
        still_said = [message for message in shown if text_of(message.content)]
        return still_said, str(page[-1].id) if len(found) > len(page) else ""

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        """Make the texts at these places findable. Idempotent."""
        await self._store.index_words(keys)

    async def sync(
        self, user_id: UserId, cursors: Sequence[tuple[str, int, int]], limit: int, since: datetime | None
    ) -> Catchup:
        """What the device lacks; each cursor is (conversation, seq, revision). For accounts that cursors can name.

        Errors: InvalidField, TooManyConversations.
        """
        positions = _positions(cursors)
        count = checks.check_range("limit", limit, 100, 200)
        if await self._store.has_more_conversations_than(user_id, MAX_CURSORS):
            raise TooManyConversations(MAX_CURSORS)
        sync_time = self._clock.now()
        read_since = since - READ_OVERLAP if since else None
        deltas = await self._store.sync(user_id, positions, read_since, count, MAX_SYNC_DELTAS + 1, sync_time)
        news = sum(delta.cursor != positions.get(delta.conversation.id) for delta in deltas)
        fits = min(_fitting_deltas(deltas[:news]), MAX_SYNC_DELTAS)
        has_more = news > fits
        shown = [self._delta_shown(delta, user_id) for delta in (deltas[:fits] if has_more else deltas)]
        joined = await self._store.joined_of(user_id, positions)
        gone = [conversation_id for conversation_id in positions if conversation_id not in joined]
        return Catchup(shown, has_more, gone, sync_time)

    async def sync_account(self, user_id: UserId, request: AccountSyncRequest) -> tuple[AccountCatchup, str]:
        """What the device lacks of its account, and its next token. Errors: InvalidField, SyncTokenUnknown."""
        positions = _positions(request.cursors)
        token = decode_sync_token(request.sync_token, user_id)
        limit = checks.check_range("limit", request.limit, 20, 200)
        size = min(checks.check_range("page_size", request.page_size, 100, 200), max(1, MAX_SYNC_MESSAGES // limit))
        page = await self._store.sync_account(user_id, token, positions, limit, size, self._clock.now())
        catchup = cut_page(page, MAX_ANSWER_BYTES)
        shown = [self._delta_shown(delta, user_id) for delta in catchup.deltas]
        return replace(catchup, deltas=shown), encode_sync_token(catchup.token, user_id)

    async def update_own_state(self, user_id: UserId, conversation_id: str, change: OwnChange) -> OwnState:
        """Pin, archive, mute or mark for the caller alone. Idempotent. Errors: InvalidField, ConversationNotFound."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        state = await self._store.change_own_state(target, user_id, change, self._clock.now())
        if state is None:
            raise ConversationNotFound
        return state

    # For the fan-out.

    async def recipients_of(self, ids: Collection[ConversationId]) -> Mapping[ConversationId, Sequence[Recipient]]:
        """The members of each conversation that has some."""
        return await self._store.recipients_of(ids)

    async def _readable(self, user_id: UserId, conversation_id: str) -> Conversation:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        return require_member(await self._store.find_conversation(target), user_id)

    async def _take(self, key: DraftKey, attachment_ids: Sequence[str]) -> tuple[Attachment, ...]:
        if not attachment_ids:
            return ()
        if self._uploads is None:
            raise AttachmentNotFound
        return await self._uploads.take(key, attachment_ids)

    async def _checked_text(
        self, user_id: UserId, conversation_id: ConversationId, text: Text, *, may_be_empty: bool = False
    ) -> Text:
        checks.check_text(text.text, self._limits.text_chars, may_be_empty=may_be_empty)
        checked = checks.check_entities(text.text, text.entities)
        mentioned = {entity.user_id for entity in checked.entities if isinstance(entity, Mention)}
        if mentioned:
            recipients = (await self._store.recipients_of([conversation_id])).get(conversation_id, ())
            members = {recipient.user_id for recipient in recipients}
            # To a stranger it is refused below, for one and the same reason whoever is in the conversation.
            if user_id in members and not mentioned <= members:
                raise InvalidField("text.entities.mention_user_id", "is not a member of the conversation")
        return checked

    async def _say(
        self, user_id: UserId, conversation_id: str, request: TextRequest | SendRequest, check: CheckSaid
    ) -> Message:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        client_id = checks.check_client_id("client_message_id", request.client_message_id)
        key = DraftKey(target, user_id, client_id)
        try:
            reply_to = checks.check_seq("reply_to_seq", request.reply_to_seq)
            content = await check(target)
            self._rates.take(user_id, self._clock.monotonic())
            attachments = await self._take(key, request.attachment_ids)
            checks.check_files(content, attachments)
        except MessagingError as refusal:
            return await self._done_before(user_id, refusal, self._store.find_sent(key))
        return await self._send(target, user_id, client_id, content, reply_to, attachments)

    async def _send(
        self,
        conversation_id: ConversationId,
        sender: UserId,
        client_message_id: str,
        content: Content,
        reply_to_seq: int,
        attachments: tuple[Attachment, ...] = (),
    ) -> Message:
        now = self._clock.now()
        message_id = MessageId(self._new_id(now))
        trace = tracing.current_header() or ""
        draft = Draft(
            message_id, conversation_id, sender, client_message_id, now, content, reply_to_seq, attachments, trace
        )
        message = await self._sends.submit(draft)
        if message.id == message_id:
            metrics.MESSAGES.labels(kind_of(content).name).inc()
        return as_of(message, now)

    async def _change_message(
        self, user_id: UserId, conversation_id: str, seq: int, decide: DecideVisible, *, is_said: bool = False
    ) -> Message:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_seq("seq", seq)
        now = self._clock.now()

        def decide_for_caller(conversation: Conversation, message: Message | None) -> MessageChange | None:
            require_member(conversation, user_id)
            visible = changes.find_visible(conversation, user_id, message)
            try:
                change = decide(as_of(visible, now))
            except MessagingError:
                if is_said:
                    changes.require_open(conversation, user_id)
                raise
            # What stands so already is answered under a block, too: it may be a retry.
            if change is not None and is_said:
                changes.require_open(conversation, user_id)
            return change

        return as_of(await self._store.change_message(target, seq, decide_for_caller, now), now)

    async def _done_before(
        self, user_id: UserId, refusal: MessagingError, look: Coroutine[object, object, Message | None]
    ) -> Message:
        """What a request that is refused did before, if it is the retry of one that was taken. Raises the refusal."""
        try:
            self._rates.look(user_id, self._clock.monotonic())
        except SendRate:
            look.close()
            raise refusal from None
        done = await look
        if done is None:
            raise refusal
        return as_of(done, self._clock.now())

    async def _standing_text(
        self, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text
    ) -> Message | None:
        """The user's own message, if it says this already."""
        message = await self._visible(user_id, conversation_id, seq)
        return message if message and message.sender_id == user_id and message.content == text else None

    async def _standing_reaction(
        self, user_id: UserId, conversation_id: str, seq: int, emoji: str, *, present: bool
    ) -> Message | None:
        """The message, if the user's reaction is on it, or not on it, already."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        message = await self._visible(user_id, target, seq)
        if message is None or not changes.can_be_reacted_to(message):
            return None
        kept = changes.check_reaction(message, emoji, present=present)
        return message if changes.has_reacted(message, user_id, kept) is present else None

    async def _visible(self, user_id: UserId, conversation_id: ConversationId, seq: int) -> Message | None:
        conversation = await self._store.find_conversation(conversation_id)
        if conversation is None or conversation.member(user_id) is None:
            return None
        message = await self._store.find_message(conversation_id, checks.check_seq("seq", seq))
        try:
            return as_of(changes.find_visible(conversation, user_id, message), self._clock.now())
        except MessageNotFound:
            return None

    def _summary_shown(self, row: Summary, user_id: UserId, now: datetime) -> Summary:
        last = row.last_message and as_of(row.last_message, now)
        if last and row.own.request is not Request.NONE:
            last = withhold(last)
        return replace(row, conversation=shown_to(row.conversation, user_id), last_message=last)

    def _delta_shown(self, delta: Delta, user_id: UserId) -> Delta:
        withheld = _waits(delta.conversation, user_id)
        return replace(
            delta,
            conversation=shown_to(delta.conversation, user_id),
            messages=tuple(self._shown(delta.messages, withheld=withheld)),
            changed=tuple(self._shown(delta.changed, withheld=withheld)),
        )

    def _shown(self, messages: Sequence[Message], *, withheld: bool = False) -> list[Message]:
        now = self._clock.now()
        shown = [as_of(message, now) for message in messages]
        return [withhold(message) for message in shown] if withheld else shown


def _waits(conversation: Conversation, user_id: UserId) -> bool:
    """Whether this person has not let the conversation in."""
    member = conversation.member(user_id)
    return member is not None and member.request is not Request.NONE


def _positions(cursors: Sequence[tuple[str, int, int]]) -> dict[ConversationId, Cursor]:
    if len(cursors) > MAX_CURSORS:
        raise InvalidField("cursors", f"has {len(cursors)} entries; at most {MAX_CURSORS} are allowed (see sync_token)")
    return {
        ConversationId(checks.check_uuid("cursors.conversation_id", id_)): Cursor(
            checks.check_seq("cursors.seq", seq), checks.check_seq("cursors.revision", revision)
        )
        for id_, seq, revision in cursors
    }


def _fitting_deltas(deltas: Sequence[Delta]) -> int:
    return fitting([weigh_delta(delta) for delta in deltas], MAX_ANSWER_BYTES)


def _fitting_summaries(rows: Sequence[Summary]) -> int:
    weights = [
        weigh_conversation(row.conversation) + (weigh_message(row.last_message) if row.last_message else 0)
        for row in rows
    ]
    return fitting(weights, MAX_ANSWER_BYTES)
