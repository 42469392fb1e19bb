"""What belongs to a person, and how far a job has come."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from services.messaging.kernel.model import ConversationId, UserId

JobId = NewType("JobId", UUID)

EXPORTS_PREFIX = "exports/"
EXPORT_FORMAT = "parley-account-export"
EXPORT_VERSION = 1


class JobKind(Enum):
    EXPORT = "export"
    DELETION = "deletion"


@dataclass(frozen=True)
class Job:
    """`parts` are the keys of a finished export's objects, in order."""

    id: JobId
    user_id: UserId
    kind: JobKind
    created_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A job in the hands of one runner; `lease` tells it from those who had it before."""

    job_id: JobId
    user_id: UserId
    kind: JobKind
    cursor: str
    lease: UUID


@dataclass(frozen=True)
class AccountPolicy:
    """Times of jobs."""

    # A finished export is given again instead of a new one. Raising it gives older data; lowering it makes more work
    # for impatient people.
    reuse: timedelta = timedelta(hours=24)
    # Raising it keeps all of a person's data lying about for longer; lowering it lets people come too late.
    kept: timedelta = timedelta(days=7)
    # How long the address of a part is good. Raising it lets the address be passed on for longer; lowering it makes
    # slow lines ask again.
    get_ttl: timedelta = timedelta(minutes=15)
    # A deletion begins so long after it was asked for: by then every replica refuses the account, and no call of it is
    # under way. Lower than PARLEY_ACCOUNT_CHECK_S and a call's deadline together: something could be written behind it.
    start_delay: timedelta = timedelta(seconds=15)


@dataclass(frozen=True)
class AccountState:
    """What decides whether a person is let in, and may write."""

    is_deleted: bool = False
    # Moderation lets the person write nothing before then; None for no restriction.
    restricted_until: datetime | None = None


# Export.


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


# Deletion.


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


# Signing out.

# Devices of a person that are signed out one by one. Beyond so many all of them are: nothing is forgotten, and what
# every service remembers stays small.
MAX_REVOKED_DEVICES = 64
MAX_SIGNED_OUT_AT_ONCE = 20


@dataclass(frozen=True)
class Revocations:
    """Which tokens of a person are refused: those issued before these times."""

    valid_from: datetime | None = None
    # Of the tokens of this device, by their claim, only `devices` speaks.
    kept_device: str = ""
    devices: Mapping[str, datetime] = field(default_factory=dict)


def next_second(now: datetime) -> datetime:
    """From when on new tokens are good. They tell whole seconds, so that one of this second may be older than now."""
    return datetime.fromtimestamp(int(now.timestamp()) + 1, UTC)


def sign_out(before: Revocations, device_ids: tuple[str, ...], valid_from: datetime) -> Revocations:
    """Some devices more are signed out."""
    later = {device_id: max(before.devices.get(device_id, valid_from), valid_from) for device_id in device_ids}
    devices = {**before.devices, **later}
    if len(devices) > MAX_REVOKED_DEVICES:
        return sign_out_others(before, "", valid_from)
    return Revocations(before.valid_from, before.kept_device, devices)


def sign_out_others(before: Revocations, kept_device: str, valid_from: datetime) -> Revocations:
    """All are signed out but one; with an empty id, all. What was revoked of that one before stays so."""
    floors = [before.devices.get(kept_device)]
    if kept_device != before.kept_device:
        floors.append(before.valid_from)
    floor = max((time for time in floors if time), default=None)
    devices = {kept_device: floor} if kept_device and floor else {}
    return Revocations(max(before.valid_from or valid_from, valid_from), kept_device, devices)


def forget_old(before: Revocations, time: datetime) -> Revocations:
    """Without what is older than that: every token that it is about has expired."""
    devices = {device_id: valid_from for device_id, valid_from in before.devices.items() if valid_from >= time}
    if before.valid_from and before.valid_from >= time:
        return Revocations(before.valid_from, before.kept_device, devices)
    return Revocations(devices=devices)


# What the tables hold of a person, column by column.


class OnDeletion(Enum):
    """What a deletion does with a person's rows."""

    # By their column alone.
    DELETED = "deleted"
    # Deleted, or the column emptied, one conversation of the person's after the other.
    ERASED = "erased"
    KEPT = "kept"


