"""Pinned messages, as use-cases."""

from services.messaging.groups.core.changes import ChangeStamp, GroupChange
from services.messaging.kernel import checks
from services.messaging.kernel.model import Conversation, ConversationId, Message, MessageId, UserId
from services.messaging.messages.service.rates import SendRates
from services.messaging.pins import core
from services.messaging.pins.ports import PinStore
from services.runtime.clock import Clock
from services.runtime.ids import NewId


class Pins:
    """`user_id` is always the authenticated caller."""

    def __init__(self, store: PinStore, rates: SendRates, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._rates = rates
        self._clock = clock
        self._new_id = new_id

    async def set_pinned(self, user_id: UserId, conversation_id: str, seq: int, *, pinned: bool) -> Conversation:
        """Keep a message in view for all members, or no longer. Idempotent.

        Errors: InvalidField, ConversationNotFound, MessageNotFound, NotAllowed, RoleTooLow, NotEditable,
        RequestPending, ConversationFrozen, TooManyPins, AccountRestricted, SendRate.
        """
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        place = checks.check_seq("seq", seq)
        now = self._clock.now()

        def decide(conversation: Conversation, message: Message | None) -> GroupChange | None:
            change = (
                core.pin(conversation, message, user_id, now) if pinned else core.unpin(conversation, place, user_id)
            )
            if change is not None:
                # What stands so already costs nothing, and is answered to whoever may write nothing.
                self._rates.take(user_id, self._clock.monotonic())
            return change

        stamp = ChangeStamp(MessageId(self._new_id(now)), user_id, now)
        return await self._store.change_pins(target, place, decide, stamp)
