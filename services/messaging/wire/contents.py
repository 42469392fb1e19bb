"""How each kind of content is told: one row of FORMS for each row of kernel/content.py: KINDS."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message as ProtoMessage
from parley.messaging.v1 import messages_pb2, service_pb2

from services.messaging.kernel import content as kinds
from services.messaging.kernel.content import (
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
from services.messaging.kernel.ids import AttachmentId, UserId
from services.messaging.kernel.role import Role
from services.messaging.wire.values import ROLES, ROLES_BACK, to_duration

_OUTCOMES = {
    CallOutcome.COMPLETED: messages_pb2.CALL_OUTCOME_COMPLETED,
    CallOutcome.MISSED: messages_pb2.CALL_OUTCOME_MISSED,
    CallOutcome.DECLINED: messages_pb2.CALL_OUTCOME_DECLINED,
    CallOutcome.CANCELLED: messages_pb2.CALL_OUTCOME_CANCELLED,
    CallOutcome.BUSY: messages_pb2.CALL_OUTCOME_BUSY,
    CallOutcome.FAILED: messages_pb2.CALL_OUTCOME_FAILED,
}
_OUTCOMES_BACK = {value: key for key, value in _OUTCOMES.items()}

ContentT = TypeVar("ContentT", bound=Content)
WireT = TypeVar("WireT", bound=ProtoMessage)


@dataclass(frozen=True)
class ContentForm(Generic[ContentT, WireT]):
    """How a kind is told."""

    kind: ContentKind[ContentT]
    # In the oneof `content` of the API's Message, and of SendMessageRequest if devices send it.
    field: str
    wire: type[WireT]
    to_wire: Callable[[ContentT], WireT]
    from_wire: Callable[[WireT], ContentT]


# Texts.


def text_message(text: Text) -> messages_pb2.TextContent:
    """The API's form of a text."""
    entities = [_entity_message(entity) for entity in text.entities]
    preview = _preview_message(text.preview) if text.preview else None
    return messages_pb2.TextContent(text=text.text, entities=entities, masked=text.masked, preview=preview)


def read_text(content: messages_pb2.TextContent) -> Text:
    """A text of a request or an event; entities of kinds that this version does not know are left out."""
    preview = _to_preview(content.preview) if content.HasField("preview") else None
    return Text(content.text, _entities_of(content), content.masked, preview)


def _entities_of(content: messages_pb2.TextContent) -> tuple[Entity, ...]:
    entities: list[Entity] = []
    for entity in content.entities:
        if entity.WhichOneof("entity") == "mention_user_id":
            entities.append(Mention(entity.offset, entity.length, UserId(entity.mention_user_id)))
        elif entity.WhichOneof("entity") == "link_url":
            entities.append(Link(entity.offset, entity.length, entity.link_url))
    return tuple(entities)


def _entity_message(entity: Entity) -> messages_pb2.TextEntity:
    encoded = messages_pb2.TextEntity(offset=entity.offset, length=entity.length)
    if isinstance(entity, Mention):
        encoded.mention_user_id = entity.user_id
    else:
        encoded.link_url = entity.url
    return encoded


def _preview_message(preview: LinkPreview) -> messages_pb2.LinkPreview:
    return messages_pb2.LinkPreview(
        url=preview.url, title=preview.title, description=preview.description, site_name=preview.site_name
    )


def _to_preview(encoded: messages_pb2.LinkPreview) -> LinkPreview:
    return LinkPreview(encoded.url, encoded.title, encoded.description, encoded.site_name)


# Voice messages.


def _voice_message(voice: Voice) -> messages_pb2.VoiceContent:
    attachment_id = str(voice.attachment_id) if voice.attachment_id else ""
    return messages_pb2.VoiceContent(
        attachment_id=attachment_id, length=to_duration(voice.length), waveform=voice.waveform
    )


def _to_voice(encoded: messages_pb2.VoiceContent) -> Voice:
    attachment_id = AttachmentId(UUID(encoded.attachment_id)) if encoded.attachment_id else None
    length: timedelta = encoded.length.ToTimedelta()
    return Voice(attachment_id, length, encoded.waveform)


# Polls.


def _poll_message(poll: Poll) -> messages_pb2.PollContent:
    return messages_pb2.PollContent(question=poll.question, options=poll.options, multiple=poll.multiple)


def _to_poll(encoded: messages_pb2.PollContent) -> Poll:
    return Poll(encoded.question, tuple(encoded.options), encoded.multiple)


# Stickers.


def _sticker_message(sticker: Sticker) -> messages_pb2.StickerContent:
    return messages_pb2.StickerContent(
        url=sticker.url,
        width=sticker.width,
        height=sticker.height,
        description=sticker.description,
        provider_ref=sticker.provider_ref,
    )


def _to_sticker(sticker: messages_pb2.StickerContent) -> Sticker:
    return Sticker(sticker.url, sticker.width, sticker.height, sticker.description, sticker.provider_ref)


# Calls.


def _call_message(record: CallRecord) -> messages_pb2.CallContent:
    return messages_pb2.CallContent(
        call_id=str(record.call_id),
        video=record.video,
        outcome=_OUTCOMES[record.outcome],
        length=to_duration(record.length),
        participant_user_ids=record.participants,
    )


def _to_call(encoded: messages_pb2.CallContent) -> CallRecord:
    length: timedelta = encoded.length.ToTimedelta()
    participants = tuple(UserId(user_id) for user_id in encoded.participant_user_ids)
    return CallRecord(UUID(encoded.call_id), encoded.video, _OUTCOMES_BACK[encoded.outcome], length, participants)


# Lines about a group.


