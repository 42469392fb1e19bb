"""PostgreSQL: the truth of messages. The statements stand beside it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import asyncpg
import structlog

from services.messaging.attachments.sql.messages import attach, lock_unused
from services.messaging.conversations.sql.conversations import lock_conversation
from services.messaging.conversations.sql.requests import accept_requests, append_events
from services.messaging.hooks.ports import Places
from services.messaging.kernel.errors import MessageNotFound, MessagingError
from services.messaging.kernel.model import (
    ConversationId,
    Draft,
    DraftKey,
    Edit,
    Message,
    MessageId,
    UserId,
    direct_recipients,
)
from services.messaging.kernel.request import REQUEST_MESSAGES
from services.messaging.messages.core.sequencing import first_result, recipients, sequence_drafts
from services.messaging.messages.core.state_cache import StateCache
from services.messaging.messages.ports import DecideMessage
from services.messaging.messages.sql.appending import insert_messages, load_states, load_stored, lock_statement
from services.messaging.messages.sql.changing import write_change
from services.messaging.messages.sql.reading import load_edits, load_message, to_messages
from services.messaging.wire.events import message_changed, message_sent, to_outbox
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Database

log = structlog.get_logger()

Outcomes = dict[MessageId, Message | MessagingError]


class PostgresMessages:
    """See ports.MessageStore. The relay is woken for the conversations whose events were committed."""

    def __init__(
        self,
        database: Database,
        relay: outbox.OutboxRelay,
        new_id: NewId,
        request_messages: int = REQUEST_MESSAGES,
    ) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id
        self._known = StateCache()
        # See sequencing.sequence_drafts.
        self._request_messages = request_messages

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        outcomes = await self._append_optimistic(self._known.sendable(drafts))
        rest = [draft for draft in drafts if draft.message_id not in outcomes]
        if rest:
            outcomes |= await self._append_locked(rest)
        return [outcomes[draft.message_id] for draft in drafts]

    async def _append_optimistic(self, drafts: Sequence[Draft]) -> Outcomes:
        """Append by the cached states, in one statement that compares them. Leaves out what had changed meanwhile."""
        if not drafts:
            return {}
        states = self._known.states_of(drafts)
        sequenced = sequence_drafts(drafts, states, {})
        if not sequenced.inserted:
            # All of them were judged as of something older: the long way tells them, by what stands.
            return {}
        events = [_row_of(message, states.direct_recipients[message.conversation_id]) for message in sequenced.inserted]
        traces = _traces(drafts, sequenced.inserted)
        appended: set[ConversationId] = set()
        try:
            async with self._database.connection() as connection:
                appended = await insert_messages(connection, sequenced.inserted, events, states.versions, traces)
        except asyncpg.UniqueViolationError:
            # A retry of something that is stored: the long way finds it.
            log.debug("send_repeated", drafts=len(drafts))
        self._known.forget(states.last_seqs.keys() - appended)
        self._known.learn(states, sequenced, appended)
        told = [
            (event, trace)
            for message, event, trace in zip(sequenced.inserted, events, traces, strict=True)
            if message.conversation_id in appended
        ]
        self._relay.committed([event for event, _ in told], [trace for _, trace in told])
        outcomes = zip(drafts, sequenced.outcomes, strict=True)
        return {draft.message_id: outcome for draft, outcome in outcomes if draft.conversation_id in appended}

    async def _append_locked(self, drafts: Sequence[Draft]) -> Outcomes:
        ids = {draft.conversation_id for draft in drafts}
        async with self._database.transaction_from(lock_statement(ids)) as connection:
            # After the lock, so that who was removed, and a concurrent send of the same key, is seen.
            states, taken = await load_states(connection, drafts)
            stored = await load_stored(connection, taken) if taken else {}
            if with_files := [draft for draft in drafts if draft.attachments]:
                states = replace(states, unused=await lock_unused(connection, with_files))
            sequenced = sequence_drafts(drafts, states, stored, self._request_messages)
            events: list[tuple[str, str, str, bytes]] = []
            traces: list[str] = []
            woken: list[str] = []
            if sequenced.inserted:
                found = recipients(states, sequenced)
                events = [_row_of(message, found[message.conversation_id]) for message in sequenced.inserted]
                traces = _traces(drafts, sequenced.inserted)
                await insert_messages(connection, sequenced.inserted, events, traces=traces)
                if attached := [message for message in sequenced.inserted if message.attachments]:
                    await attach(connection, attached)
            if sequenced.accepted:
                now = max(message.sent_at for message in sequenced.inserted)
                woken = await accept_requests(connection, sequenced.accepted, now)
        self._known.learn(states, sequenced, sequenced.last_seqs)
        self._wake(woken)
        self._relay.committed(events, traces)
        return {draft.message_id: outcome for draft, outcome in zip(drafts, sequenced.outcomes, strict=True)}

    @property
    def places(self) -> Places:
        """What this replica remembers of conversations, for what is judged before it is sent."""
        return self._known

    async def find_sent(self, key: DraftKey) -> Message | None:
        async with self._database.connection() as connection:
            stored = await load_stored(connection, [key])
            if key not in stored:
                return None
            is_member = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM members WHERE conversation_id = $1 AND user_id = $2)",
                key.conversation_id,
                key.sender_id,
            )
        return first_result(stored[key], is_member=is_member)

    async def change_message(
        self, conversation_id: ConversationId, seq: int, decide: DecideMessage, now: datetime
    ) -> Message:
        async with self._database.transaction() as connection:
            conversation = await lock_conversation(connection, conversation_id)
            before = await load_message(connection, conversation_id, seq)
            change = decide(conversation, before)
            if change is None:
                if before is None:
                    raise MessageNotFound
                return before
            after = replace(change.after, revision=conversation.revision + 1)
            await write_change(connection, replace(change, after=after))
            event = message_changed(self._new_id(now), after, now)
            await append_events(connection, conversation_id, [event], direct_recipients(conversation))
        self._relay.wake(str(conversation_id))
        return after

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        async with self._database.connection() as connection:
            return await load_message(connection, conversation_id, seq)

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        async with self._database.connection() as connection:
            return await load_edits(connection, conversation_id, seq)

    async def list_messages(
        self, conversation_id: ConversationId, after_seq: int, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT * FROM messages WHERE conversation_id = $1 AND seq > $2 AND ($3::bigint IS NULL OR seq < $3)"
                " ORDER BY seq DESC LIMIT $4",
                conversation_id,
                after_seq,
                before_seq,
                limit,
            )
            return await to_messages(connection, found)

    def _wake(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._relay.wake(key)


def _traces(drafts: Sequence[Draft], inserted: Sequence[Message]) -> list[str]:
    by_id = {draft.message_id: draft.trace for draft in drafts}
    return [by_id[message.id] for message in inserted]


def _row_of(message: Message, user_ids: Collection[UserId]) -> tuple[str, str, str, bytes]:
    return to_outbox(message.conversation_id, message_sent(message), user_ids)
