"""Sync tokens as devices hold them: opaque, versioned, good for one person."""

import base64
import binascii
import hashlib
import struct
from uuid import UUID

from services.messaging.kernel.errors import SyncTokenUnknown
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.sync.core.account import Mark, SyncToken

# Version, whose it is, epoch, mark, where the first walk began, horizon: -1 for none.
_FORM = struct.Struct(">B8s16sq16sqq")
# 1 was of walks that ended where they stood when they began.
_VERSION = 2
_NONE = -1


def encode_sync_token(token: SyncToken, user_id: UserId) -> str:
    """88 characters."""
    raw = _FORM.pack(
        *(_VERSION, _owner(user_id), token.epoch.bytes),
        *(token.mark.position, token.mark.conversation_id.bytes, token.begun_at),
        _NONE if token.horizon is None else token.horizon,
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
        version, owner, epoch, position, mark, begun_at, horizon = _FORM.unpack(raw)
    except (ValueError, binascii.Error, struct.error) as error:
        raise SyncTokenUnknown from error
    if version != _VERSION or owner != _owner(user_id):
        raise SyncTokenUnknown
    place = Mark(position, ConversationId(UUID(bytes=mark)))
    return SyncToken(UUID(bytes=epoch), place, begun_at, None if horizon == _NONE else horizon)


def _owner(user_id: UserId) -> bytes:
    return hashlib.sha256(user_id.encode()).digest()[:8]
