"""Opaque tokens for pages of conversations, of people and of messages."""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.messaging.kernel.checks import check_user_id
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import ConversationId, PageMark, UserId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Fits the store's numbers.
_SEQ = re.compile(r"[1-9][0-9]{0,17}")


def encode_page_mark(mark: PageMark) -> str:
    """An opaque page token."""
    return _encode(mark.active_at, mark.conversation_id.bytes)


def decode_page_mark(token: str) -> PageMark | None:
    """The mark of a page token; None for the first page. Raises InvalidField for a token that is not ours."""
    if not token:
        return None
    active_at, rest = _decode(token)
    if len(rest) != 16:
        raise _foreign()
    return PageMark(active_at, ConversationId(UUID(bytes=rest)))


def encode_user_mark(time: datetime, user_id: UserId) -> str:
    """An opaque page token of a list of people by time."""
    return _encode(time, user_id.encode())


def decode_user_mark(token: str) -> tuple[datetime, UserId] | None:
    """As decode_page_mark."""
    if not token:
        return None
    time, rest = _decode(token)
    try:
        return time, check_user_id("page_token", rest.decode())
    except UnicodeDecodeError as error:
        raise _foreign() from error


def encode_seq(seq: int) -> str:
    """An opaque page token of a list within one conversation."""
    return str(seq)


def decode_seq(token: str) -> int | None:
    """As decode_page_mark."""
    if not token:
        return None
    if not _SEQ.fullmatch(token):
        raise _foreign()
    return int(token)


def _encode(time: datetime, rest: bytes) -> str:
    micros = (time - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + rest).decode()


def _decode(token: str) -> tuple[datetime, bytes]:
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big")), raw[8:]
    except (ValueError, OverflowError, binascii.Error, UnicodeEncodeError) as error:
        raise _foreign() from error


def _foreign() -> InvalidField:
    return InvalidField("page_token", "is not a token that this service gave")
