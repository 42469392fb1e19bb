"""How far an export has come, and where its parts are put."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from uuid import UUID

from services.messaging.accounts.core.jobs import Claim
from services.messaging.kernel.model import ConversationId

EXPORTS_PREFIX = "exports/"
EXPORT_FORMAT = "parley-account-export"
EXPORT_VERSION = 1


class Section(Enum):
    """The parts of an export in their order."""

    ROWS = "rows"
    CONVERSATIONS = "conversations"
    # What other services hold.
    OTHERS = "others"
    DONE = "done"


@dataclass(frozen=True)
class ExportCursor:
    """Where an export stands: rows come table by table (an index of EXPORTED) and after a line of it, conversations by
    id and, within one, messages by seq (-1: the conversation itself is still to come), then the other services, each
    page by page. `part` is the next part's."""

    section: Section = Section.ROWS
    table: int = 0
    after_line: str = ""
    conversation_id: ConversationId | None = None
    seq: int = -1
    part: int = 0
    source: int = 0
    page: str = ""


def dump_export(cursor: ExportCursor) -> str:
    """The cursor as it is stored."""
    fields = {**asdict(cursor), "section": cursor.section.value}
    return json.dumps({**fields, "conversation_id": str(cursor.conversation_id) if cursor.conversation_id else None})


def load_export(text: str) -> ExportCursor:
    """A stored cursor; the beginning for an empty one."""
    if not text:
        return ExportCursor()
    fields = json.loads(text)
    raw = fields["conversation_id"]
    conversation_id = ConversationId(UUID(raw)) if raw else None
    return ExportCursor(**{**fields, "section": Section(fields["section"]), "conversation_id": conversation_id})


def part_key(claim: Claim, part: int) -> str:
    """The object of a part. It bears the lease: whoever lost the job cannot write over the part of who has it."""
    return f"{EXPORTS_PREFIX}{claim.job_id}/{part:06d}-{claim.lease}.jsonl"
