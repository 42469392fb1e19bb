"""Between the kernel's types and what columns hold: one row of STORED for each row of kernel/content.py: KINDS.

What is in a column is never a message of the API: it has messages of its own (parley.messaging.storage.v1), which stay
readable for as long as rows hold them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message as ProtoMessage
from parley.messaging.storage.v1 import storage_pb2 as stored

from services.messaging.kernel import content as kinds
from services.messaging.kernel.content import (
    KINDS,
    CallOutcome,
    CallRecord,
    Content,
    ContentKind,
    Entity,
    Expired,
    Link,
    LinkPreview,
    Mention,
    Poll,
    Sticker,
    SystemContent,
    SystemKind,
    Text,
    Unsent,
    Voice,
    kind_of,
)
from services.messaging.kernel.file_names import safe_file_name
from services.messaging.kernel.ids import AttachmentId, UserId
from services.messaging.kernel.model import Attachment
from services.messaging.kernel.role import Role
from services.messaging.wire.values import to_duration

_OUTCOMES = {
    CallOutcome.COMPLETED: stored.CALL_OUTCOME_COMPLETED,
    CallOutcome.MISSED: stored.CALL_OUTCOME_MISSED,
    CallOutcome.DECLINED: stored.CALL_OUTCOME_DECLINED,
    CallOutcome.CANCELLED: stored.CALL_OUTCOME_CANCELLED,
    CallOutcome.BUSY: stored.CALL_OUTCOME_BUSY,
    CallOutcome.FAILED: stored.CALL_OUTCOME_FAILED,
}
_OUTCOMES_BACK = {value: key for key, value in _OUTCOMES.items()}
_ROLES = {
    Role.MEMBER: stored.MEMBER_ROLE_MEMBER,
    Role.ADMIN: stored.MEMBER_ROLE_ADMIN,
    Role.OWNER: stored.MEMBER_ROLE_OWNER,
}
_ROLES_BACK = {value: key for key, value in _ROLES.items()}

ContentT = TypeVar("ContentT", bound=Content)
StoredT = TypeVar("StoredT", bound=ProtoMessage)


class Columns(NamedTuple):
    """What of a row of `messages` is its content. Texts, calls and system messages (`line`) have columns of their own,
    from before there was `content`, which holds every other kind's protobuf; `body` is what the search indexes."""

    kind: str
    body: str = ""
    entities: bytes | None = None
    call: bytes | None = None
    line: bytes | None = None
    content: bytes | None = None


class Row(Protocol):
    """A row that has these columns."""

    def __getitem__(self, column: str, /) -> Any: ...


@dataclass(frozen=True)
class StoredForm(Generic[ContentT]):
    """How a kind is stored."""

    kind: ContentKind[ContentT]
    to_columns: Callable[[ContentT], Columns]
    from_columns: Callable[[Row], ContentT]


def in_content(
    kind: ContentKind[ContentT],
    message: type[StoredT],
    to_stored: Callable[[ContentT], StoredT],
    from_stored: Callable[[StoredT], ContentT],
) -> StoredForm[ContentT]:
    """The form of a kind whose protobuf stands in `messages.content`, as that of every new kind does."""
    return StoredForm(
        kind,
        lambda content: Columns(kind.name, kinds.text_of(content), content=to_stored(content).SerializeToString()),
        lambda row: from_stored(message.FromString(row["content"])),
    )


# Texts.


def to_text(body: str, entities: bytes | None) -> Text:
    """A stored text; entities of kinds that this version does not know are left out."""
    if not entities:
        return Text(body)
    found: list[Entity] = []
    beside = stored.TextEntities.FromString(entities)
    for entity in beside.entities:
        if entity.WhichOneof("entity") == "mention_user_id":
            found.append(Mention(entity.offset, entity.length, UserId(entity.mention_user_id)))
        elif entity.WhichOneof("entity") == "link_url":
            found.append(Link(entity.offset, entity.length, entity.link_url))
    preview = _to_preview(beside.preview) if beside.HasField("preview") else None
    return Text(body, tuple(found), beside.masked, preview)


def entity_bytes(text: Text) -> bytes | None:
    """The column of a text's entities, of whether it is masked, and of its preview."""
    if not text.entities and not text.masked and not text.preview:
        return None
    entities = [_stored_entity(entity) for entity in text.entities]
    preview = _stored_preview(text.preview) if text.preview else None
    return stored.TextEntities(entities=entities, masked=text.masked, preview=preview).SerializeToString()


