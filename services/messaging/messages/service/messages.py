"""Messages, as use-cases: sending, changing and reading them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from services.messaging import metrics
from services.messaging.conversations.service import readable
from services.messaging.hooks.core.holding import Held
from services.messaging.hooks.service.judging import Judged, Judging, Written
from services.messaging.kernel import checks, model
from services.messaging.kernel.access import find_visible, is_unaccepted_by, require_open
from services.messaging.kernel.content import CallRecord, Content, Mention, Text, kind_of, withheld
from services.messaging.kernel.errors import (
    AccountRestricted,
    AttachmentNotFound,
    InvalidField,
    MessagingError,
    PlaceChanged,
    SendRate,
)
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import (
    Attachment,
    Conversation,
    ConversationId,
    Draft,
    DraftKey,
    Edit,
    Message,
    MessageId,
    UserId,
    require_member,
)
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting, weigh_message
from services.messaging.kernel.withholding import shown
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy, MessageChange
from services.messaging.messages.ports import MessageStore, Uploads
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits as MessageLimits
from services.messaging.messages.service.requests import Said as Said
from services.messaging.messages.service.requests import SendRequest as SendRequest
from services.messaging.messages.service.requests import TextRequest as TextRequest
from services.messaging.messages.service.retries import Retries
from services.runtime.clock import Clock
from services.runtime.ids import NewId
from services.runtime.observability import tracing

# Of an edit that waited for its review: it was in time when it was written.
_ANY_TIME = ChangePolicy(edit_window=timedelta.max, max_edits=1_000_000)
# Decides on a message that the caller may see.
DecideVisible = Callable[[Message], MessageChange | None]
# What a person forwards, which was checked before. Raises MessagingError where nothing goes on.
Copied = Callable[[], Content]


class Messages:
    """`user_id` is always the authenticated caller."""

    def __init__(
        self,
        store: MessageStore,
        conversations: ConversationReader,
        sends: GroupCommit,
        rates: SendRates,
        clock: Clock,
        new_id: NewId,
        limits: MessageLimits,
        uploads: Uploads | None = None,
        judging: Judging | None = None,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._sends = sends
        self._rates = rates
        self._clock = clock
        self._new_id = new_id
        self._limits = limits
        # Without it messages take no files.
        self._uploads = uploads
        # Without it nobody judges what people write.
        self._judging = judging
        self._retries = Retries(store, conversations, rates, clock)

    async def send_text(self, user_id: UserId, conversation_id: str, request: TextRequest) -> Message:
        """Store a text. Idempotent by client_message_id. Errors: InvalidField, ConversationNotFound, NotAllowed,
        RequestPending, RequestPendingLimit, ConversationFrozen, AccountRestricted, Overloaded, SendRate, and with
        attachments AttachmentNotFound, AttachmentNotUploaded, ObjectsUnavailable; with a hook MessageHeld,
        MessageRefused, HookUnavailable.

        The key comes before every check: the retry of what was stored gets the first result, whatever changed since.
        """
        return await self._say(user_id, conversation_id, request)

    async def send(self, user_id: UserId, conversation_id: str, request: Said) -> Message:
        """Store what a person says, of any kind. Idempotent and with errors as for send_text; StickerHostNotAllowed."""
        return await self._say(user_id, conversation_id, request)

    async def checked(self, user_id: UserId, conversation_id: str, request: Said) -> Written:
        """What `send` would hand on to be judged and stored; it counts as a send, and nothing is stored. Errors as for
        send_text, but for those of the conversation and of the network."""
        key = self._key(user_id, conversation_id, request)
        return await self._written(key, request)

    def count_send(self, user_id: UserId) -> None:
        """Count what is as good as a send. Raises SendRate, AccountRestricted."""
        self._rates.take(user_id, self._clock.monotonic())

    async def sent_before(self, key: DraftKey, refusal: MessagingError) -> Message | None:
        """What was sent under this key before a request that is refused now. Raises the refusal to whoever is refused
        all the time. Errors: StoreUnavailable."""
        return await self._retries.find(key.sender_id, refusal, self._store.find_sent(key))

    async def send_copy(
        self, user_id: UserId, target: ConversationId, client_message_id: str, copy: SendRequest | MessagingError
    ) -> Message:
        """Store what the person forwards, which was checked when it was sent first. Idempotent and with errors as for
        send_text; where there is no copy to be made, and none was made before, raises why."""

        def copied() -> Content:
            if isinstance(copy, MessagingError):
                raise copy
            return copy.content

        request = SendRequest(client_message_id, Content()) if isinstance(copy, MessagingError) else copy
        return await self._say(user_id, str(target), request, copied)

    async def record_call(self, conversation_id: ConversationId, caller: UserId, record: CallRecord) -> Message:
        """Put an ended call into its conversation. Idempotent by the call's id. Errors as for send_text."""
        return await self._send(conversation_id, caller, model.CALL_KEY_PREFIX + str(record.call_id), record, 0)

    async def edit_message(self, user_id: UserId, conversation_id: str, seq: int, text: Text) -> Message:
        """Replace one's own text. Errors: InvalidField, ConversationNotFound, MessageNotFound, NotTheSender,
        NotAllowed, NotEditable, EditTooLate, TooManyEdits, SendRate; with a hook MessageHeld, MessageRefused,
        HookUnavailable."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        try:
            checked = await self._checked_text(user_id, target, text)
            self._rates.take(user_id, self._clock.monotonic())
            if self._judging:
                checked = await self._judged_edit(self._judging, user_id, target, seq, checked)
        except MessagingError as refusal:
            standing = self._retries.standing_text(user_id, target, seq, text)
            return await self._retries.result_of(user_id, refusal, standing)
        now, policy = self._clock.now(), self._limits.changes
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.edit(message, user_id, checked, now, policy),
            is_said=True,
        )

    async def send_reviewed(self, held: Held) -> Message:
        """See the hooks' ports.Sending."""
        key = held.key
        return await self._send(
            *(key.conversation_id, key.sender_id, key.client_message_id, held.content, held.reply_to_seq),
            held.attachments,
            forwarded=held.forwarded,
            view_once=held.view_once,
        )

    async def edit_reviewed(self, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text) -> Message:
        """See the hooks' ports.Sending."""
        now = self._clock.now()
        return await self._change_message(
            *(user_id, str(conversation_id), seq),
            lambda message: changes.edit(message, user_id, text, now, _ANY_TIME),
            is_said=True,
        )

    async def find_sent(self, held: Held) -> Message | None:
        """See the hooks' ports.Sending."""
        if held.seq:
            message = await self._store.find_message(held.key.conversation_id, held.seq)
        else:
            message = await self._store.find_sent(held.key)
        return message and as_of(message, self._clock.now())

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
        except (SendRate, AccountRestricted) as refusal:
            standing = self._retries.standing_reaction(user_id, conversation_id, seq, emoji, present=present)
            return await self._retries.result_of(user_id, refusal, standing)
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.react(
                message, user_id, changes.check_reaction(message, emoji, present=present), policy, present=present
            ),
            is_said=True,
        )

    async def vote_poll(
        self, user_id: UserId, conversation_id: str, seq: int, option_indexes: Sequence[int]
    ) -> Message:
        """Make these options of a poll one's choice; none takes the vote back. Idempotent. Errors: InvalidField,
        ConversationNotFound, MessageNotFound, NotAllowed, NotEditable, SendRate."""
        choice = changes.check_choice(option_indexes)
        try:
            self._rates.take(user_id, self._clock.monotonic())
        except (SendRate, AccountRestricted) as refusal:
            standing = self._retries.standing_vote(user_id, conversation_id, seq, choice)
            return await self._retries.result_of(user_id, refusal, standing)
        return await self._change_message(
            user_id, conversation_id, seq, lambda message: changes.vote(message, user_id, choice), is_said=True
        )

    async def list_edits(self, user_id: UserId, conversation_id: str, seq: int) -> Sequence[Edit]:
        """The former texts, the oldest first. Errors: InvalidField, ConversationNotFound, MessageNotFound."""
        conversation = await readable(self._conversations, user_id, conversation_id)
        found = await self._store.find_message(conversation.id, checks.check_seq("seq", seq))
        message = as_of(find_visible(conversation, user_id, found), self._clock.now())
        if not message.edit_count:
            return []
        edits = await self._store.list_edits(conversation.id, seq)
        if is_unaccepted_by(conversation, user_id):
            return [replace(edit, text=withheld(edit.text)) for edit in edits]
        return edits

    async def list_messages(
        self, user_id: UserId, conversation_id: str, before_seq: int, page_size: int
    ) -> tuple[Sequence[Message], bool]:
        """A page, descending, and whether there is more. Errors: InvalidField, ConversationNotFound."""
        limit = checks.check_range("page_size", page_size, 50, 200)
        before = checks.check_seq("before_seq", before_seq) or None
        conversation = await readable(self._conversations, user_id, conversation_id)
        member = conversation.member(user_id)
        visible_after = member.visible_after_seq if member else 0
        messages = await self._store.list_messages(conversation.id, visible_after, before, limit + 1)
        fits = fitting([weigh_message(message) for message in messages[:limit]], MAX_ANSWER_BYTES)
        page = shown(messages[:fits], self._clock.now(), is_withheld=is_unaccepted_by(conversation, user_id))
        return page, len(messages) > fits

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
        checked = checks.check_preview(checks.check_entities(text.text, text.entities), text.preview)
        mentioned = {entity.user_id for entity in checked.entities if isinstance(entity, Mention)}
        if mentioned:
            recipients = (await self._conversations.recipients_of([conversation_id])).get(conversation_id, ())
            members = {recipient.user_id for recipient in recipients}
            # Who is no member is refused below, for the same reason whoever is in the conversation.
            if user_id in members and not mentioned <= members:
                raise InvalidField("text.entities.mention_user_id", "is not a member of the conversation")
        return checked

    async def _checked_content(self, user_id: UserId, conversation_id: ConversationId, request: Said) -> Content:
        if isinstance(request, SendRequest):
            return checks.check_content(request.content, request.attachment_ids)
        may_be_empty = bool(request.attachment_ids)
        return await self._checked_text(user_id, conversation_id, request.text, may_be_empty=may_be_empty)

    def _key(self, user_id: UserId, conversation_id: str, request: Said) -> DraftKey:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        return DraftKey(target, user_id, checks.check_client_id("client_message_id", request.client_message_id))

    async def _written(self, key: DraftKey, request: Said, copied: Copied | None = None) -> Written:
        reply_to = checks.check_seq("reply_to_seq", request.reply_to_seq)
        user_id, target = key.sender_id, key.conversation_id
        content = copied() if copied else await self._checked_content(user_id, target, request)
        # Of a copy, too: it may come from a host that is not allowed any more.
        checks.check_provider(content, self._limits.sticker_hosts)
        self._rates.take(key.sender_id, self._clock.monotonic())
        attachments = await self._take(key, request.attachment_ids)
        checks.check_files(content, attachments)
        if request.view_once:
            checks.check_view_once(content, attachments)
        return Written(key, content, attachments, reply_to, request.by_server, copied is not None, request.view_once)

    async def _say(self, user_id: UserId, conversation_id: str, request: Said, copied: Copied | None = None) -> Message:
        key = self._key(user_id, conversation_id, request)
        try:
            written = await self._written(key, request, copied)
        except MessagingError as refusal:
            return await self._retries.result_of(user_id, refusal, self._store.find_sent(key))
        return await self._judge_and_send(written)

    async def _judge_and_send(self, written: Written, *, look: bool = False) -> Message:
        key, judged = written.key, Judged(written.content)
        if self._judging:
            try:
                judged = await self._judging.message(written, look=look)
            except MessagingError as refusal:
                return await self._retries.result_of(key.sender_id, refusal, self._store.find_sent(key))
        try:
            return await self._send(
                *(key.conversation_id, key.sender_id, key.client_message_id, judged.content, written.reply_to_seq),
                written.attachments,
                forwarded=written.forwarded,
                view_once=written.view_once,
                judged_version=judged.version,
            )
        except PlaceChanged:
            # Never twice: what was looked up has no version.
            return await self._judge_and_send(written, look=True)

    async def _send(
        self,
        conversation_id: ConversationId,
        sender: UserId,
        client_message_id: str,
        content: Content,
        reply_to_seq: int,
        attachments: Sequence[Attachment] = (),
        *,
        forwarded: bool = False,
        view_once: bool = False,
        judged_version: int | None = None,
    ) -> Message:
        now = self._clock.now()
        message_id = MessageId(self._new_id(now))
        trace = tracing.current_header() or ""
        draft = Draft(
            *(message_id, conversation_id, sender, client_message_id, now, content, reply_to_seq, tuple(attachments)),
            *(trace, forwarded, judged_version, view_once),
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
            visible = find_visible(conversation, user_id, message)
            try:
                change = decide(as_of(visible, now))
            except MessagingError:
                if is_said:
                    require_open(conversation, user_id)
                raise
            # What stands so already is answered under a block, too: it may be a retry.
            if change is not None and is_said:
                require_open(conversation, user_id)
            return change

        return as_of(await self._store.change_message(target, seq, decide_for_caller, now), now)

    async def _judged_edit(
        self, judging: Judging, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text
    ) -> Text:
        """What the hook makes of a new text. It is asked of nothing that is refused, or stands, anyway."""
        conversation = await readable(self._conversations, user_id, str(conversation_id))
        found = await self._store.find_message(conversation_id, checks.check_seq("seq", seq))
        now = self._clock.now()
        message = as_of(find_visible(conversation, user_id, found), now)
        if changes.edit(message, user_id, text, now, self._limits.changes) is None:
            return text
        require_open(conversation, user_id)
        return await judging.edit(conversation, user_id, seq, text)
