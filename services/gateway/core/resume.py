"""Resume tokens: what a device shows to go on where its stream broke."""

import base64
import binascii
import hmac
import struct
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256

from services.gateway.core.errors import GatewayError

_PAYLOAD = struct.Struct(">B8sQ")
_VERSION = 1
_MAC_BYTES = 16
_TOKEN_BYTES = _PAYLOAD.size + _MAC_BYTES
_MAX_CHARS = 64
GATEWAY_ID_BYTES = 8


class Outcome(Enum):
    """What became of the wish to resume. All but RESUMED are a fresh start."""

    RESUMED = "resumed"
    # No token was shown.
    FRESH = "fresh"
    # Not signed by us, or for another user or device.
    FORGED = "forged"
    # Of another gateway, or of this one before it was started anew.
    ELSEWHERE = "elsewhere"
    # The window is over, or the session was given up.
    EXPIRED = "expired"
    # What is missing is not kept any more, or the position was never reached.
    GAP = "gap"


class NotResumable(GatewayError):
    """The token names no session of this gateway; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class ResumeTokens:
    """Makes and reads tokens: HMAC-SHA256 over gateway, session, user and device, with keys derived from `keys`.

    The first signs, all are believed. A token has no time of its own: it is good for as long as this gateway keeps the
    session.
    """

    def __init__(self, keys: Sequence[bytes], gateway_id: bytes) -> None:
        self._keys = [hmac.digest(key, b"parley-resume-token-1", sha256) for key in keys]
        self._gateway_id = gateway_id

    def issue(self, session_id: int, user_id: str, device_id: str) -> str:
        """A token for this session of this gateway."""
        payload = _PAYLOAD.pack(_VERSION, self._gateway_id, session_id)
        mac = _sign(self._keys[0], payload, user_id, device_id)
        return base64.urlsafe_b64encode(payload + mac).rstrip(b"=").decode()

    def read(self, token: str, user_id: str, device_id: str) -> int:
        """The session that the token names. Raises NotResumable."""
        if not token:
            raise NotResumable(Outcome.FRESH)
        data = _decode(token)
        payload, mac = data[: _PAYLOAD.size], data[_PAYLOAD.size :]
        if len(data) != _TOKEN_BYTES or not self._signed_by_us(payload, mac, user_id, device_id):
            raise NotResumable(Outcome.FORGED)
        _, gateway_id, session_id = _PAYLOAD.unpack(payload)
        if gateway_id != self._gateway_id:
            raise NotResumable(Outcome.ELSEWHERE)
        return int(session_id)

    def _signed_by_us(self, payload: bytes, mac: bytes, user_id: str, device_id: str) -> bool:
        return any(hmac.compare_digest(mac, _sign(key, payload, user_id, device_id)) for key in self._keys)


def _sign(key: bytes, payload: bytes, user_id: str, device_id: str) -> bytes:
    # Neither id holds a space.
    return hmac.digest(key, payload + f"{user_id} {device_id}".encode(), sha256)[:_MAC_BYTES]


def _decode(token: str) -> bytes:
    if len(token) > _MAX_CHARS or not token.isascii():
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
