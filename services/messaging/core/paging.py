"""Opaque tokens for pages of conversations."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.messaging.core.errors import InvalidField
from services.messaging.core.model import ConversationId, PageMark

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_page_mark(mark: PageMark) -> str:
    """An opaque page token."""
    micros = (mark.active_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + mark.conversation_id.bytes).decode()


def decode_page_mark(token: str) -> PageMark | None:
    """The mark of a page token; None for the first page. Raises InvalidField for a token that is not ours."""
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        if len(raw) != 24:
            raise ValueError(token)
        active_at = _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big"))
    except (ValueError, OverflowError, binascii.Error, UnicodeEncodeError) as error:
        raise InvalidField("page_token", "is not a token that this service gave") from error
    return PageMark(active_at, ConversationId(UUID(bytes=raw[8:])))
