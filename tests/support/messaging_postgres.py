"""One PostgreSQL store for all features of messaging, as the tests have it."""

from services.messaging.conversations.sql.store import PostgresConversations, PostgresRequests
from services.messaging.groups.sql.store import PostgresGroups
from services.messaging.kernel.request import REQUEST_MESSAGES
from services.messaging.messages.sql.store import PostgresMessages
from services.messaging.relations.sql import store as relations
from services.messaging.search.sql import PostgresSearch
from services.messaging.sync.sql.store import PostgresSync
from services.runtime.ids import NewId
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay


class PostgresStore(PostgresConversations, PostgresMessages, PostgresGroups, PostgresSync, PostgresSearch):
    """What wiring has apart, over one database."""

    def __init__(
        self, database: Database, relay: OutboxRelay, new_id: NewId, request_messages: int = REQUEST_MESSAGES
    ) -> None:
        PostgresMessages.__init__(self, database, relay, new_id, request_messages)


class PostgresRelations(relations.PostgresRelations, PostgresRequests):
    """Relations, and letting conversations in: wiring has the two apart."""
