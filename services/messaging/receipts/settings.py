"""Until people can set it, everybody sends receipts."""

from collections.abc import Collection

from services.messaging.core.model import ConversationId, UserId


class AllTold:
    """See ports.ReceiptSettings."""

    async def silent_in(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        return ()
