"""Tokens of places that clients hold (sync, pages): read back as made, or refused."""

from uuid import UUID

from services.messaging.kernel.errors import InvalidField, SyncTokenUnknown
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.paging import (
    decode_page_mark,
    decode_user_mark,
    encode_page_mark,
    encode_user_mark,
)
from services.messaging.sync.core.account import Mark, SyncToken
from services.messaging.sync.core.tokens import decode_sync_token, encode_sync_token

_ALICE = UserId("alice")
_MADE = encode_sync_token(SyncToken(UUID(int=1), Mark(2, ConversationId(UUID(int=3))), 4, None), _ALICE)
SEEDS = (_MADE.encode(), b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", b"AAAAAAAAAABhbGljZQ==", b"_" * 32, "é".encode(), b"")


def fuzz(data: bytes) -> None:
    """Raises for anything but the documented refusals, and for a token that reads otherwise when made again."""
    text = data.decode("utf-8", "replace")
    try:
        token = decode_sync_token(text, _ALICE)
        assert token is None or decode_sync_token(encode_sync_token(token, _ALICE), _ALICE) == token
    except SyncTokenUnknown:
        pass
    try:
        mark = decode_page_mark(text)
        assert mark is None or decode_page_mark(encode_page_mark(mark)) == mark
    except InvalidField:
        pass
    try:
        person = decode_user_mark(text)
        assert person is None or decode_user_mark(encode_user_mark(*person)) == person
    except InvalidField:
        pass
