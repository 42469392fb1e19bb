"""PostgreSQL: the truth of conversations and messages. The statements stand in rows/."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import asyncpg
import structlog

from services.messaging import rows
from services.messaging.conversations.sql import requests
from services.messaging.groups.core import GroupChange
from services.messaging.kernel.errors import (
    ConversationNotFound,
    MessageNotFound,
    MessagingError,
    NotAllowed,
)
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Cursor,
    Delta,
    Draft,
    DraftKey,
    Edit,
    Member,
    Message,
    MessageId,
    PageMark,
    Recipient,
    Summary,
    UserId,
    pair_key,
    told_directly,
)
from services.messaging.kernel.own_state import OwnChange, OwnState, apply_own_change
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import Request
from services.messaging.messages.core.sequencing import (
    REQUEST_MESSAGES,
    first_result,
    recipients,
    sequence_drafts,
)
from services.messaging.messages.core.state_cache import StateCache
from services.messaging.messages.ports import (
    DecideGroup,
    DecideMessage,
    LineStamp,
    line_message,
)
from services.messaging.relations.core.reach import invite
from services.messaging.relations.sql.quotas import count_new_conversation, count_requests
from services.messaging.relations.sql.relationships import load_relationships, lock_pair
from services.messaging.sync.core.account import (
    AccountPage,
    Mark,
    Snapshot,
    Step,
    SyncToken,
    begin_walk,
)
from services.messaging.sync.core.deltas import build_delta
from services.messaging.wire import api, topics
from services.messaging.wire.outgoing import to_outbox
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database

log = structlog.get_logger()

Outcomes = dict[MessageId, Message | MessagingError]


class PostgresStore:
    """See ports.Store. The relay is woken for the conversations whose events were committed."""

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
        # See placing.sequence_drafts.
        self._request_messages = request_messages

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        peer = next(member.user_id for member in conversation.members if member.user_id != opener)
        async with self._database.transaction() as connection:
            key = await lock_pair(connection, opener, peer)
            known = await _load_by(connection, "pair_key", key)
            if known is not None:
                if known.blocked:
                    raise NotAllowed
                return known
            relationships = await load_relationships(connection, [(peer, opener)])
            invited = invite(conversation, opener, relationships[peer, opener])
            await count_new_conversation(connection, quota, _asked(invited.members))
            await rows.insert_conversation(connection, invited, pair_key=key, creation_key=None)
            await _announce_created(connection, invited, [], conversation.created_at)
        self._relay.wake(str(conversation.id))
        return invited

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: LineStamp, quota: DayQuota
    ) -> Conversation:
        async with self._database.transaction() as connection:
            if not await rows.insert_conversation(connection, change.after, pair_key=None, creation_key=creation_key):
                return await _load_by(connection, "creation_key", creation_key) or change.after
            await count_new_conversation(connection, quota, _asked(change.after.members))
            after, events = await _write_line(connection, change, stamp)
            await _announce_created(connection, after, events, stamp.now)
        self._relay.wake(str(after.id))
        return after

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: LineStamp,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        async with self._database.transaction() as connection:
            locked = await _lock_conversation(connection, conversation_id)
            before = replace(locked, banned=await rows.load_bans(connection, conversation_id))
            if key and not await rows.take_request_key(connection, conversation_id, stamp.actor, key, stamp.now):
                return before
            change = decide(before)
            if change is None:
                return before
            await rows.write_group(connection, before, change.after)
            await rows.write_bans(connection, before, change.after, stamp.actor, stamp.now)
            new_members = [member for member in change.after.members if before.member(member.user_id) is None]
            if quota is not None:
                await count_requests(connection, quota, _asked(new_members))
            await _announce_requests(connection, change.after.id, new_members, stamp.now)
            after, events = await _write_line(connection, change, stamp)
            changed = api.conversation_changed(self._new_id(stamp.now), after, change.removed, stamp.now)
            await _append_events(connection, after.id, [changed, *events], told_directly(before))
        self._relay.wake(str(conversation_id))
        return after

    async def change_message(
        self, conversation_id: ConversationId, seq: int, decide: DecideMessage, now: datetime
    ) -> Message:
        async with self._database.transaction() as connection:
            conversation = await _lock_conversation(connection, conversation_id)
            before = await rows.load_message(connection, conversation_id, seq)
            change = decide(conversation, before)
            if change is None:
                if before is None:
                    raise MessageNotFound
                return before
            after = replace(change.after, revision=conversation.revision + 1)
            await rows.write_change(connection, replace(change, after=after))
            event = api.message_changed(self._new_id(now), after, now)
            await _append_events(connection, conversation_id, [event], told_directly(conversation))
        self._relay.wake(str(conversation_id))
        return after

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        async with self._database.connection() as connection:
            return (await rows.load_conversations(connection, [conversation_id])).get(conversation_id)

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        async with self._database.connection() as connection:
            return await rows.load_message(connection, conversation_id, seq)

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        async with self._database.connection() as connection:
            return await rows.load_edits(connection, conversation_id, seq)

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: Request = Request.NONE,
    ) -> Sequence[Summary]:
        async with self._snapshot() as connection:
            found = await rows.list_inbox(connection, user_id, below, limit, request)
            ids = [row["id"] for row in found]
            conversations = await rows.load_conversations(connection, ids)
            last_of = await rows.load_last(connection, user_id, ids)
            own = await rows.load_own_states(connection, user_id, ids, now)
        return [
            Summary(conversations[row["id"]], last_of.get(row["id"]), row["active_at"], own.get(row["id"], OwnState()))
            for row in found
        ]

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        outcomes = await self._append_certain(self._known.certain(drafts))
        rest = [draft for draft in drafts if draft.message_id not in outcomes]
        if rest:
            outcomes |= await self._append_locked(rest)
        return [outcomes[draft.message_id] for draft in drafts]

    async def _append_certain(self, drafts: Sequence[Draft]) -> Outcomes:
        """Append what rests on what we remember: one statement, without a look first. Leaves out what did not hold."""
        if not drafts:
            return {}
        states = self._known.states_of(drafts)
        sequenced = sequence_drafts(drafts, states, {})
        events = [_sent(message, states.people[message.conversation_id]) for message in sequenced.inserted]
        held: set[ConversationId] = set()
        try:
            async with self._database.connection() as connection:
                held = await rows.insert_messages(
                    connection, sequenced.inserted, events, states.facts, _traces(drafts, sequenced.inserted)
                )
        except asyncpg.UniqueViolationError:
            # A retry of something that is stored: the long way finds it.
            log.debug("send_repeated", drafts=len(drafts))
        self._known.forget(states.last_seqs.keys() - held)
        self._known.learn(states, {id_: sequenced.last_seqs[id_] for id_ in held})
        self._wake(str(id_) for id_ in held)
        outcomes = zip(drafts, sequenced.outcomes, strict=True)
        return {draft.message_id: outcome for draft, outcome in outcomes if draft.conversation_id in held}

    async def _append_locked(self, drafts: Sequence[Draft]) -> Outcomes:
        ids = {draft.conversation_id for draft in drafts}
        async with self._database.transaction_from(rows.lock_statement(ids)) as connection:
            # After the lock, so that who was removed, and a concurrent send of the same key, is seen.
            states, taken = await rows.load_states(connection, drafts)
            stored = await rows.load_stored(connection, taken) if taken else {}
            if with_files := [draft for draft in drafts if draft.attachments]:
                states = replace(states, unused=await rows.lock_unused(connection, with_files))
            sequenced = sequence_drafts(drafts, states, stored, self._request_messages)
            if sequenced.inserted:
                people = recipients(states, sequenced)
                events = [_sent(message, people[message.conversation_id]) for message in sequenced.inserted]
                traces = _traces(drafts, sequenced.inserted)
                await rows.insert_messages(connection, sequenced.inserted, events, traces=traces)
                if attached := [message for message in sequenced.inserted if message.attachments]:
                    await rows.attach(connection, attached)
            woken = {str(message.conversation_id) for message in sequenced.inserted}
            if sequenced.accepted:
                now = max(message.sent_at for message in sequenced.inserted)
                woken.update(await requests.accept_requests(connection, sequenced.accepted, now))
        self._known.learn(states, sequenced.last_seqs)
        self._wake(woken)
        return {draft.message_id: outcome for draft, outcome in zip(drafts, sequenced.outcomes, strict=True)}

    async def find_sent(self, key: DraftKey) -> Message | None:
        async with self._database.connection() as connection:
            stored = await rows.load_stored(connection, [key])
            if key not in stored:
                return None
            is_member = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM members WHERE conversation_id = $1 AND user_id = $2)",
                key.conversation_id,
                key.sender_id,
            )
        return first_result(stored[key], is_member=is_member)

    async def find_group(self, creation_key: str) -> Conversation | None:
        async with self._database.connection() as connection:
            return await _load_by(connection, "creation_key", creation_key)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        """One snapshot for several statements: a revision, the messages and a token must be of the same moment."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    def _wake(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._relay.wake(key)

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
            return await rows.to_messages(connection, found)

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        async with self._snapshot() as connection:
            behind = await rows.load_behind(connection, user_id, cursors, read_since, max_deltas)
            return await _deltas(connection, user_id, behind, cursors, limit, now)

    async def snapshot(self) -> Snapshot:
        async with self._database.connection() as connection:
            return await rows.load_snapshot(connection)

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        async with self._snapshot() as connection:
            snapshot = await rows.load_snapshot(connection)
            walking = begin_walk(token, snapshot)
            behind = await rows.load_named_behind(connection, user_id, cursors, max_conversations + 1)
            joined = await rows.load_joined(connection, user_id, cursors)
            room = max_conversations - len(behind)
            found = await rows.walk_inbox(connection, user_id, walking, room + 1, cursors) if room > 0 else []
            told = {row["id"] for row in behind}
            ids = list({row["id"]: None for row in found[: max(room, 0)]})
            heads = {row["id"]: row for row in await rows.load_heads(connection, user_id, ids, cursors)}
            lacking = [heads[id_] for id_ in ids if id_ in heads and id_ not in told]
            named = behind[:max_conversations]
            deltas = await _deltas(connection, user_id, [*named, *lacking], cursors, limit, now)
        by_id = {delta.conversation.id: delta for delta in deltas[len(named) :]}
        steps = [
            Step(Mark(row["position"], row["id"]), by_id.get(row["id"]), gone=row["id"] not in heads)
            for row in found[: max(room, 0)]
        ]
        gone = [conversation_id for conversation_id in cursors if conversation_id not in joined]
        return AccountPage(
            *(walking, snapshot.oldest_running, deltas[: len(named)], gone, len(behind) > max_conversations),
            *(steps, room <= 0 or len(found) > room),
        )

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        async with self._database.connection() as connection:
            return await rows.count_conversations(connection, user_id, most + 1) > most

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        async with self._database.connection() as connection:
            return await rows.load_joined(connection, user_id, conversation_ids)

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        async with self._database.transaction() as connection:
            # The member's row is the lock: changes of one person's two devices come one after the other.
            await connection.execute(
                "SELECT FROM members WHERE conversation_id = $1 AND user_id = $2 FOR UPDATE", conversation_id, user_id
            )
            before = (await rows.load_own_states(connection, user_id, [conversation_id], now)).get(conversation_id)
            if before is None:
                return None
            after = apply_own_change(before, change, now)
            if after == before:
                return before
            await rows.write_own_state(connection, user_id, conversation_id, after, now)
            delivery = api.own_state_delivery(user_id, conversation_id, after, now)
            await outbox.append(connection, user_id, [(topics.DELIVERY, user_id, delivery)])
        self._relay.wake(user_id)
        return after

    async def recipients_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[Recipient]]:
        async with self._database.connection() as connection:
            conversations = await connection.fetch(
                "SELECT c.id, array_agg(m.user_id ORDER BY m.user_id) AS users,"
                " array_agg(m.visible_after_seq ORDER BY m.user_id) AS after,"
                " array_agg(m.request ORDER BY m.user_id) AS requests"
                " FROM conversations c JOIN members m ON m.conversation_id = c.id WHERE c.id = ANY($1) GROUP BY c.id",
                list(conversation_ids),
            )
        return {
            row["id"]: [
                Recipient(user, after, Request(request))
                for user, after, request in zip(row["users"], row["after"], row["requests"], strict=True)
            ]
            for row in conversations
        }

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        others = [candidate for candidate in candidates if candidate != user_id]
        async with self._database.connection() as connection:
            found = await connection.fetch(
                rows.CONTACTS, user_id, others, [pair_key(user_id, candidate) for candidate in others]
            )
        return [row["user_id"] for row in found]

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        async with self._database.transaction() as connection:
            await rows.index_words(connection, keys)

    async def index_old(self, limit: int) -> int:
        async with self._database.transaction() as connection:
            return await rows.index_old(connection, limit)

    async def search(
        self, user_id: UserId, query: str, within: ConversationId | None, below: MessageId | None, limit: int
    ) -> Sequence[Message]:
        async with self._database.connection() as connection:
            return await rows.search_words(connection, user_id, query, within, below, limit)


