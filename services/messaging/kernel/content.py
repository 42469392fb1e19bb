"""What a message can hold: one class and one row of KINDS for each kind.

Everything that treats kinds differently reads the row: unread counts, reactions, unsending, vanishing, search, reports,
what is shown in Requests, the size of answers, and the erasing of accounts. How a kind is stored and told is its row in
wire/contents.py, and in wire/storage.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

from services.messaging.kernel.characters import check_storable, is_blank
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.ids import AttachmentId, UserId
from services.messaging.kernel.links import stands_in
from services.messaging.kernel.pictures import MAX_PICTURE_URL_CHARS, picture_host
from services.messaging.kernel.role import Role

# Bytes of an answer that a part of a message takes beside its text.
PART_BYTES = 32


@dataclass(frozen=True)
class Content:
    """What a message holds; each kind is a frozen class of its own."""


ContentT = TypeVar("ContentT", bound=Content)


@dataclass(frozen=True)
class ContentKind(Generic[ContentT]):
    """What is true of a kind of content. What a row leaves out, the kind does not have."""

    # In messages.kind and in metrics.
    name: str
    content: type[ContentT]
    # A person said it: it counts as unread, can be reacted to, vanishes, and is erased with the sender's account.
    is_said: bool = False
    # Parley writes it down for its sender, whoever left or blocked whom meanwhile.
    is_record: bool = False
    # Nothing is left of what was said. It is told to whoever may have heard of the message before.
    is_gone: bool = False
    can_be_unsent: bool = False
    # What the search finds and a report copies.
    text: Callable[[ContentT], str] | None = None
    # What a report copies besides.
    beside: Callable[[ContentT], str] | None = None
    # As it is shown where the conversation was not let in; None: as it is.
    withhold: Callable[[ContentT], ContentT] | None = None
    # Bytes of an answer, near enough.
    weight: Callable[[ContentT], int] | None = None
    # Without a person whose account is deleted; None: it names nobody, or keeps whom it names.
    without: Callable[[ContentT, UserId], ContentT] | None = None
    # As a device may send it. Raises InvalidField. None: it comes in another way than by Messaging.send.
    check: Callable[[ContentT], ContentT] | None = None
    # The files that it is made of; a message of another kind that is sent so has none.
    files: Callable[[ContentT], Sequence[AttachmentId]] | None = None
    # How their media types begin.
    file_type: str = ""
    # Of a picture that devices load from a provider, which must be one that the operators allow; empty for none.
    address: Callable[[ContentT], str] | None = None
    # As it goes on into another conversation, with the ids of its files' copies there: nothing that tells whose it was,
    # or where it stood. None: it cannot be forwarded.
    forward: Callable[[ContentT, Mapping[AttachmentId, AttachmentId]], ContentT] | None = None


# Texts.


@dataclass(frozen=True)
class Mention:
    """A member's name in a text; offset and length in code points."""

    offset: int
    length: int
    user_id: UserId


@dataclass(frozen=True)
class Link:
    """An address in a text; offset and length in code points."""

    offset: int
    length: int
    url: str


Entity = Mention | Link


@dataclass(frozen=True)
class LinkPreview:
    """What the sender's device found behind a link of a text."""

    url: str
    title: str
    description: str = ""
    site_name: str = ""


@dataclass(frozen=True)
class Text(Content):
    text: str
    entities: tuple[Entity, ...] = ()
    # The network put stars in place of something in it.
    masked: bool = False
    preview: LinkPreview | None = None


def leads_to(text: Text, url: str) -> bool:
    """Whether this address stands behind a link of the text, or in it."""
    return any(isinstance(each, Link) and each.url == url for each in text.entities) or stands_in(text.text, url)


def preview_text(content: Text) -> str:
    """What is read of a text's preview; empty for none."""
    shown = content.preview
    return "\n".join(filter(None, (shown.title, shown.description, shown.site_name, shown.url))) if shown else ""


def _weigh_text(content: Text) -> int:
    parts = sum(PART_BYTES + len(str(each)) for each in content.entities)
    preview = PART_BYTES + len(preview_text(content).encode()) if content.preview else 0
    return len(content.text.encode()) + parts + preview


def _forward_text(content: Text, _: Mapping[AttachmentId, AttachmentId]) -> Text:
    # Whom it mentions may not be in the other conversation.
    return replace(content, entities=tuple(each for each in content.entities if isinstance(each, Link)))


TEXT = ContentKind(
    "text",
    Text,
    is_said=True,
    can_be_unsent=True,
    text=lambda content: content.text,
    beside=preview_text,
    # Without links, mentions and preview. An account that is deleted stays mentioned: these are another's words.
    withhold=lambda content: Text(content.text, masked=content.masked),
    weight=_weigh_text,
    forward=_forward_text,
)


# Voice messages.

