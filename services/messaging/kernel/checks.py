"""Bounds of what requests may hold. Each check gives the value back, or raises InvalidField naming the field."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

import regex

from services.messaging.kernel.characters import check_storable, has_tower, is_blank, normalized
from services.messaging.kernel.content import (
    Content,
    Entity,
    Link,
    LinkPreview,
    Text,
    address_of,
    kind_of,
    leads_to,
    text_of,
)
from services.messaging.kernel.emojis import qualified
from services.messaging.kernel.errors import InvalidField, StickerHostNotAllowed
from services.messaging.kernel.links import host_of, names_its_host
from services.messaging.kernel.model import Attachment, UserId
from services.messaging.kernel.pictures import picture_host
from services.runtime.client_ids import CLIENT_ID_RULE, is_client_id
from services.runtime.user_ids import USER_ID_RULE, is_user_id
from services.runtime.uuids import parse_id

MAX_TITLE_CHARS = 100
MAX_AVATAR_REF_CHARS = 512
MAX_ENTITIES = 50
MAX_URL_CHARS = 2_048
# Of what a preview says of a page. Raising it makes bigger messages and events.
MAX_PREVIEW_TITLE_CHARS, MAX_PREVIEW_DESCRIPTION_CHARS, MAX_SITE_NAME_CHARS = 200, 400, 100
# How the media types of pictures and videos begin.
_SEEN = ("image/", "video/")

_BREAKS = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}]")
_UNFIT_FOR_TITLES = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]|\p{Noncharacter_Code_Point}")


def check_text(text: str, limit: int, *, may_be_empty: bool = False) -> str:
    """The text unchanged; `limit` in code points. Raises InvalidField when nothing of it can be seen, when it is too
    long, and as check_storable does."""
    if not may_be_empty and is_blank(text):
        raise InvalidField("text.text", "is empty")
    if len(text) > limit:
        raise InvalidField("text.text", f"has {len(text)} characters; at most {limit} are allowed")
    return check_storable("text.text", text)


def check_client_id(field_name: str, value: str) -> str:
    """A client's idempotency key. Raises InvalidField."""
    if not is_client_id(value):
        raise InvalidField(field_name, CLIENT_ID_RULE)
    return value


def check_user_id(field_name: str, value: str) -> UserId:
    """A user's id. Raises InvalidField."""
    if not is_user_id(value):
        raise InvalidField(field_name, USER_ID_RULE)
    return UserId(value)


def check_uuid(field_name: str, value: str) -> UUID:
    """An id of ours. Raises InvalidField unless it is a UUID in the usual form of 36 characters."""
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidField(field_name, "must be a UUID")
    return parsed


def check_range(field_name: str, value: int, default: int, high: int) -> int:
    """A count from 1 to high, with 0 for the default. Raises InvalidField."""
    if value == 0:
        return default
    if not 0 < value <= high:
        raise InvalidField(field_name, f"must be 1 to {high}, or 0 for {default}")
    return value


def check_seq(field_name: str, value: int) -> int:
    """A sequence number or 0. Raises InvalidField when it is negative."""
    if value < 0:
        raise InvalidField(field_name, "must not be negative")
    return value


def check_entities(text: str, entities: Sequence[Entity]) -> Text:
    """A text with what its parts mean: within the text, ascending, not overlapping; links are http or https, and lead
    to the host that their text names, if it names one."""
    if len(entities) > MAX_ENTITIES:
        raise InvalidField("text.entities", f"has {len(entities)} entries; at most {MAX_ENTITIES} are allowed")
    end = 0
    for entity in entities:
        if entity.offset < end or entity.length < 1 or entity.offset + entity.length > len(text):
            raise InvalidField("text.entities", "must lie within the text, ascend, and not overlap")
        end = entity.offset + entity.length
        if isinstance(entity, Link):
            check_link(text, entity)
        else:
            check_user_id("text.entities.mention_user_id", entity.user_id)
    return Text(text, tuple(entities))


def check_preview(text: Text, preview: LinkPreview | None) -> Text:
    """The text with a preview of one of its links; of what is claimed of the page, only the form is looked at. Raises
    InvalidField."""
    if preview is None:
        return text
    check_url(preview.url, "text.preview.url")
    if not leads_to(text, preview.url):
        raise InvalidField("text.preview.url", "is neither the address of a link of the text nor a word of it")
    if is_blank(preview.title):
        raise InvalidField("text.preview.title", "is empty")
    _check_line("text.preview.title", preview.title, MAX_PREVIEW_TITLE_CHARS)
    _check_line("text.preview.description", preview.description, MAX_PREVIEW_DESCRIPTION_CHARS)
    _check_line("text.preview.site_name", preview.site_name, MAX_SITE_NAME_CHARS)
    return replace(text, preview=preview)


