"""How what people say becomes messages: checked, judged by the network, stored once."""

from collections.abc import Callable, Sequence

from services.messaging import metrics
from services.messaging.hooks.core.holding import Held
from services.messaging.hooks.service.judging import Judged, Judging, Written
from services.messaging.kernel import checks, model
from services.messaging.kernel.content import CallRecord, Content, kind_of
from services.messaging.kernel.errors import AttachmentNotFound, MessagingError, PlaceChanged
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Attachment, ConversationId, Draft, DraftKey, Message, MessageId, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.messages.ports import MessageStore, Uploads
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, Said, SendRequest
from services.messaging.messages.service.retries import Retries
from services.messaging.messages.service.texts import checked_text
from services.runtime.clock import Clock
from services.runtime.ids import NewId
from services.runtime.observability import tracing

# What a person forwards, which was checked before. Raises MessagingError where nothing goes on.
Copied = Callable[[], Content]


class Sending:
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

    async def send(self, user_id: UserId, conversation_id: str, request: Said) -> Message:
        """Store what a person says. Idempotent by client_message_id. Errors: InvalidField, ConversationNotFound,
        NotAllowed, RequestPending, RequestPendingLimit, ConversationFrozen, AccountRestricted, Overloaded, SendRate;
        with attachments AttachmentNotFound, AttachmentNotUploaded, ObjectsUnavailable; of a sticker
        StickerHostNotAllowed; with a hook MessageHeld, MessageRefused, HookUnavailable.

        The key comes before every check: the retry of what was stored gets the first result, whatever changed since.
        """
        return await self._say(user_id, conversation_id, request)

    async def checked(self, user_id: UserId, conversation_id: str, request: Said) -> Written:
        """What `send` would hand on to be judged and stored; it counts as a send, and nothing is stored. Errors as for
        send, but for those of the conversation and of the network."""
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
        send; where there is no copy to be made, and none was made before, raises why."""

        def copied() -> Content:
            if isinstance(copy, MessagingError):
                raise copy
            return copy.content

        request = SendRequest(client_message_id, Content()) if isinstance(copy, MessagingError) else copy
        return await self._say(user_id, str(target), request, copied)

    async def record_call(self, conversation_id: ConversationId, caller: UserId, record: CallRecord) -> Message:
        """Put an ended call into its conversation. Idempotent by the call's id. Errors as for send."""
        return await self._send(conversation_id, caller, model.CALL_KEY_PREFIX + str(record.call_id), record, 0)

    async def send_reviewed(self, held: Held) -> Message:
        """See the hooks' ports.Sending."""
        key = held.key
        return await self._send(
            *(key.conversation_id, key.sender_id, key.client_message_id, held.content, held.reply_to_seq),
            held.attachments,
            forwarded=held.forwarded,
            view_once=held.view_once,
        )

    async def find_sent(self, held: Held) -> Message | None:
        """See the hooks' ports.Sending."""
        if held.seq:
            message = await self._store.find_message(held.key.conversation_id, held.seq)
        else:
            message = await self._store.find_sent(held.key)
        return message and as_of(message, self._clock.now())

    async def _take(self, key: DraftKey, attachment_ids: Sequence[str]) -> tuple[Attachment, ...]:
        if not attachment_ids:
            return ()
        if self._uploads is None:
            raise AttachmentNotFound
        return await self._uploads.take(key, attachment_ids)

    async def _checked_content(self, user_id: UserId, conversation_id: ConversationId, request: Said) -> Content:
        if isinstance(request, SendRequest):
            return checks.check_content(request.content, request.attachment_ids)
        may_be_empty = bool(request.attachment_ids)
        place, limit = (user_id, conversation_id), self._limits.text_chars
        return await checked_text(self._conversations, *place, request.text, limit, may_be_empty=may_be_empty)

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