MIN_VOICE, MAX_VOICE = timedelta(milliseconds=100), timedelta(minutes=15)
# Bytes. Raising it draws the sound more finely, and makes bigger messages and events.
MAX_WAVEFORM = 128


@dataclass(frozen=True)
class Voice(Content):
    """A sound that somebody spoke. `waveform`: its loudness in equal parts of its length, a byte each; may be empty."""

    # None where it is withheld.
    attachment_id: AttachmentId | None
    length: timedelta
    waveform: bytes = b""


def _check_voice(content: Voice) -> Voice:
    if content.attachment_id is None:
        raise InvalidField("voice.attachment_id", "is not set")
    if not MIN_VOICE <= content.length <= MAX_VOICE:
        raise InvalidField("voice.length", "must be 0.1 s to 15 min")
    if len(content.waveform) > MAX_WAVEFORM:
        raise InvalidField("voice.waveform", f"has {len(content.waveform)} bytes; at most {MAX_WAVEFORM} are allowed")
    return content


VOICE = ContentKind(
    "voice",
    Voice,
    is_said=True,
    can_be_unsent=True,
    # Nothing to fetch or to draw.
    withhold=lambda content: Voice(None, content.length),
    weight=lambda content: PART_BYTES + len(content.waveform),
    check=_check_voice,
    files=lambda content: [content.attachment_id] if content.attachment_id else [],
    file_type="audio/",
    forward=lambda content, copies: replace(
        content, attachment_id=copies[content.attachment_id] if content.attachment_id else None
    ),
)


# Polls. Their votes are state of the message, as reactions are: model.py.

MAX_QUESTION_CHARS, MAX_OPTION_CHARS = 300, 100
# Raising it makes bigger messages and events, which name who chose each option.
MIN_OPTIONS, MAX_OPTIONS = 2, 10


@dataclass(frozen=True)
class Poll(Content):
    """A question with options, of which a person may choose one, or several where it is `multiple`."""

    question: str
    options: tuple[str, ...]
    multiple: bool = False


def _check_poll(content: Poll) -> Poll:
    _check_words("poll.question", content.question, MAX_QUESTION_CHARS)
    if not MIN_OPTIONS <= len(content.options) <= MAX_OPTIONS:
        raise InvalidField("poll.options", f"must have {MIN_OPTIONS} to {MAX_OPTIONS} entries")
    for option in content.options:
        _check_words("poll.options", option, MAX_OPTION_CHARS)
    if len({option.strip() for option in content.options}) < len(content.options):
        raise InvalidField("poll.options", "has the same option twice")
    return content


def _check_words(field_name: str, words: str, limit: int) -> None:
    if is_blank(words) or len(words) > limit:
        raise InvalidField(field_name, f"must have 1 to {limit} characters, some of which can be seen")
    check_storable(field_name, words)


def _poll_text(content: Poll) -> str:
    return "\n".join((content.question, *content.options))


POLL = ContentKind(
    "poll",
    Poll,
    is_said=True,
    can_be_unsent=True,
    text=_poll_text,
    weight=lambda content: len(_poll_text(content).encode()) + PART_BYTES * len(content.options),
    check=_check_poll,
    # A new poll: nobody has voted in it.
    forward=lambda content, _: content,
)


# Stickers and GIFs, by address.

# Of a picture's width and height. Raising it lets pictures in that take much memory to show.
MAX_SIDE = 4_096
MAX_DESCRIPTION_CHARS = 300
MAX_PROVIDER_REF_CHARS = 128


@dataclass(frozen=True)
class Sticker(Content):
    """A picture that a provider keeps. `description`: what is to be seen. `provider_ref`: what the provider calls
    it."""

    # Empty where it is withheld.
    url: str
    width: int
    height: int
    description: str
    provider_ref: str = ""


def _check_sticker(content: Sticker) -> Sticker:
    if picture_host(content.url) is None:
        problem = f"must be an https address of at most {MAX_PICTURE_URL_CHARS} characters, its host in lower case"
        raise InvalidField("sticker.url", f"{problem}, and a path; without a user, a port or a fragment")
    for name, pixels in (("width", content.width), ("height", content.height)):
        if not 1 <= pixels <= MAX_SIDE:
            raise InvalidField(f"sticker.{name}", f"must be 1 to {MAX_SIDE} pixels")
    _check_words("sticker.description", content.description, MAX_DESCRIPTION_CHARS)
    ref = content.provider_ref
    if len(ref) > MAX_PROVIDER_REF_CHARS or not ref.isascii() or not (ref.isprintable() or not ref):
        problem = f"must have at most {MAX_PROVIDER_REF_CHARS} printable ASCII characters"
        raise InvalidField("sticker.provider_ref", problem)
    return content


