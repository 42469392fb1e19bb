"""View-once messages, as a use-case."""

from datetime import datetime

from services.messaging.attachments.core.view_once import Opened, Opening, find_once, open_once
from services.messaging.attachments.ports import OpeningStore
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.kernel import checks
from services.messaging.kernel.access import require_let_in
from services.messaging.kernel.model import Conversation, ConversationId, Message, UserId
from services.messaging.kernel.ports import ConversationReader, MessageReader
from services.runtime.clock import Clock


class Openings:
    """`user_id` is always the authenticated caller."""

    def __init__(
        self,
        store: OpeningStore,
        conversations: ConversationReader,
        messages: MessageReader,
        attachments: Attachments,
        clock: Clock,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._messages = messages
        self._attachments = attachments
        self._clock = clock

    async def open(
        self, user_id: UserId, conversation_id: str, seq: int, client_request_id: str
    ) -> tuple[str, datetime, Message]:
        """Open a view-once message: where its file can be fetched, until when, and how the message stands then.
        Idempotent for a minute, by client_request_id. Errors: InvalidField, ConversationNotFound, NotAllowed,
        AttachmentNotFound, AttachmentRefused, AlreadyOpened."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_seq("seq", seq)
        wanted = Opening(user_id, checks.check_client_id("client_request_id", client_request_id), self._clock.now())
        await self._refuse_listed(target, seq, wanted)

        def decide(conversation: Conversation, message: Message | None, former: Opening | None) -> Opened | None:
            return open_once(conversation, message, former, wanted, self._attachments.address_ttl)

        message = await self._store.open_once(target, seq, user_id, decide, wanted.opened_at)
        (attachment,) = message.attachments
        return *self._attachments.address_of(attachment), message

    async def _refuse_listed(self, target: ConversationId, seq: int, wanted: Opening) -> None:
        """What nobody may have is not opened either."""
        conversation = require_let_in(await self._conversations.find_conversation(target), wanted.user_id)
        found = await self._messages.find_message(target, seq)
        for attachment in find_once(conversation, wanted.user_id, found, wanted.opened_at).attachments:
            await self._attachments.refuse_listed(attachment)
