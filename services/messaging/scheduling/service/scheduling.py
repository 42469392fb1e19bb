"""What people do with messages that wait for their time."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from services.messaging.conversations.service import readable
from services.messaging.hooks.service.judging import Written
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.kernel import checks
from services.messaging.kernel.content import weight_of
from services.messaging.kernel.errors import (
    ConversationFrozen,
    HeldDecided,
    HeldNotFound,
    InvalidField,
    MessagingError,
    NotAllowed,
    RequestPending,
    ScheduledNotFound,
    ScheduledSent,
)
from services.messaging.kernel.model import ConversationId, DraftKey, Message, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting
from services.messaging.messages.service.requests import Said
from services.messaging.messages.service.sending import Sending
from services.messaging.scheduling import core
from services.messaging.scheduling.core import Scheduled, ScheduledId, ScheduledState, Wanted
from services.messaging.scheduling.ports import ScheduledStore
from services.runtime.clock import Clock
from services.runtime.ids import NewId

# Of one row of an answer beside its content, near enough.
_ROW_BYTES = 512


class Scheduling:
    """`user_id` is always the authenticated caller. Errors of each: InvalidField, StoreUnavailable."""

    def __init__(
        self,
        store: ScheduledStore,
        sending: Sending,
        conversations: ConversationReader,
        withdrawals: Withdrawals,
        clock: Clock,
        new_id: NewId,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._sending = sending
        self._conversations = conversations
        self._withdrawals = withdrawals
        self._clock = clock
        self._new_id = new_id
        # Told of what may be due sooner than what was known.
        self._wake = wake

    async def schedule(
        self, user_id: UserId, conversation_id: str, said: Said, send_at: datetime
    ) -> Scheduled | Message:
        """Keep a message until its time. Idempotent by its key: a retry gets what stands, or the message that was sent.

        Errors: TooManyScheduled, ScheduledCancelled, ConversationNotFound, NotAllowed, ConversationFrozen,
        RequestPending, and as for Sending.send, but for what the network judges.
        """
        key = _key(user_id, conversation_id, said.client_message_id)
        try:
            now = self._clock.now()
            at = core.check_send_at(send_at, now)
            written = await self._sending.checked(user_id, conversation_id, said)
            await self._require_place(written)
            wanted = _wanted(written)
            fresh = Scheduled(
                *(ScheduledId(self._new_id(now)), key, wanted.content, at, at, now),
                reply_to_seq=wanted.reply_to_seq,
                attachments=wanted.attachments,
            )
            standing = await self._store.put(fresh, core.MAX_SCHEDULED)
        except MessagingError as refusal:
            return await self._done_before(key, refusal)
        self._wake()
        if standing is not None:
            return standing
        return await self._done_before(key, ScheduledSent())

    async def update(
        self, user_id: UserId, conversation_id: str, client_message_id: str, said: Said | None, send_at: datetime | None
    ) -> Scheduled:
        """Give it other content, another time, or both; None leaves each. Idempotent.

        Errors: ScheduledNotFound, ScheduledSent, MessageHeld, and as for Sending.send, but for what the network
        judges.
        """
        key = _key(user_id, conversation_id, client_message_id)
        now = self._clock.now()
        at = core.check_send_at(send_at, now) if send_at is not None else None
        if said is None:
            self._sending.count_send(user_id)
        wanted = _wanted(await self._sending.checked(user_id, conversation_id, said)) if said else None

        def decide(found: Scheduled | None, is_sent: bool) -> Scheduled | None:
            return core.change(core.require_known(found, is_sent=is_sent), wanted, at, now)

        after = await self._store.change(key, decide, now)
        if after is None:
            raise ScheduledNotFound
        self._wake()
        return after

    async def cancel(self, user_id: UserId, conversation_id: str, client_message_id: str) -> None:
        """Take it back before its time. Idempotent. Errors: ScheduledSent."""
        key = _key(user_id, conversation_id, client_message_id)
        found = await self._store.find(key)
        if found is not None and found.state is ScheduledState.HELD:
            await self._withdraw(key)
        now = self._clock.now()
        await self._store.change(key, lambda stands, is_sent: core.cancel(stands, now, is_sent=is_sent), now)

    async def list_own(self, user_id: UserId, page_size: int, page_token: str) -> tuple[Sequence[Scheduled], str]:
        """A page of what waits or was refused, in the order of its writing, and the token of the next page."""
        size = checks.check_range("page_size", page_size, core.MAX_SCHEDULED, core.MAX_SCHEDULED)
        after = ScheduledId(checks.check_uuid("page_token", page_token)) if page_token else None
        found = await self._store.list_of(user_id, after, size + 1)
        fits = fitting([_ROW_BYTES + weight_of(each.content) for each in found[:size]], MAX_ANSWER_BYTES)
        return found[:fits], str(found[fits - 1].id) if len(found) > fits else ""

    async def _require_place(self, written: Written) -> None:
        """Whether it could be sent there now, as far as that is easily told: at its time all of it is checked anew."""
        user_id = written.key.sender_id
        conversation = await readable(self._conversations, user_id, str(written.key.conversation_id))
        if conversation.frozen:
            raise ConversationFrozen
        if conversation.blocked:
            raise NotAllowed
        if written.attachments and conversation.is_unaccepted_by_others(user_id):
            raise RequestPending
        if written.reply_to_seq > conversation.last_seq:
            raise InvalidField("reply_to_seq", "there is no such message")

    async def _withdraw(self, key: DraftKey) -> None:
        with suppress(HeldNotFound):
            try:
                await self._withdrawals.message(key.sender_id, str(key.conversation_id), key.client_message_id)
            except HeldDecided as decided:
                raise ScheduledSent from decided

    async def _done_before(self, key: DraftKey, refusal: MessagingError) -> Scheduled | Message:
        """What a request that is refused did before, if it is the retry of one that was taken. Raises the refusal."""
        sent = await self._sending.sent_before(key, refusal)
        if sent is not None:
            return sent
        standing = core.require_new(await self._store.find(key))
        if standing is None:
            raise refusal
        return standing


def _key(user_id: UserId, conversation_id: str, client_message_id: str) -> DraftKey:
    target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
    return DraftKey(target, user_id, checks.check_client_id("client_message_id", client_message_id))


def _wanted(written: Written) -> Wanted:
    return Wanted(written.content, written.reply_to_seq, tuple(written.attachments))