def _check_line(field_name: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise InvalidField(field_name, f"has {len(value)} characters; at most {limit} are allowed")
    if _BREAKS.search(check_storable(field_name, value)):
        raise InvalidField(field_name, "must hold no controls or line breaks")
    # It would write over the host, which stands in the line above.
    if has_tower(value):
        raise InvalidField(field_name, "has too many marks on one character")


def check_content(content: Content, attachment_ids: Sequence[str]) -> Content:
    """What a device sends, as the row of its kind checks it, with the files that it names and no others. Raises
    InvalidField."""
    kind = kind_of(content)
    if kind.check is None:
        raise InvalidField("content", "is of a kind that is not sent so")
    checked: Content = kind.check(content)
    named = list(kind.files(checked)) if kind.files else []
    if [check_uuid("attachment_ids", value) for value in attachment_ids] != named:
        raise InvalidField("attachment_ids", "must be the files that the content names, and no others")
    return checked


def check_files(content: Content, attachments: Sequence[Attachment]) -> None:
    """Whether a content may be made of these files. Raises InvalidField."""
    file_type = kind_of(content).file_type
    if not all(each.content_type.startswith(file_type) for each in attachments):
        raise InvalidField("attachment_ids", f"must be of type {file_type}*")


def check_view_once(content: Content, attachments: Sequence[Attachment]) -> None:
    """Whether a message of these can be one that is opened once. Raises InvalidField."""
    types = kind_of(content).file_type or _SEEN
    if text_of(content) or len(attachments) != 1 or not attachments[0].content_type.startswith(types):
        raise InvalidField("view_once", "goes with one picture or video without a text, or with a voice message")


def check_provider(content: Content, allowed_hosts: Collection[str]) -> None:
    """Whether devices may load what shows a content. Raises StickerHostNotAllowed."""
    address = address_of(content)
    if address and picture_host(address) not in allowed_hosts:
        raise StickerHostNotAllowed


def check_link(text: str, link: Link) -> None:
    """A link whose text names no other host than the one it leads to. Raises InvalidField."""
    check_url(link.url)
    if not names_its_host(text, link.offset, link.offset + link.length, link.url):
        raise InvalidField("text.entities.link_url", "leads to another host than the text of the link names")


def check_url(url: str, field_name: str = "text.entities.link_url") -> str:
    """An http or https address that every program reads alike (links.host_of)."""
    is_clean = url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARS
    if not is_clean or host_of(url) is None:
        problem = "must be an http or https address, without credentials or a backslash"
        raise InvalidField(field_name, problem)
    return url


def check_title(value: str) -> str:
    """A group's title, in NFC. Raises InvalidField where nothing can be seen, and for controls, breaks of lines, what
    turns the direction of reading for what follows, and towers of marks that reach into other lines."""
    title = normalized("NFC", check_storable("title", value))
    if is_blank(title) or len(title) > MAX_TITLE_CHARS:
        raise InvalidField("title", f"must have 1 to {MAX_TITLE_CHARS} characters, some of which can be seen")
    if _UNFIT_FOR_TITLES.search(title):
        raise InvalidField("title", "must hold no controls, line breaks, or marks that turn the direction of reading")
    if has_tower(value):
        raise InvalidField("title", "has too many marks on one character")
    return title


def check_avatar_ref(value: str) -> str:
    """A reference to a picture; empty for none."""
    if len(value) > MAX_AVATAR_REF_CHARS or not value.isascii() or not (value.isprintable() or not value):
        raise InvalidField("avatar_ref", f"must have at most {MAX_AVATAR_REF_CHARS} printable ASCII characters")
    return value


def check_emoji(value: str) -> str:
    """One emoji in its fully-qualified spelling. Raises InvalidField for what is not one RGI emoji of Unicode."""
    known = qualified(value)
    if known is None:
        raise InvalidField("emoji", "must be one emoji (of Unicode's RGI set)")
    return known


def check_users(field_name: str, values: Sequence[str], limit: int) -> tuple[UserId, ...]:
    """Some people, each once, in the order given."""
    if len(values) > limit:
        raise InvalidField(field_name, f"has {len(values)} entries; at most {limit} are allowed")
    return tuple(dict.fromkeys(check_user_id(field_name, value) for value in values))