@dataclass(frozen=True)
class PersonalColumn:
    """A column that names a person. `exported`: its rows stand in the export as they are, without the column
    `withheld`, which is not for this person to know."""

    table: str
    column: str
    on_deletion: OnDeletion
    why: str
    exported: bool = False
    withheld: str = ""


# Each column of each table that holds a user's id. A test compares it with the schema.
PERSONAL_COLUMNS = (
    PersonalColumn(
        "members", "user_id", OnDeletion.ERASED, "groups are left; in a pair the other keeps the conversation"
    ),
    PersonalColumn("members", "added_by", OnDeletion.ERASED, "emptied"),
    PersonalColumn("former_members", "user_id", OnDeletion.DELETED, "needed until all conversations are erased"),
    PersonalColumn(
        "messages", "sender_id", OnDeletion.ERASED, "the content goes and the place stays, so that numbers have no gaps"
    ),
    PersonalColumn("reactions", "user_id", OnDeletion.ERASED, "taken away, and told"),
    PersonalColumn("poll_votes", "user_id", OnDeletion.ERASED, "taken back, and told"),
    PersonalColumn("invites", "created_by", OnDeletion.ERASED, "revoked"),
    PersonalColumn("attachments", "owner_id", OnDeletion.DELETED, "with their objects", exported=True),
    PersonalColumn("own_states", "user_id", OnDeletion.DELETED, "nobody else saw them", exported=True),
    PersonalColumn(
        "user_settings", "user_id", OnDeletion.KEPT, "as one row that lets nobody write or call", exported=True
    ),
    PersonalColumn("blocks", "user_id", OnDeletion.DELETED, "whom the person blocked", exported=True),
    PersonalColumn("blocks", "blocked_user_id", OnDeletion.KEPT, "another's wish"),
    PersonalColumn("follows", "user_id", OnDeletion.DELETED, "a copy of the network's", exported=True),
    PersonalColumn("follows", "followed_user_id", OnDeletion.KEPT, "another's; the network takes it back"),
    PersonalColumn("verified_users", "user_id", OnDeletion.DELETED, "a copy of the network's", exported=True),
    PersonalColumn("new_conversations", "user_id", OnDeletion.DELETED, "counts of a day", exported=True),
    PersonalColumn("reports", "reporter_id", OnDeletion.KEPT, "evidence for the moderators", exported=True),
    PersonalColumn("reports", "reported_ids", OnDeletion.KEPT, "evidence for the moderators"),
    PersonalColumn("reports", "resolved_by", OnDeletion.KEPT, "a moderator"),
    PersonalColumn("report_messages", "sender_id", OnDeletion.KEPT, "evidence for the moderators"),
    PersonalColumn(
        "account_jobs", "user_id", OnDeletion.KEPT, "exports go; the deletion itself is what refuses the account"
    ),
    # New ones that are deleted stand last: a running deletion has counted those before.
    PersonalColumn("inboxes", "user_id", OnDeletion.DELETED, "made from members, for Sync"),
    PersonalColumn("inbox_moves", "user_id", OnDeletion.DELETED, "made from cursors and own states, for Sync"),
    PersonalColumn("revocations", "user_id", OnDeletion.DELETED, "the deletion refuses every token", exported=True),
    PersonalColumn(
        "group_bans", "user_id", OnDeletion.DELETED, "a deleted account comes in nowhere", True, "banned_by"
    ),
    PersonalColumn("group_bans", "banned_by", OnDeletion.ERASED, "emptied; the ban stands"),
    PersonalColumn(
        "group_request_keys", "user_id", OnDeletion.DELETED, "a deleted account asks for nothing", exported=True
    ),
    PersonalColumn(
        "account_restrictions", "user_id", OnDeletion.DELETED, "a deleted account writes nothing", exported=True
    ),
    PersonalColumn("held_messages", "sender_id", OnDeletion.DELETED, "it was never sent", exported=True),
    PersonalColumn("scheduled_messages", "sender_id", OnDeletion.DELETED, "it was never sent", exported=True),
    PersonalColumn("drafts", "user_id", OnDeletion.DELETED, "nobody else saw them", exported=True),
)
EXPORTED = tuple(each for each in PERSONAL_COLUMNS if each.exported)
DELETED = tuple(each for each in PERSONAL_COLUMNS if each.on_deletion is OnDeletion.DELETED)
