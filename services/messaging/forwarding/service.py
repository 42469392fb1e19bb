"""Forwarding, as a use-case."""

from collections.abc import Sequence

from services.messaging.conversations.service import readable
from services.messaging.forwarding import core
from services.messaging.forwarding.core import Target
from services.messaging.forwarding.ports import Copies
from services.messaging.kernel import checks
from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import DraftKey, Message, UserId
from services.messaging.kernel.ports import ConversationReader, MessageReader
from services.messaging.messages.service.requests import SendRequest
from services.messaging.messages.service.sending import Sending
from services.runtime.clock import Clock


class Forwarding:
    """`user_id` is always the authenticated caller."""

    def __init__(
        self,
        sending: Sending,
        conversations: ConversationReader,
        reader: MessageReader,
        copies: Copies,
        clock: Clock,
    ) -> None:
        self._sending = sending
        self._conversations = conversations
        self._reader = reader
        self._copies = copies
        self._clock = clock

    async def forward(
        self, user_id: UserId, conversation_id: str, seq: int, targets: Sequence[tuple[str, str]]
    ) -> Sequence[Message | MessagingError]:
        """Put copies of a message into other conversations; what became of each, in their order.

        Each target is (conversation, client_message_id), a send of its own: idempotent by its key, whatever became of
        the message since, and refused for itself. Raises InvalidField for a request that says nothing, and what keeps
        the caller from the message (ConversationNotFound, MessageNotFound, NotAllowed, NotForwardable) where nothing
        was forwarded before; StoreUnavailable.
        """
        checked = core.check_targets(targets)
        checks.check_uuid("conversation_id", conversation_id)
        place = checks.check_seq("seq", seq)
        source = await self._source(user_id, conversation_id, place)
        results = [await self._forward_to(user_id, source, target) for target in checked]
        if isinstance(source, MessagingError) and not any(isinstance(result, Message) for result in results):
            raise source
        return results

    async def _source(self, user_id: UserId, conversation_id: str, seq: int) -> Message | MessagingError:
        try:
            conversation = await readable(self._conversations, user_id, conversation_id)
            found = await self._reader.find_message(conversation.id, seq)
            return core.find_forwardable(conversation, user_id, found, self._clock.now())
        except MessagingError as refusal:
            # It may be a retry of what was forwarded while the caller saw it.
            return refusal

    async def _forward_to(
        self, user_id: UserId, source: Message | MessagingError, target: Target
    ) -> Message | MessagingError:
        try:
            return await self._sending.send_copy(
                user_id, target.conversation_id, target.client_message_id, await self._copied(user_id, source, target)
            )
        except MessagingError as refusal:
            return refusal

    async def _copied(
        self, user_id: UserId, source: Message | MessagingError, target: Target
    ) -> SendRequest | MessagingError:
        if isinstance(source, MessagingError):
            return source
        key = DraftKey(target.conversation_id, user_id, target.client_message_id)
        try:
            files = await self._copies.share(key, source) if source.attachments else ()
        except MessagingError as refusal:
            return refusal
        content = core.copy_of(source, files)
        return SendRequest(target.client_message_id, content, attachment_ids=[str(file.id) for file in files])
