"""Receipts, as use-cases."""

from collections.abc import Sequence

from services.messaging.kernel import checks
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.receipts.core import check_places
from services.messaging.receipts.ports import ReceiptStore
from services.runtime.clock import Clock


class Receipts:
    """`user_id` is always the authenticated caller. `receipt_members`: the largest conversation whose members are told
    live what was delivered to whom. Raising it makes that many more events for each message, to as many members;
    lowering it leaves more groups to learn it by Sync."""

    def __init__(self, store: ReceiptStore, clock: Clock, receipt_members: int = 32) -> None:
        self._store = store
        self._clock = clock
        self._receipt_members = receipt_members

    async def mark_read(self, user_id: UserId, conversation_id: str, seq: int) -> int:
        """Where one's own cursor stands now. Idempotent. Errors: InvalidField, ConversationNotFound."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_seq("seq", seq)
        read_seq = await self._store.move_read_cursor(target, user_id, seq, self._clock.now())
        if read_seq is None:
            raise ConversationNotFound
        return read_seq

    async def mark_delivered(self, user_id: UserId, cursors: Sequence[tuple[str, int]]) -> None:
        """Messages reached a device, up to each (conversation, seq). Idempotent. Errors: InvalidField."""
        places = check_places(cursors)
        if places:
            await self._store.move_delivered_cursors(user_id, places, self._clock.now(), self._receipt_members)
