"""Sync tokens as devices hold them: opaque, versioned, good for one person."""

import base64
import binascii
import hashlib
import struct
from uuid import UUID

from services.messaging.core.account_sync import Mark, SyncToken, Walk
from services.messaging.core.errors import SyncTokenUnknown
from services.messaging.core.model import ConversationId, UserId

# Version, whose it is, epoch, whether it is the first, mark, then the walk: -1 for none.
_FORM = struct.Struct(">B8s16s?q16sqq")
_VERSION = 1
_NONE = -1


def encode_sync_token(token: SyncToken, user_id: UserId) -> str:
    """88 characters."""
    until, horizon = (token.walk.until, token.walk.horizon) if token.walk else (_NONE, _NONE)
    raw = _FORM.pack(
        *(_VERSION, _owner(user_id), token.epoch.bytes, token.is_first),
        *(token.mark.position, token.mark.conversation_id.bytes, until, horizon),
    )
    return base64.urlsafe_b64encode(raw).decode()


def decode_sync_token(text: str, user_id: UserId) -> SyncToken | None:
    """None for a device that has nothing yet. Raises SyncTokenUnknown for what is not this person's or this version's.

    A forged one shows its maker nothing that is not the maker's: it only says where to go on.
    """
    if not text:
        return None
    try:
        raw = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
        version, owner, epoch, is_first, position, mark, until, horizon = _FORM.unpack(raw)
    except (ValueError, binascii.Error, struct.error) as error:
        raise SyncTokenUnknown from error
    if version != _VERSION or owner != _owner(user_id):
        raise SyncTokenUnknown
    walk = Walk(until, horizon) if until != _NONE else None
    return SyncToken(UUID(bytes=epoch), Mark(position, ConversationId(UUID(bytes=mark))), is_first, walk)


def _owner(user_id: UserId) -> bytes:
    return hashlib.sha256(user_id.encode()).digest()[:8]
