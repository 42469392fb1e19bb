"""Reading messages: their pages, and what they said before they were edited."""

from collections.abc import Sequence
from dataclasses import replace

from services.messaging.conversations.service import readable
from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible, is_unaccepted_by
from services.messaging.kernel.content import withheld
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Edit, Message, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting, weigh_message
from services.messaging.kernel.withholding import shown
from services.messaging.messages.ports import MessageStore
from services.runtime.clock import Clock


class History:
    """`user_id` is always the authenticated caller."""

    def __init__(self, store: MessageStore, conversations: ConversationReader, clock: Clock) -> None:
        self._store = store
        self._conversations = conversations
        self._clock = clock

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