async def _deltas(
    connection: Connection,
    user_id: UserId,
    behind: Sequence[asyncpg.Record],
    cursors: Mapping[ConversationId, Cursor],
    limit: int,
    now: datetime,
) -> list[Delta]:
    ids = [row["id"] for row in behind]
    conversations = await rows.load_conversations(connection, ids)
    new = await rows.load_new(connection, behind, limit)
    changed = await rows.load_changed(connection, behind, limit)
    own = await rows.load_own_states(connection, user_id, ids, now)
    return [
        build_delta(conversations[id_], cursors.get(id_), new.get(id_, ()), changed.get(id_, ()), own[id_], limit)
        for id_ in ids
    ]


async def _lock_conversation(connection: Connection, conversation_id: ConversationId) -> Conversation:
    if not await rows.lock_counters(connection, [conversation_id]):
        raise ConversationNotFound
    return (await rows.load_conversations(connection, [conversation_id]))[conversation_id]


async def _load_by(connection: Connection, column: str, key: str) -> Conversation | None:
    # The column is one of two names of ours.
    found = await connection.fetchval(f"SELECT id FROM conversations WHERE {column} = $1", key)  # noqa: S608
    return (await rows.load_conversations(connection, [found]))[found] if found else None


async def _announce_created(
    connection: Connection, conversation: Conversation, lines: Sequence[bytes], now: datetime
) -> None:
    await _announce_requests(connection, conversation.id, conversation.members, now)
    events = [api.conversation_created(conversation), *lines]
    await _append_events(connection, conversation.id, events, told_directly(conversation))


