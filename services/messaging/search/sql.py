"""PostgreSQL: the words of texts."""

from collections.abc import Sequence
from uuid import UUID

from services.messaging.kernel.content import VOICE
from services.messaging.kernel.model import ConversationId, Message, MessageId, UserId
from services.messaging.messages.sql.reading import to_messages
from services.messaging.search.core import FILE_TYPES, INDEX_VERSION, NO_FILTERS, Filters, Has, words_of
from services.runtime.postgres.database import Connection, Database

# No message has this seq.
_ABOVE_ALL = 2**63 - 1
# SQL: whether a message holds it, or something like it; each is the condition of an index of 0034_galleries.sql, letter
# by letter. No file's name has a slash, so that each one belongs to a type; where a byte of a number looks like one, no
# such letter or digit follows.
_HOLDS = {
    Has.PICTURE_OR_VIDEO: "encode(m.attachments, 'escape') ~ '(image|video)/'",
    Has.OTHER_FILE: f"m.kind <> '{VOICE.name}' AND encode(m.attachments, 'escape') ~ '(?<!image|video)/[a-z1-9]'",
    Has.VOICE: f"m.kind = '{VOICE.name}'",
    Has.LINK: "encode(m.entities, 'escape') ~* 'https?://'",
}


class PostgresSearch:
    """See ports.SearchStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        async with self._database.transaction() as connection:
            await _index_words(connection, keys)

    async def index_old(self, limit: int) -> int:
        async with self._database.transaction() as connection:
            return await _index_old(connection, limit)

    async def list_holding(
        self,
        user_id: UserId,
        within: ConversationId,
        has: Has,
        before_seq: int | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        async with self._database.connection() as connection:
            return await _list_holding(connection, user_id, within, has, before_seq, limit, filters)

    async def search(
        self,
        user_id: UserId,
        query: str,
        within: ConversationId | None,
        below: MessageId | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        async with self._database.connection() as connection:
            return await _search(connection, user_id, query, within, below, limit, filters)


async def _index_words(connection: Connection, keys: Sequence[tuple[ConversationId, int]]) -> None:
    """Index what messages say as it stands now; what says nothing (any more) gets no words. Idempotent."""
    found = await connection.fetch(
        "SELECT m.conversation_id, m.seq, m.id, m.revision, m.body FROM unnest($1::uuid[], $2::bigint[])"
        " AS k (conversation_id, seq) JOIN messages m USING (conversation_id, seq) WHERE m.body <> ''"
        # Against an edit or an unsending in between, which takes the row's lock too.
        " ORDER BY m.conversation_id, m.seq FOR SHARE OF m",
        [conversation_id for conversation_id, _ in keys],
        [seq for _, seq in keys],
    )
    await connection.executemany(
        "INSERT INTO message_words (conversation_id, seq, message_id, revision, words, form)"
        " VALUES ($1, $2, $3, $4, array_to_tsvector($5::text[]), $6)"
        " ON CONFLICT (conversation_id, seq) DO UPDATE"
        " SET revision = excluded.revision, words = excluded.words, form = excluded.form",
        [
            (row["conversation_id"], row["seq"], row["id"], row["revision"], words_of(row["body"]), INDEX_VERSION)
            for row in found
        ],
    )


async def _index_old(connection: Connection, limit: int) -> int:
    """Index again what has an older INDEX_VERSION (the column `form`); how many were found. Two at once do the same
    work, for nothing."""
    found = await connection.fetch(
        # The literal is that of the partial index: INDEX_VERSION.
        "SELECT conversation_id, seq FROM message_words WHERE form < 2 ORDER BY conversation_id, seq LIMIT $1",
        limit,
    )
    keys = [(ConversationId(row["conversation_id"]), row["seq"]) for row in found]
    if keys:
        await _index_words(connection, keys)
        # Words without a text, should there be any, would be looked at for ever.
        await connection.executemany(
            "DELETE FROM message_words WHERE conversation_id = $1 AND seq = $2 AND form < 2", keys
        )
    return len(keys)


async def _search(
    connection: Connection,
    user_id: UserId,
    query: str,
    within: ConversationId | None,
    below: UUID | None,
    limit: int,
    filters: Filters,
) -> list[Message]:
    """The newest texts with these words that the user may see, below a message id."""
    holds = "".join(f" AND {condition}" for has, condition in _HOLDS.items() if has in filters.has)
    found = await connection.fetch(
        "SELECT m.* FROM message_words w"  # noqa: S608
        " JOIN members me ON me.conversation_id = w.conversation_id AND me.user_id = $1"
        " JOIN messages m ON m.conversation_id = w.conversation_id AND m.seq = w.seq"
        " WHERE w.words @@ $2::text::tsquery AND w.seq > me.visible_after_seq AND m.body <> ''"
        # In all conversations: those that one let in.
        " AND (w.conversation_id = $3 OR ($3::uuid IS NULL AND me.request = ''))"
        " AND ($4::uuid IS NULL OR w.message_id < $4)"
        " AND ($6 = '' OR m.sender_id = $6)"
        " AND ($7::timestamptz IS NULL OR m.sent_at >= $7) AND ($8::timestamptz IS NULL OR m.sent_at < $8)"
        # What the protobufs hold: the types of files, the addresses of links. A name may hold the like of these, so
        # the service looks once more.
        " AND NOT EXISTS (SELECT FROM unnest($9::text[]) AS kind (begin)"
        " WHERE position(convert_to(kind.begin, 'UTF8') IN coalesce(m.attachments, ''::bytea)) = 0)"
        f" AND (NOT $10::boolean OR m.attachments IS NOT NULL){holds}"
        " ORDER BY w.message_id DESC LIMIT $5",
        user_id,
        query,
        within,
        below,
        limit,
        filters.sender,
        filters.since,
        filters.before,
        [FILE_TYPES[has] for has in filters.has if has in FILE_TYPES],
        not filters.has.isdisjoint(FILE_TYPES),
    )
    return await to_messages(connection, found)


def list_statement(has: Has) -> str:
    """The statement of a page; its parameters are those of _list_holding."""
    return (
        "SELECT m.* FROM messages m"  # noqa: S608
        " WHERE m.conversation_id = $1"
        " AND m.seq > (SELECT visible_after_seq FROM members WHERE conversation_id = $1 AND user_id = $2)"
        f" AND m.seq < $3 AND {_HOLDS[has]} AND NOT m.view_once"
        " AND ($5 = '' OR m.sender_id = $5)"
        " AND ($6::timestamptz IS NULL OR m.sent_at >= $6) AND ($7::timestamptz IS NULL OR m.sent_at < $7)"
        " ORDER BY m.seq DESC LIMIT $4"
    )


async def _list_holding(
    connection: Connection,
    user_id: UserId,
    within: ConversationId,
    has: Has,
    before_seq: int | None,
    limit: int,
    filters: Filters,
) -> list[Message]:
    """The newest messages of a conversation that hold this and that the user may see, before a seq."""
    found = await connection.fetch(
        list_statement(has),
        within,
        user_id,
        before_seq or _ABOVE_ALL,
        limit,
        filters.sender,
        filters.since,
        filters.before,
    )
    return await to_messages(connection, found)