STICKER = ContentKind(
    "sticker",
    Sticker,
    is_said=True,
    can_be_unsent=True,
    text=lambda content: content.description,
    beside=lambda content: content.url,
    # Nothing to load.
    withhold=lambda content: Sticker("", content.width, content.height, content.description),
    weight=lambda content: PART_BYTES + len((content.url + content.description + content.provider_ref).encode()),
    check=_check_sticker,
    forward=lambda content, _: content,
    address=lambda content: content.url,
)


# Calls.


class CallOutcome(Enum):
    COMPLETED = "completed"
    MISSED = "missed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True)
class CallRecord(Content):
    call_id: UUID
    video: bool
    outcome: CallOutcome
    length: timedelta
    # Who was in it, the caller first.
    participants: tuple[UserId, ...] = ()


def _call_without(content: CallRecord, user_id: UserId) -> CallRecord:
    return replace(content, participants=tuple(person for person in content.participants if person != user_id))


CALL = ContentKind(
    "call",
    CallRecord,
    is_said=True,
    is_record=True,
    weight=lambda content: sum(PART_BYTES + len(person) for person in content.participants),
    without=_call_without,
)


# System messages about a group. In the database and in metrics their kind is called `line`.


class SystemKind(Enum):
    """What a system message tells of a group."""

    CREATED = "created"
    ADDED = "added"
    REMOVED = "removed"
    LEFT = "left"
    JOINED = "joined"
    RENAMED = "renamed"
    ROLE_CHANGED = "role_changed"
    VANISHING_CHANGED = "vanishing_changed"
    PINNED = "pinned"


@dataclass(frozen=True)
class SystemContent(Content):
    """A system message about the conversation; the sender of the message is who did it."""

    kind: SystemKind
    user_ids: tuple[UserId, ...] = ()
    title: str = ""
    role: Role | None = None
    vanish_after: timedelta = timedelta(0)
    # Of the message that was pinned.
    seq: int = 0


# A group's history keeps who came and went, also when an account is deleted.
SYSTEM = ContentKind(
    "line",
    SystemContent,
    weight=lambda content: len(content.title.encode()) + sum(PART_BYTES + len(person) for person in content.user_ids),
)


# What is left of a message.


@dataclass(frozen=True)
class Unsent(Content):
    """The sender took it back; nothing of it is kept."""


@dataclass(frozen=True)
class Expired(Content):
    """Its time was over, or its sender's account was deleted; nothing of it is kept."""


UNSENT = ContentKind("unsent", Unsent, is_gone=True)
EXPIRED = ContentKind("expired", Expired, is_gone=True)


KINDS: dict[type[Content], ContentKind[Any]] = {
    kind.content: kind for kind in (TEXT, VOICE, POLL, STICKER, CALL, SYSTEM, UNSENT, EXPIRED)
}


def kind_of(content: Content) -> ContentKind[Any]:
    """The row of a content's kind."""
    return KINDS[type(content)]


def forwarded(content: ContentT, copies: Mapping[AttachmentId, AttachmentId]) -> ContentT:
    """As it goes on into another conversation. Raises ValueError for a kind that cannot be forwarded."""
    kind: ContentKind[ContentT] = kind_of(content)
    if kind.forward is None:
        raise ValueError(f"a message of kind {kind.name} cannot be forwarded")
    return kind.forward(content, copies)


def text_of(content: Content) -> str:
    """What the search finds of it; empty for none."""
    kind = kind_of(content)
    return kind.text(content) if kind.text else ""


def reported_text(content: Content) -> str:
    """What a report copies of it."""
    kind = kind_of(content)
    return "\n".join(filter(None, (text_of(content), kind.beside(content) if kind.beside else "")))


def address_of(content: Content) -> str:
    """Of the picture that devices load from a provider to show it; empty for none."""
    kind = kind_of(content)
    return kind.address(content) if kind.address else ""


def has_links(content: Content) -> bool:
    """Whether a part of it leads to an address."""
    return isinstance(content, Text) and any(isinstance(entity, Link) for entity in content.entities)


def without_preview(content: Content) -> Content:
    """Without what a text's preview claims of a page."""
    return replace(content, preview=None) if isinstance(content, Text) else content


def is_spoken(content: Content) -> bool:
    """Whether it is a voice message."""
    return isinstance(content, Voice)


def withheld(content: ContentT) -> ContentT:
    """What is shown of it where the conversation was not let in."""
    kind = kind_of(content)
    shown: ContentT = kind.withhold(content) if kind.withhold else content
    return shown


def weight_of(content: Content) -> int:
    """Bytes of an answer."""
    kind = kind_of(content)
    return kind.weight(content) if kind.weight else 0


def without(content: ContentT, user_id: UserId) -> ContentT:
    """What stays of it when this person's account is deleted, who is not its sender."""
    kind = kind_of(content)
    left: ContentT = kind.without(content, user_id) if kind.without else content
    return left
