"""The list of a person's conversations, and what a device lacks, as use-cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.messaging.kernel import checks, paging
from services.messaging.kernel.access import is_unaccepted_by
from services.messaging.kernel.errors import InvalidField, TooManyConversations
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import ConversationId, Cursor, Delta, PageMark, Summary, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.kernel.weighing import (
    MAX_ANSWER_BYTES,
    fitting,
    weigh_conversation,
    weigh_delta,
    weigh_message,
)
from services.messaging.kernel.withholding import shown, shown_to, withhold
from services.messaging.sync.core.account import AccountCatchup, cut_page, token_at
from services.messaging.sync.core.tokens import decode_sync_token, encode_sync_token
from services.messaging.sync.ports import SyncStore
from services.runtime.clock import Clock

MAX_CURSORS = 1_000
MAX_SYNC_DELTAS = 200
# Most messages that one answer is made from. Raising it makes fewer pages; lowering it takes less memory for each
# request.
MAX_SYNC_MESSAGES = 4_000
# Read cursors that moved this long before the last sync are told again: commits become visible late. Raising it repeats
# more; lowering it can miss a move that committed slowly.
READ_OVERLAP = timedelta(seconds=60)


@dataclass(frozen=True)
class Page:
    """A page of conversations and the token of the next, empty on the last."""

    items: Sequence[Summary]
    next_token: str
    # Of the first page: what changes from then on, Sync with this token tells.
    sync_token: str = ""


@dataclass(frozen=True)
class Catchup:
    """What a device lacks, what it is to forget, and what it sends as `since` the next time."""

    deltas: Sequence[Delta]
    has_more: bool
    gone: Sequence[ConversationId]
    sync_time: datetime


@dataclass(frozen=True)
class AccountSyncRequest:
    """A device's token (empty: it has nothing), and each (conversation, seq, revision) that it names."""

    sync_token: str
    cursors: Sequence[tuple[str, int, int]] = ()
    limit: int = 0
    page_size: int = 0


class Sync:
    """`user_id` is always the authenticated caller."""

    def __init__(self, store: SyncStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list_conversations(
        self, user_id: UserId, page_size: int, page_token: str, request: RequestState = RequestState.ACCEPTED
    ) -> Page:
        """The conversations that were let in, or those that wait to be. Errors: InvalidField."""
        limit = checks.check_range("page_size", page_size, 50, 100)
        below = paging.decode_page_mark(page_token)
        now = self._clock.now()
        # Before the page: what changes while it is read is told by Sync.
        sync_token = "" if below else encode_sync_token(token_at(await self._store.snapshot()), user_id)
        rows = await self._store.list_conversations(user_id, below, limit + 1, now, request)
        page = [_summary_shown(row, user_id, now) for row in rows[:limit]]
        page = page[: _fitting_summaries(page)]
        token = ""
        if len(rows) > len(page):
            token = paging.encode_page_mark(PageMark(page[-1].active_at, page[-1].conversation.id))
        return Page(page, token, sync_token)

    async def sync(
        self, user_id: UserId, cursors: Sequence[tuple[str, int, int]], limit: int, since: datetime | None
    ) -> Catchup:
        """What the device lacks; each cursor is (conversation, seq, revision). For accounts that cursors can name.

        Errors: InvalidField, TooManyConversations.
        """
        positions = _positions(cursors)
        count = checks.check_range("limit", limit, 100, 200)
        if await self._store.has_more_conversations_than(user_id, MAX_CURSORS):
            raise TooManyConversations(MAX_CURSORS)
        now = self._clock.now()
        read_since = since - READ_OVERLAP if since else None
        deltas = await self._store.sync(user_id, positions, read_since, count, MAX_SYNC_DELTAS + 1, now)
        news = sum(delta.cursor != positions.get(delta.conversation.id) for delta in deltas)
        fits = min(_fitting_deltas(deltas[:news]), MAX_SYNC_DELTAS)
        has_more = news > fits
        visible = [_delta_shown(delta, user_id, self._clock.now()) for delta in (deltas[:fits] if has_more else deltas)]
        joined = await self._store.joined_of(user_id, positions)
        gone = [conversation_id for conversation_id in positions if conversation_id not in joined]
        return Catchup(visible, has_more, gone, now)

    async def sync_account(self, user_id: UserId, request: AccountSyncRequest) -> tuple[AccountCatchup, str]:
        """What the device lacks of its account, and its next token. Errors: InvalidField, SyncTokenUnknown."""
        positions = _positions(request.cursors)
        token = decode_sync_token(request.sync_token, user_id)
        limit = checks.check_range("limit", request.limit, 20, 200)
        size = min(checks.check_range("page_size", request.page_size, 100, 200), max(1, MAX_SYNC_MESSAGES // limit))
        page = await self._store.sync_account(user_id, token, positions, limit, size, self._clock.now())
        catchup = cut_page(page, MAX_ANSWER_BYTES)
        visible = [_delta_shown(delta, user_id, self._clock.now()) for delta in catchup.deltas]
        return replace(catchup, deltas=visible), encode_sync_token(catchup.token, user_id)


def _summary_shown(row: Summary, user_id: UserId, now: datetime) -> Summary:
    last = row.last_message and as_of(row.last_message, now)
    if last and row.own.request is not RequestState.ACCEPTED:
        last = withhold(last)
    return replace(row, conversation=shown_to(row.conversation, user_id), last_message=last)


def _delta_shown(delta: Delta, user_id: UserId, now: datetime) -> Delta:
    is_withheld = is_unaccepted_by(delta.conversation, user_id)
    return replace(
        delta,
        conversation=shown_to(delta.conversation, user_id),
        messages=tuple(shown(delta.messages, now, is_withheld=is_withheld)),
        changed=tuple(shown(delta.changed, now, is_withheld=is_withheld)),
    )


def _positions(cursors: Sequence[tuple[str, int, int]]) -> dict[ConversationId, Cursor]:
    if len(cursors) > MAX_CURSORS:
        raise InvalidField("cursors", f"has {len(cursors)} entries; at most {MAX_CURSORS} are allowed (see sync_token)")
    return {
        ConversationId(checks.check_uuid("cursors.conversation_id", id_)): Cursor(
            checks.check_seq("cursors.seq", seq), checks.check_seq("cursors.revision", revision)
        )
        for id_, seq, revision in cursors
    }


def _fitting_deltas(deltas: Sequence[Delta]) -> int:
    return fitting([weigh_delta(delta) for delta in deltas], MAX_ANSWER_BYTES)


def _fitting_summaries(rows: Sequence[Summary]) -> int:
    weights = [
        weigh_conversation(row.conversation) + (weigh_message(row.last_message) if row.last_message else 0)
        for row in rows
    ]
    return fitting(weights, MAX_ANSWER_BYTES)
