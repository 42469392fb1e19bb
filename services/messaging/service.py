"""What messaging does for its callers."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.messaging import core, metrics
from services.messaging.core import (
    CallRecord,
    Content,
    Conversation,
    ConversationId,
    Delta,
    Draft,
    Message,
    MessageId,
    NotAMember,
    Overloaded,
    PageMark,
    UserId,
)
from services.messaging.ports import Store
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import NewId

# Sends committed together. Higher: more throughput under load. Lower: the first of a batch waits less.
MAX_COMMIT_BATCH = 64
# Read cursors that moved this long before the last sync are told again: commits become visible late. Higher: more
# is repeated. Lower: a move that committed slowly can be missed.
READ_OVERLAP = timedelta(seconds=60)


class GroupCommit:
    """Commits concurrent sends together: while one transaction runs, the next batch gathers.

    A lone send waits for nobody. The queue is bounded: beyond it, Overloaded.
    """

    def __init__(self, store: Store, capacity: int) -> None:
        self._store = store
        self._waiting: asyncio.Queue[tuple[Draft, asyncio.Future[Message]]] = asyncio.Queue(capacity)

    @property
    def waiting(self) -> int:
        """Sends that wait for the next commit."""
        return self._waiting.qsize()

    async def submit(self, draft: Draft) -> Message:
        """The stored message. Errors: Overloaded, StoreUnavailable, and what place_drafts refuses."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((draft, future))
        except asyncio.QueueFull:
            raise Overloaded("too many sends are waiting") from None
        return await future

    async def run(self) -> None:
        """Commit batches for ever."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_COMMIT_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Draft, "asyncio.Future[Message]"]]) -> None:
        metrics.COMMIT_BATCH.observe(len(batch))
        try:
            outcomes: Sequence[Message | BaseException] = await self._store.append([draft for draft, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                # One faulty draft must not take the others down.
                for one in batch:
                    await self._commit([one])
                return
            outcomes = [error] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


@dataclass(frozen=True)
class Page:
    """A page of conversations and the token of the next, empty on the last."""

    items: Sequence[tuple[Conversation, Message | None]]
    next_token: str


class Messaging:
    """The use-cases. `user_id` is always the authenticated caller."""

    def __init__(self, store: Store, sends: GroupCommit, clock: Clock, new_id: NewId, text_limit: int) -> None:
        self._store = store
        self._sends = sends
        self._clock = clock
        self._new_id = new_id
        self._text_limit = text_limit

    async def open_direct(self, user_id: UserId, peer: str) -> Conversation:
        """The one conversation of the pair. Idempotent. Errors: InvalidField."""
        now = self._clock.now()
        peer_id = core.check_user_id("peer_user_id", peer)
        fresh = core.open_direct(ConversationId(self._new_id(now)), user_id, peer_id, now)
        return await self._store.open_direct(fresh)

    async def get_conversation(self, user_id: UserId, conversation_id: str) -> Conversation:
        """Errors: InvalidField, ConversationNotFound."""
        return await self._readable(user_id, conversation_id)

    async def list_conversations(self, user_id: UserId, page_size: int, page_token: str) -> Page:
        """Errors: InvalidField."""
        limit = core.check_range("page_size", page_size, 50, 100)
        below = core.decode_page_mark(page_token)
        rows = await self._store.list_conversations(user_id, below, limit + 1)
        page = rows[:limit]
        token = ""
        if len(rows) > limit:
            last, _, active_at = page[-1]
            token = core.encode_page_mark(PageMark(active_at, last.id))
        return Page([(conversation, message) for conversation, message, _ in page], token)

    async def send_text(self, user_id: UserId, conversation_id: str, client_message_id: str, text: str) -> Message:
        """Store a text. Idempotent by client_message_id. Errors: InvalidField, ConversationNotFound, NotAMember,
        Overloaded."""
        target = ConversationId(core.check_uuid("conversation_id", conversation_id))
        client_id = core.check_client_id("client_message_id", client_message_id)
        content = core.Text(core.check_text(text, self._text_limit))
        return await self._send(target, user_id, client_id, content)

    async def record_call(self, conversation_id: ConversationId, caller: UserId, record: CallRecord) -> Message:
        """Put an ended call into its conversation. Idempotent by the call's id. Errors as for send_text."""
        return await self._send(conversation_id, caller, core.CALL_KEY_PREFIX + str(record.call_id), record)

    async def list_messages(
        self, user_id: UserId, conversation_id: str, before_seq: int, page_size: int
    ) -> tuple[Sequence[Message], bool]:
        """A page, descending, and whether there is more. Errors: InvalidField, ConversationNotFound."""
        limit = core.check_range("page_size", page_size, 50, 200)
        before = core.check_seq("before_seq", before_seq) or None
        conversation = await self._readable(user_id, conversation_id)
        messages = await self._store.list_messages(conversation.id, before, limit + 1)
        return messages[:limit], len(messages) > limit

    async def sync(
        self, user_id: UserId, cursors: Sequence[tuple[str, int]], limit: int, since: datetime | None
    ) -> tuple[Sequence[Delta], bool, datetime]:
        """What the device lacks, whether there is more, and the time for the next `since`. Errors: InvalidField."""
        if len(cursors) > core.MAX_CURSORS:
            raise core.InvalidField("cursors", f"has {len(cursors)} entries; at most {core.MAX_CURSORS} are allowed")
        positions = {
            ConversationId(core.check_uuid("cursors.conversation_id", id_)): core.check_seq("cursors.seq", seq)
            for id_, seq in cursors
        }
        count = core.check_range("limit", limit, 100, 200)
        sync_time = self._clock.now()
        read_since = since - READ_OVERLAP if since else None
        deltas = await self._store.sync(user_id, positions, read_since, count, core.MAX_SYNC_DELTAS + 1)
        page = deltas[: core.MAX_SYNC_DELTAS]
        return page, len(deltas) > len(page), sync_time

    async def mark_read(self, user_id: UserId, conversation_id: str, seq: int) -> int:
        """Where the cursor stands now. Errors: InvalidField, ConversationNotFound, NotAMember."""
        target = ConversationId(core.check_uuid("conversation_id", conversation_id))
        core.check_seq("seq", seq)
        read_seq = await self._store.move_read_cursor(target, user_id, seq, self._clock.now())
        if read_seq is None:
            if await self._store.find_conversation(target) is None:
                raise core.ConversationNotFound("no such conversation")
            raise NotAMember("not a member of this conversation")
        return read_seq

    async def members_of(self, conversation_id: str) -> Sequence[UserId]:
        """Errors: InvalidField, ConversationNotFound."""
        target = ConversationId(core.check_uuid("conversation_id", conversation_id))
        members = (await self._store.members_of([target])).get(target)
        if members is None:
            raise core.ConversationNotFound("no such conversation")
        return members

    async def members_of_all(self, ids: Collection[ConversationId]) -> Mapping[ConversationId, Sequence[UserId]]:
        """The members of each conversation that exists."""
        return await self._store.members_of(ids)

    async def filter_contacts(self, user_id: str, candidates: Sequence[str]) -> Collection[UserId]:
        """Those who share a conversation with the user. Errors: InvalidField."""
        if len(candidates) > core.MAX_CURSORS:
            raise core.InvalidField("user_ids", f"has more than {core.MAX_CURSORS} entries")
        user = core.check_user_id("user_id", user_id)
        return await self._store.contacts_among(user, [core.check_user_id("user_ids", id_) for id_ in candidates])

    async def _readable(self, user_id: UserId, conversation_id: str) -> Conversation:
        target = ConversationId(core.check_uuid("conversation_id", conversation_id))
        return core.require_member(await self._store.find_conversation(target), user_id)

    async def _send(
        self, conversation_id: ConversationId, sender: UserId, client_message_id: str, content: Content
    ) -> Message:
        now = self._clock.now()
        message_id = MessageId(self._new_id(now))
        draft = Draft(message_id, conversation_id, sender, client_message_id, now, content)
        message = await self._sends.submit(draft)
        if message.id == message_id:
            metrics.MESSAGES.labels("text" if isinstance(content, core.Text) else "call").inc()
        return message
