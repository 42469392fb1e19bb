"""How far a deletion has come."""

import json
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from services.messaging.kernel.model import ConversationId


class Phase(Enum):
    """The steps of a deletion in their order."""

    GROUPS = "groups"
    CONVERSATIONS = "conversations"
    ROWS = "rows"
    DONE = "done"


@dataclass(frozen=True)
class DeletionCursor:
    """Where a deletion stands: conversations up to this id are done, or the tables before this index of DELETED."""

    phase: Phase = Phase.GROUPS
    after: ConversationId | None = None
    table: int = 0


def dump_deletion(cursor: DeletionCursor) -> str:
    """The cursor as it is stored."""
    after = str(cursor.after) if cursor.after else None
    return json.dumps({"phase": cursor.phase.value, "after": after, "table": cursor.table})


def load_deletion(text: str) -> DeletionCursor:
    """A stored cursor; the beginning for an empty one."""
    if not text:
        return DeletionCursor()
    fields = json.loads(text)
    after = ConversationId(UUID(fields["after"])) if fields["after"] else None
    return DeletionCursor(Phase(fields["phase"]), after, fields["table"])