def _system_message(system: SystemContent) -> messages_pb2.SystemContent:
    user_id = system.user_ids[0] if system.user_ids else ""
    match system.kind:
        case SystemKind.CREATED:
            return messages_pb2.SystemContent(created=messages_pb2.GroupCreated())
        case SystemKind.ADDED:
            return messages_pb2.SystemContent(members_added=messages_pb2.MembersAdded(user_ids=system.user_ids))
        case SystemKind.REMOVED:
            return messages_pb2.SystemContent(member_removed=messages_pb2.MemberRemoved(user_id=user_id))
        case SystemKind.LEFT:
            return messages_pb2.SystemContent(member_left=messages_pb2.MemberLeft())
        case SystemKind.JOINED:
            return messages_pb2.SystemContent(member_joined=messages_pb2.MemberJoined())
        case SystemKind.RENAMED:
            return messages_pb2.SystemContent(renamed=messages_pb2.GroupRenamed(title=system.title))
        case SystemKind.ROLE_CHANGED:
            role = ROLES[system.role or Role.MEMBER]
            return messages_pb2.SystemContent(role_changed=messages_pb2.RoleChanged(user_id=user_id, role=role))
        case SystemKind.VANISHING_CHANGED:
            changed = messages_pb2.VanishingChanged(vanish_after=to_duration(system.vanish_after))
            return messages_pb2.SystemContent(vanishing_changed=changed)
        case SystemKind.PINNED:
            return messages_pb2.SystemContent(message_pinned=messages_pb2.MessagePinned(seq=system.seq))


def _to_system(encoded: messages_pb2.SystemContent) -> SystemContent:
    match encoded.WhichOneof("event"):
        case "members_added":
            return SystemContent(SystemKind.ADDED, tuple(UserId(user_id) for user_id in encoded.members_added.user_ids))
        case "member_removed":
            return SystemContent(SystemKind.REMOVED, (UserId(encoded.member_removed.user_id),))
        case "member_left":
            return SystemContent(SystemKind.LEFT)
        case "member_joined":
            return SystemContent(SystemKind.JOINED)
        case "renamed":
            return SystemContent(SystemKind.RENAMED, title=encoded.renamed.title)
        case "role_changed":
            changed = encoded.role_changed
            return SystemContent(SystemKind.ROLE_CHANGED, (UserId(changed.user_id),), role=ROLES_BACK[changed.role])
        case "vanishing_changed":
            length: timedelta = encoded.vanishing_changed.vanish_after.ToTimedelta()
            return SystemContent(SystemKind.VANISHING_CHANGED, vanish_after=length)
        case "message_pinned":
            return SystemContent(SystemKind.PINNED, seq=encoded.message_pinned.seq)
        case _:
            return SystemContent(SystemKind.CREATED)


# The table.

_TEXT = ContentForm(kinds.TEXT, "text", messages_pb2.TextContent, text_message, read_text)
_VOICE = ContentForm(kinds.VOICE, "voice", messages_pb2.VoiceContent, _voice_message, _to_voice)
_POLL = ContentForm(kinds.POLL, "poll", messages_pb2.PollContent, _poll_message, _to_poll)
_STICKER = ContentForm(kinds.STICKER, "sticker", messages_pb2.StickerContent, _sticker_message, _to_sticker)
_CALL = ContentForm(kinds.CALL, "call", messages_pb2.CallContent, _call_message, _to_call)
_SYSTEM = ContentForm(kinds.SYSTEM, "system", messages_pb2.SystemContent, _system_message, _to_system)
_UNSENT = ContentForm(kinds.UNSENT, "unsent", messages_pb2.Unsent, lambda _: messages_pb2.Unsent(), lambda _: Unsent())
_EXPIRED = ContentForm(
    kinds.EXPIRED, "expired", messages_pb2.Expired, lambda _: messages_pb2.Expired(), lambda _: Expired()
)

# By the name of the kind.
FORMS: dict[str, ContentForm[Any, Any]] = {
    form.kind.name: form for form in (_TEXT, _VOICE, _POLL, _STICKER, _CALL, _SYSTEM, _UNSENT, _EXPIRED)
}


# What reads the table.


def put_content(message: messages_pb2.Message | service_pb2.SendMessageRequest, content: Content) -> None:
    """Give the API's form of a message its content, or one that is to be sent, of a kind that devices send."""
    form = FORMS[kind_of(content).name]
    part = getattr(message, form.field)
    part.CopyFrom(form.to_wire(content))
    # An empty one, too.
    part.SetInParent()


def read_content(request: service_pb2.SendMessageRequest) -> Content | None:
    """What a device wants to send; None for nothing. Raises ValueError or OverflowError for what cannot be read."""
    form = _form_in(request)
    return form.from_wire(getattr(request, form.field)) if form else None


def kind_in(message: messages_pb2.Message) -> ContentKind[Any] | None:
    """The kind of a message of an event; None for one that this release does not know."""
    form = _form_in(message)
    return form.kind if form else None


def text_in(message: messages_pb2.Message) -> str:
    """What the search finds of a message of an event."""
    form = _form_in(message)
    return form.kind.text(form.from_wire(getattr(message, form.field))) if form and form.kind.text else ""


def withhold_in(message: messages_pb2.Message) -> None:
    """Make the content of a message of an event what is shown of it where the conversation was not let in."""
    form = _form_in(message)
    if form and form.kind.withhold:
        part = getattr(message, form.field)
        part.CopyFrom(form.to_wire(form.kind.withhold(form.from_wire(part))))


def _form_in(message: messages_pb2.Message | service_pb2.SendMessageRequest) -> ContentForm[Any, Any] | None:
    field = message.WhichOneof("content")
    return next((form for form in FORMS.values() if form.field == field), None)
