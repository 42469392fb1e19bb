"""What a request that is refused did before: a retry gets the result of the first, whatever changed since."""

from collections.abc import Coroutine

from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import MessageNotFound, MessagingError, SendRate
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.messages.core import changes
from services.messaging.messages.ports import MessageStore
from services.messaging.messages.service.rates import SendRates
from services.runtime.clock import Clock


class Retries:
    """Looks for what stands already. A look has a rate, so that who is refused all the time costs the store nothing.

    Errors of each: StoreUnavailable.
    """

    def __init__(self, store: MessageStore, conversations: ConversationReader, rates: SendRates, clock: Clock) -> None:
        self._store = store
        self._conversations = conversations
        self._rates = rates
        self._clock = clock

    async def find(
        self, user_id: UserId, refusal: MessagingError, look: Coroutine[object, object, Message | None]
    ) -> Message | None:
        """What the request did, if it was taken before. Raises the refusal to whoever looks too often."""
        try:
            self._rates.look(user_id, self._clock.monotonic())
        except SendRate:
            look.close()
            raise refusal from None
        done = await look
        return done and as_of(done, self._clock.now())

    async def result_of(
        self, user_id: UserId, refusal: MessagingError, look: Coroutine[object, object, Message | None]
    ) -> Message:
        """The same; raises the refusal also where there is none."""
        done = await self.find(user_id, refusal, look)
        if done is None:
            raise refusal
        return done

    async def standing_text(
        self, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text
    ) -> Message | None:
        """The user's own message, if it says this already."""
        message = await self._visible(user_id, conversation_id, seq)
        return message if message and message.sender_id == user_id and message.content == text else None

    async def standing_reaction(
        self, user_id: UserId, conversation_id: str, seq: int, emoji: str, *, present: bool
    ) -> Message | None:
        """The message, if the user's reaction is on it, or not on it, already."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        message = await self._visible(user_id, target, seq)
        if message is None or not changes.can_be_reacted_to(message):
            return None
        kept = changes.check_reaction(message, emoji, present=present)
        return message if changes.has_reacted(message, user_id, kept) is present else None

    async def standing_vote(
        self, user_id: UserId, conversation_id: str, seq: int, choice: frozenset[int]
    ) -> Message | None:
        """The poll, if this is the user's choice already."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        message = await self._visible(user_id, target, seq)
        return message if message and changes.has_voted(message, user_id, choice) else None

    async def _visible(self, user_id: UserId, conversation_id: ConversationId, seq: int) -> Message | None:
        conversation = await self._conversations.find_conversation(conversation_id)
        if conversation is None or conversation.member(user_id) is None:
            return None
        message = await self._store.find_message(conversation_id, checks.check_seq("seq", seq))
        try:
            return as_of(find_visible(conversation, user_id, message), self._clock.now())
        except MessageNotFound:
            return None
