"""The statements that PostgresStore is made of, by what they are about, and rows as the core's types."""

from services.messaging.attachments.sql.messages import (
    attach,
    lock_unused,
    release_attachments,
)
from services.messaging.conversations.sql.conversations import (
    CONTACTS,
    DIRECT_PEOPLE,
    insert_conversation,
    insert_members,
    load_conversations,
    lock_counters,
    tell_closed,
    write_group,
    write_history_start,
)
from services.messaging.conversations.sql.own_states import load_own_states, write_own_state
from services.messaging.groups.sql.entering import load_bans, take_request_key, write_bans
from services.messaging.messages.sql.erasing import (
    bury,
    delete_messages,
    erase_content,
    erase_hanging,
)
from services.messaging.messages.sql.messages import (
    insert_messages,
    load_edits,
    load_last,
    load_message,
    load_states,
    load_stored,
    lock_statement,
    to_messages,
    write_change,
    write_content,
)
from services.messaging.search.sql import index_old, index_words, search_words
from services.messaging.sync.sql.deltas import load_behind, load_changed, load_new
from services.messaging.sync.sql.inboxes import (
    count_conversations,
    list_inbox,
    load_heads,
    load_joined,
    load_named_behind,
    load_snapshot,
    walk_inbox,
)

__all__ = [
    "CONTACTS",
    "DIRECT_PEOPLE",
    "attach",
    "bury",
    "count_conversations",
    "delete_messages",
    "erase_content",
    "erase_hanging",
    "index_old",
    "index_words",
    "insert_conversation",
    "insert_members",
    "insert_messages",
    "list_inbox",
    "load_bans",
    "load_behind",
    "load_changed",
    "load_conversations",
    "load_edits",
    "load_heads",
    "load_joined",
    "load_last",
    "load_message",
    "load_named_behind",
    "load_new",
    "load_own_states",
    "load_states",
    "load_snapshot",
    "load_stored",
    "lock_counters",
    "lock_statement",
    "lock_unused",
    "release_attachments",
    "search_words",
    "take_request_key",
    "tell_closed",
    "to_messages",
    "walk_inbox",
    "write_bans",
    "write_change",
    "write_content",
    "write_group",
    "write_history_start",
    "write_own_state",
]
