"""What is asked, what may be answered, and what an answer makes of what was written.

Answers come from outside: what does not fit what was asked is no answer (UnfitVerdict).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

import regex

from services.messaging.kernel import checks
from services.messaging.kernel.content import Content, LinkPreview, Mention, Text, leads_to
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.links import as_read
from services.messaging.kernel.model import Attachment, ConversationId, UserId

# What all of a text becomes: its length is not told.
ALL_MASKED = "***"
_SHOWN = regex.compile(r"\0+")
_REASON = regex.compile(r"[A-Z0-9_]{0,64}")


class Writing(Enum):
    """What is written."""

    MESSAGE = "message"
    EDIT = "edit"
    GROUP_TITLE = "title"


class Surface(Enum):
    """Where it is written. Strangers come first: REQUEST is where nobody else has let the conversation in."""

    REQUEST = "request"
    DIRECT = "direct"
    GROUP = "group"


@dataclass(frozen=True)
class Question:
    """One thing that somebody writes. A title is a text, of a conversation that may not be there yet."""

    check_id: UUID
    writing: Writing
    surface: Surface
    sender_id: UserId
    content: Content
    asked_at: datetime
    conversation_id: ConversationId | None = None
    client_message_id: str = ""
    # Of an edit.
    seq: int = 0
    reply_to_seq: int = 0
    attachments: tuple[Attachment, ...] = ()
    # Of direct conversations: the other one.
    peer_id: UserId | None = None
    by_server: bool = False
    # Of a message that came from another conversation.
    forwarded: bool = False
    # Of a message whose file each recipient opens once.
    view_once: bool = False


@dataclass(frozen=True)
class Allow:
    """It passes as it is."""


@dataclass(frozen=True)
class Replace:
    """It passes with another text."""

    text: Text


@dataclass(frozen=True)
class Mask:
    """It passes with stars for these spans, each an offset and a length in code points; none: for all of it."""

    spans: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Hold:
    """It waits for a person."""

    reason: str = ""


@dataclass(frozen=True)
class Refuse:
    """It is not taken."""

    reason: str = ""


Verdict = Allow | Replace | Mask | Hold | Refuse


class UnfitVerdict(ValueError):
    """An answer that does not fit what was asked."""


def checked_reason(value: str) -> str:
    """The hook's own word for why, as it is passed on; empty for what is no such word."""
    return value if _REASON.fullmatch(value) else ""


def content_after(question: Question, verdict: Allow | Replace | Mask, text_chars: int) -> Content:
    """What is stored of what was written. `text_chars` as for senders. Raises UnfitVerdict."""
    if isinstance(verdict, Allow):
        return question.content
    if not isinstance(question.content, Text):
        raise UnfitVerdict("there is no text to change")
    if isinstance(verdict, Mask):
        return masked(question.content, verdict.spans)
    try:
        return _replaced(question, question.content, verdict.text, text_chars)
    except InvalidField as error:
        raise UnfitVerdict(f"{error.field} of the new text: {error}") from error


def masked(text: Text, spans: Sequence[tuple[int, int]]) -> Text:
    """The text with a star for each code point of the spans, without the links and mentions that they touch, nor a
    preview whose link goes, or that says what became stars; without spans, three stars. Raises UnfitVerdict for a span
    that is not in the text."""
    if not spans:
        return Text(ALL_MASKED, masked=True)
    hidden = bytearray(len(text.text))
    for offset, length in spans:
        if offset < 0 or length < 1 or offset + length > len(hidden):
            raise UnfitVerdict("a span does not lie within the text")
        hidden[offset : offset + length] = b"\x01" * length
    stars = "".join("*" if is_hidden else char for char, is_hidden in zip(text.text, hidden, strict=True))
    whole = [each for each in text.entities if not any(hidden[each.offset : each.offset + each.length])]
    left = Text(stars, tuple(whole), masked=True)
    if text.preview is None or not leads_to(left, text.preview.url):
        return left
    words = "".join(char if is_hidden else "\0" for char, is_hidden in zip(text.text, hidden, strict=True))
    return left if _says(text.preview, _SHOWN.split(words)) else replace(left, preview=text.preview)


def _says(preview: LinkPreview, words: Iterable[str]) -> bool:
    said = as_read(f"{preview.title} {preview.description} {preview.site_name}")
    return any(read in said for word in words if (read := as_read(word).strip()))


def _replaced(question: Question, asked: Text, text: Text, text_chars: int) -> Text:
    if question.writing is Writing.GROUP_TITLE:
        return Text(checks.check_title(text.text))
    checks.check_text(text.text, text_chars)
    checked = checks.check_preview(checks.check_entities(text.text, text.entities), text.preview)
    known = {entity.user_id for entity in asked.entities if isinstance(entity, Mention)}
    if not known.issuperset(entity.user_id for entity in checked.entities if isinstance(entity, Mention)):
        raise UnfitVerdict("the new text mentions somebody whom the sender did not")
    return checked