def _stored_entity(entity: Entity) -> stored.TextEntity:
    if isinstance(entity, Mention):
        return stored.TextEntity(offset=entity.offset, length=entity.length, mention_user_id=entity.user_id)
    return stored.TextEntity(offset=entity.offset, length=entity.length, link_url=entity.url)


def _stored_preview(preview: LinkPreview) -> stored.LinkPreview:
    return stored.LinkPreview(
        url=preview.url, title=preview.title, description=preview.description, site_name=preview.site_name
    )


def _to_preview(preview: stored.LinkPreview) -> LinkPreview:
    return LinkPreview(preview.url, preview.title, preview.description, preview.site_name)


# Voice messages.


def _stored_voice(voice: Voice) -> stored.Voice:
    attachment_id = str(voice.attachment_id) if voice.attachment_id else ""
    return stored.Voice(attachment_id=attachment_id, length=to_duration(voice.length), waveform=voice.waveform)


def _to_voice(voice: stored.Voice) -> Voice:
    attachment_id = AttachmentId(UUID(voice.attachment_id)) if voice.attachment_id else None
    length: timedelta = voice.length.ToTimedelta()
    return Voice(attachment_id, length, voice.waveform)


# Polls.


def _stored_poll(poll: Poll) -> stored.Poll:
    return stored.Poll(question=poll.question, options=poll.options, multiple=poll.multiple)


def _to_poll(poll: stored.Poll) -> Poll:
    return Poll(poll.question, tuple(poll.options), poll.multiple)


# Stickers.


def _stored_sticker(sticker: Sticker) -> stored.Sticker:
    return stored.Sticker(
        url=sticker.url,
        width=sticker.width,
        height=sticker.height,
        description=sticker.description,
        provider_ref=sticker.provider_ref,
    )


def _to_sticker(sticker: stored.Sticker) -> Sticker:
    return Sticker(sticker.url, sticker.width, sticker.height, sticker.description, sticker.provider_ref)


# Calls.


def _stored_call(record: CallRecord) -> bytes:
    return stored.CallRecord(
        call_id=str(record.call_id),
        video=record.video,
        outcome=_OUTCOMES[record.outcome],
        length=to_duration(record.length),
        participant_user_ids=record.participants,
    ).SerializeToString()


def _to_call(data: bytes) -> CallRecord:
    record = stored.CallRecord.FromString(data)
    length: timedelta = record.length.ToTimedelta()
    participants = tuple(UserId(user_id) for user_id in record.participant_user_ids)
    return CallRecord(UUID(record.call_id), record.video, _OUTCOMES_BACK[record.outcome], length, participants)


# Lines about a group.


def _stored_system(system: SystemContent) -> bytes:
    user_id = system.user_ids[0] if system.user_ids else ""
    found = stored.Line()
    match system.kind:
        case SystemKind.CREATED:
            found.created.SetInParent()
        case SystemKind.ADDED:
            found.members_added.CopyFrom(stored.MembersAdded(user_ids=system.user_ids))
        case SystemKind.REMOVED:
            found.member_removed.CopyFrom(stored.MemberRemoved(user_id=user_id))
        case SystemKind.LEFT:
            found.member_left.SetInParent()
        case SystemKind.JOINED:
            found.member_joined.SetInParent()
        case SystemKind.RENAMED:
            found.renamed.CopyFrom(stored.GroupRenamed(title=system.title))
        case SystemKind.ROLE_CHANGED:
            found.role_changed.CopyFrom(stored.RoleChanged(user_id=user_id, role=_ROLES[system.role or Role.MEMBER]))
        case SystemKind.VANISHING_CHANGED:
            found.vanishing_changed.CopyFrom(stored.VanishingChanged(vanish_after=to_duration(system.vanish_after)))
        case SystemKind.PINNED:
            found.message_pinned.CopyFrom(stored.MessagePinned(seq=system.seq))
    return found.SerializeToString()