async def _announce_requests(
    connection: Connection, conversation_id: ConversationId, members: Sequence[Member], now: datetime
) -> None:
    """Tell those with whom it waits, before they hear of the conversation itself: in its own order, therefore."""
    for member in members:
        if member.request is Request.PENDING:
            await requests.tell_request(connection, member.user_id, conversation_id, now, str(conversation_id))


def _asked(members: Sequence[Member]) -> int:
    """Those who have to let it in."""
    return sum(member.request is Request.PENDING for member in members)


async def _write_line(
    connection: Connection, change: GroupChange, stamp: LineStamp
) -> tuple[Conversation, list[bytes]]:
    """Insert the line that tells of a change; the conversation with its new counter, and the line's event."""
    if change.line is None:
        return change.after, []
    message = line_message(change, stamp)
    await rows.insert_messages(connection, [message])
    return replace(change.after, last_seq=message.seq), [api.message_sent(message)]


async def _append_events(
    connection: Connection, conversation_id: ConversationId, events: Sequence[bytes], people: Sequence[UserId] = ()
) -> None:
    await outbox.append_many(connection, [to_outbox(conversation_id, event, people) for event in events])


def _traces(drafts: Sequence[Draft], inserted: Sequence[Message]) -> list[str]:
    by_id = {draft.message_id: draft.trace for draft in drafts}
    return [by_id[message.id] for message in inserted]


def _sent(message: Message, people: Collection[UserId]) -> tuple[str, str, str, bytes]:
    return to_outbox(message.conversation_id, api.message_sent(message), people)
