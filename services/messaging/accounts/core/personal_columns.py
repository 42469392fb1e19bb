"""What the tables hold of a person, column by column."""

from dataclasses import dataclass
from enum import Enum


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
    PersonalColumn("openings", "user_id", OnDeletion.ERASED, "taken away, and told"),
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