def _to_system(data: bytes) -> SystemContent:
    line = stored.Line.FromString(data)
    match line.WhichOneof("event"):
        case "members_added":
            return SystemContent(SystemKind.ADDED, tuple(UserId(user_id) for user_id in line.members_added.user_ids))
        case "member_removed":
            return SystemContent(SystemKind.REMOVED, (UserId(line.member_removed.user_id),))
        case "member_left":
            return SystemContent(SystemKind.LEFT)
        case "member_joined":
            return SystemContent(SystemKind.JOINED)
        case "renamed":
            return SystemContent(SystemKind.RENAMED, title=line.renamed.title)
        case "role_changed":
            changed = line.role_changed
            return SystemContent(SystemKind.ROLE_CHANGED, (UserId(changed.user_id),), role=_ROLES_BACK[changed.role])
        case "vanishing_changed":
            length: timedelta = line.vanishing_changed.vanish_after.ToTimedelta()
            return SystemContent(SystemKind.VANISHING_CHANGED, vanish_after=length)
        case "message_pinned":
            return SystemContent(SystemKind.PINNED, seq=line.message_pinned.seq)
        case _:
            return SystemContent(SystemKind.CREATED)


# The table.

_TEXT = StoredForm(
    kinds.TEXT,
    lambda content: Columns(kinds.TEXT.name, content.text, entity_bytes(content)),
    lambda row: to_text(row["body"], row["entities"]),
)
_VOICE = in_content(kinds.VOICE, stored.Voice, _stored_voice, _to_voice)
_POLL = in_content(kinds.POLL, stored.Poll, _stored_poll, _to_poll)
_STICKER = in_content(kinds.STICKER, stored.Sticker, _stored_sticker, _to_sticker)
_CALL = StoredForm(
    kinds.CALL,
    lambda content: Columns(kinds.CALL.name, call=_stored_call(content)),
    lambda row: _to_call(row["call"]),
)
_SYSTEM = StoredForm(
    kinds.SYSTEM,
    lambda content: Columns(kinds.SYSTEM.name, line=_stored_system(content)),
    lambda row: _to_system(row["line"]),
)
_UNSENT = StoredForm(kinds.UNSENT, lambda _: Columns(kinds.UNSENT.name), lambda _: Unsent())
_EXPIRED = StoredForm(kinds.EXPIRED, lambda _: Columns(kinds.EXPIRED.name), lambda _: Expired())

# By the name of the kind.
STORED: dict[str, StoredForm[Any]] = {
    form.kind.name: form for form in (_TEXT, _VOICE, _POLL, _STICKER, _CALL, _SYSTEM, _UNSENT, _EXPIRED)
}


# What reads the table.


def is_said(table: str) -> str:
    """SQL: whether the row of `messages` under this name is of a kind that people say. The index messages_by_expiry is
    made for it. It names the few kinds that nobody says, so that an older replica takes a newer kind for said, and
    erases it."""
    others = ", ".join(f"'{kind.name}'" for kind in KINDS.values() if not kind.is_said)
    return f"{table}.kind NOT IN ({others})"


def to_columns(content: Content) -> Columns:
    """The content as it is stored."""
    return STORED[kind_of(content).name].to_columns(content)


def from_columns(row: Row) -> Content:
    """A stored content. A kind that this release does not know is told as if it were taken back."""
    content: Content = STORED.get(row["kind"], _UNSENT).from_columns(row)
    return content


# Attachments.


def attachment_bytes(attachments: Sequence[Attachment]) -> bytes:
    """The column of a message's attachments."""
    return stored.Attachments(attachments=[_stored_attachment(each) for each in attachments]).SerializeToString()


def to_attachments(data: bytes) -> tuple[Attachment, ...]:
    """Stored attachments."""
    return tuple(
        Attachment(
            AttachmentId(UUID(each.attachment_id)),
            each.file_name,
            each.content_type,
            each.size_bytes,
            each.width,
            each.height,
            each.length.ToTimedelta(),
            AttachmentId(UUID(each.object_id)) if each.object_id else None,
        )
        for each in stored.Attachments.FromString(data).attachments
    )


def _stored_attachment(attachment: Attachment) -> stored.Attachment:
    return stored.Attachment(
        attachment_id=str(attachment.id),
        file_name=safe_file_name(attachment.file_name, attachment.content_type),
        content_type=attachment.content_type,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
        length=to_duration(attachment.length) if attachment.length else None,
        object_id=str(attachment.object_id) if attachment.object_id else "",
    )
