"""The datagrams between two workers: AES-128-GCM (RFC 5116) under a key for each direction of each leg.

    0x0E | leg (8) | session (6) | number (6) | sealed frame and tag (16)

The first byte is one of those that no protocol on a media port begins with (RFC 9443 section 3). All before the sealed
frame is authenticated with it, and the last twelve bytes of that are the nonce: a session, which is when the sending
side was set up, and a number within it. So a key never meets the same nonce twice.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.relay_frames import ID_BYTES
from services.sfu.core.wire.replay_window import ReplayWindow

FIRST_BYTE: Final = 0x0E
_HALF: Final = 6
_NONCE_AT: Final = 1 + ID_BYTES
_SEALED_AT: Final = _NONCE_AT + 2 * _HALF
_TAG: Final = 16
# What a leg adds to a frame.
OVERHEAD: Final = _SEALED_AT + _TAG
_NUMBERS: Final = 1 << 8 * _HALF


class Sealer:
    """The sending side of a leg. `session` must be greater than that of any other under the same key: Unix time in
    milliseconds."""

    def __init__(self, leg_id: bytes, key: bytes, session: int) -> None:
        self._cipher = AESGCM(key)
        self._head = bytes((FIRST_BYTE,)) + leg_id + (session % _NUMBERS).to_bytes(_HALF, "big")
        self._number = 0

    def seal(self, frame: bytes) -> bytes:
        """The datagram of a frame."""
        self._number += 1
        head = self._head + self._number.to_bytes(_HALF, "big")
        return head + self._cipher.encrypt(head[_NONCE_AT:], frame, head)


def leg_id_of(datagram: bytes) -> bytes:
    """The id of the leg that a datagram says it is of; PacketError("relay_malformed") when it is cut short."""
    if len(datagram) < OVERHEAD:
        raise PacketError("relay_malformed")
    return datagram[1:_NONCE_AT]


class Opener:
    """The receiving side of a leg. `window`: what has come under its key so far."""

    def __init__(self, key: bytes, window: ReplayWindow | None = None) -> None:
        self._cipher = AESGCM(key)
        self._window = window or ReplayWindow()

    def open(self, datagram: bytes) -> bytes:
        """The frame of a datagram that `leg_id_of` has looked at; PacketError: relay_replayed, relay_forged."""
        head = datagram[:_SEALED_AT]
        session = int.from_bytes(head[_NONCE_AT : _NONCE_AT + _HALF], "big")
        number = int.from_bytes(head[_NONCE_AT + _HALF :], "big")
        if not self._window.is_fresh(session, number):
            raise PacketError("relay_replayed")
        try:
            frame = self._cipher.decrypt(head[_NONCE_AT:], datagram[_SEALED_AT:], head)
        except InvalidTag:
            raise PacketError("relay_forged") from None
        self._window.note(session, number)
        return frame
