"""Drafts, as use-cases."""

from collections.abc import Sequence

from services.messaging.drafts.core import MAX_DRAFTS, KeptDraft, WantedDraft
from services.messaging.drafts.ports import DraftStore
from services.messaging.kernel import checks
from services.messaging.kernel.characters import is_blank
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting
from services.runtime.clock import Clock

# Of one row of an answer beside its text, near enough.
_ROW_BYTES = 128
# Raising it leaves rows for longer that nobody is shown any more; lowering it makes more idle queries.
SWEEP_INTERVAL_S = 60.0
SWEEP_BATCH = 500


class Drafts:
    """`user_id` is always the authenticated caller. Errors of each: InvalidField, StoreUnavailable."""

    def __init__(self, store: DraftStore, clock: Clock, text_chars: int = 10_000) -> None:
        self._store = store
        self._clock = clock
        self._text_chars = text_chars

    async def set_draft(self, user_id: UserId, conversation_id: str, text: str, reply_to_seq: int) -> KeptDraft:
        """Keep what is in the field of a conversation; an empty text takes it away. Idempotent. Errors:
        ConversationNotFound, TooManyDrafts."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_text(text, self._text_chars, may_be_empty=True)
        checks.check_seq("reply_to_seq", reply_to_seq)
        wanted = WantedDraft("") if is_blank(text) else WantedDraft(text, reply_to_seq)
        return await self._store.write(user_id, target, wanted, self._clock.now(), MAX_DRAFTS)

    async def list_own(self, user_id: UserId, page_size: int, page_token: str) -> tuple[Sequence[KeptDraft], str]:
        """A page of one's drafts, and the token of the next page."""
        size = checks.check_range("page_size", page_size, 100, 200)
        after = ConversationId(checks.check_uuid("page_token", page_token)) if page_token else None
        found = await self._store.list_of(user_id, after, size + 1, self._clock.now())
        fits = fitting([_ROW_BYTES + len(each.text.encode()) for each in found[:size]], MAX_ANSWER_BYTES)
        return found[:fits], str(found[fits - 1].conversation_id) if len(found) > fits else ""

    async def sweep(self) -> None:
        """Delete what is over. Every replica does it; what two of them delete at once is deleted once. Errors:
        StoreUnavailable."""
        while await self._store.sweep(self._clock.now(), SWEEP_BATCH) == SWEEP_BATCH:
            pass
