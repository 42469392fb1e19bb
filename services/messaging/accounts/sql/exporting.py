"""Statements that read all that stands about a person."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage

from services.messaging.accounts.core.exports import EXPORT_FORMAT, EXPORT_VERSION, ExportCursor, Section
from services.messaging.accounts.core.personal_columns import EXPORTED
from services.messaging.accounts.ports import ExportBatch
from services.messaging.conversations.sql.conversations import load_conversations
from services.messaging.groups.core.changes import redacted_group
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, ConversationId, Message, UserId
from services.messaging.messages.core.sequencing import first_result
from services.messaging.messages.sql.reading import load_edits, to_messages
from services.messaging.wire import api
from services.runtime.postgres.database import Connection

_NEXT_CONVERSATION = """
SELECT conversation_id FROM (
    (SELECT conversation_id FROM members WHERE user_id = $1 AND ($2::uuid IS NULL OR conversation_id > $2)
        ORDER BY conversation_id LIMIT 1)
    UNION ALL
    (SELECT conversation_id FROM former_members WHERE user_id = $1 AND ($2::uuid IS NULL OR conversation_id > $2)
        ORDER BY conversation_id LIMIT 1)
) AS found
ORDER BY conversation_id LIMIT 1
"""

# Who is out sees what they wrote themselves; who is in, what the conversation shows them.
_MESSAGES = """
SELECT m.*, me.user_id IS NOT NULL AS is_member FROM messages m
LEFT JOIN members me ON me.conversation_id = m.conversation_id AND me.user_id = $2
WHERE m.conversation_id = $1 AND m.seq > $3
    AND (m.sender_id = $2 OR (me.user_id IS NOT NULL AND m.seq > me.visible_after_seq))
ORDER BY m.seq LIMIT $4
"""

_HEADER = {
    "type": "header",
    "format": EXPORT_FORMAT,
    "version": EXPORT_VERSION,
    "lines": {
        **{each.table: f"a row of {each.table}" for each in EXPORTED},
        "conversation": "parley.messaging.v1.Conversation, as protobuf's JSON",
        "message": "parley.messaging.v1.Message, sent or received; of one's own also the texts before each edit",
        "call": "parley.calls.v1.CallRecord, and what the devices of this account did in it",
        "lobby_place": "parley.calls.v1.LobbyPlace, of a call that it knocked at and was not let into",
        "join_link": "a join link that it made, without its secret, which is stored nowhere",
        "account_keys": "the public key of this account",
        "device_keys": "the public keys of its devices",
        "call_settings": "how this account is rung",
        "call_key": "the ids that its devices chose for calls",
        "presence": "when this account was last seen",
        "source": "another service, before the lines of which it was asked",
    },
}


async def next_conversation(
    connection: Connection, user_id: UserId, after: ConversationId | None
) -> ConversationId | None:
    """The next conversation by id that the person is or was in."""
    found: ConversationId | None = await connection.fetchval(_NEXT_CONVERSATION, user_id, after)
    return found


async def read_rows(connection: Connection, user_id: UserId, cursor: ExportCursor, limit: int) -> ExportBatch:
    """The next rows of the tables that are exported as they are, in the order of their text."""
    lines = [] if cursor.table or cursor.after_line else [_line({**_HEADER, "user_id": user_id})]
    personal = EXPORTED[cursor.table]
    found = await connection.fetch(
        # Names of ours.
        f'SELECT line FROM (SELECT (to_jsonb(t) - $4::text)::text COLLATE "C" AS line FROM {personal.table} t'  # noqa: S608
        f" WHERE t.{personal.column} = $1) AS every WHERE line > $2 ORDER BY line LIMIT $3",
        user_id,
        cursor.after_line,
        limit,
        personal.withheld,
    )
    lines += [_line({"type": personal.table, personal.table: json.loads(row["line"])}) for row in found]
    if len(found) == limit:
        return ExportBatch(lines, replace(cursor, after_line=found[-1]["line"]))
    if cursor.table + 1 < len(EXPORTED):
        return ExportBatch(lines, replace(cursor, table=cursor.table + 1, after_line=""))
    return ExportBatch(lines, replace(cursor, section=Section.CONVERSATIONS))


async def read_conversations(
    connection: Connection, user_id: UserId, cursor: ExportCursor, limit: int, now: datetime
) -> ExportBatch:
    """The next messages of a conversation, before the first of them the conversation itself.

    What has vanished is left out, whether or not the sweeper was there; of what became of a conversation after the
    person left, nothing is told.
    """
    conversation_id = cursor.conversation_id
    if conversation_id is None or cursor.seq < 0:
        conversation_id = await next_conversation(connection, user_id, cursor.conversation_id)
        if conversation_id is None:
            return ExportBatch([], replace(cursor, section=Section.OTHERS))
        conversation = (await load_conversations(connection, [conversation_id]))[conversation_id]
        line = _conversation_line(conversation, user_id)
        return ExportBatch([line], replace(cursor, conversation_id=conversation_id, seq=0))
    found = await connection.fetch(_MESSAGES, conversation_id, user_id, cursor.seq, limit)
    stored = await to_messages(connection, found)
    messages = [
        first_result(as_of(message, now), is_member=row["is_member"])
        for row, message in zip(found, stored, strict=True)
    ]
    lines = [await _message_line(connection, message, user_id) for message in messages]
    if len(messages) == limit:
        return ExportBatch(lines, replace(cursor, seq=messages[-1].seq))
    return ExportBatch(lines, replace(cursor, seq=-1))


def _conversation_line(conversation: Conversation, user_id: UserId) -> str:
    is_member = conversation.member(user_id) is not None
    encoded = api.conversation_message(conversation if is_member else redacted_group(conversation))
    return _line({"type": "conversation", "is_member": is_member, "conversation": _plain(encoded)})


async def _message_line(connection: Connection, message: Message, user_id: UserId) -> str:
    line: dict[str, Any] = {"type": "message", "message": _plain(api.message_message(message))}
    if message.edit_count and message.sender_id == user_id:
        edits = await load_edits(connection, message.conversation_id, message.seq)
        line["edits"] = [_plain(api.edit_message(edit)) for edit in edits]
    return _line(line)


def _plain(message: ProtoMessage) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return plain


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False)
