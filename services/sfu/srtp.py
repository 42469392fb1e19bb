"""SRTP through pylibsrtp's binding, called directly: its Session costs a third more a packet, in copies."""

import sys
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import pylibsrtp
from pylibsrtp._binding import ffi, lib

from services.sfu.core.errors import PacketError

# Tag, and for SRTCP its index; MKIs are not used.
MAX_TRAILER: Final = 32
_MIN_RTP: Final = 12
_MIN_RTCP: Final = 8

_OK: Final = 0
# Looked up once: they are called for each packet.
_protect_rtp: Final = lib.srtp_protect
_unprotect_rtp: Final = lib.srtp_unprotect
# srtp_err_status_t: auth_fail, replay_fail, replay_old.
_REASONS: Final = {7: "srtp_forged", 9: "srtp_replayed", 10: "srtp_replayed"}


class PacketBuffer:
    """Memory for one packet that Python and libsrtp both work on in place."""

    SIZE: ClassVar[int] = 2048

    def __init__(self) -> None:
        self._memory = bytearray(self.SIZE)
        self.view = memoryview(self._memory)
        self.pointer: Any = ffi.from_buffer(self._memory)
        self.address = int(ffi.cast("uintptr_t", self.pointer))


MAX_CLEAR: Final = PacketBuffer.SIZE - MAX_TRAILER


class SrtpSession:
    """The keys of one participant, both ways. Not safe for threads."""

    def __init__(self, rx: pylibsrtp.Session, tx: pylibsrtp.Session) -> None:
        # Both own the native contexts behind the handles.
        self._sessions = (rx, tx)
        self._rx: Any = rx._srtp[0]
        self._tx: Any = tx._srtp[0]
        self._size: Any = ffi.new("int *")

    def unprotect_rtp(self, buffer: PacketBuffer, size: int) -> bytes:
        """The clear RTP packet; PacketError: srtp_malformed, srtp_forged, srtp_replayed, srtp_invalid."""
        if size < _MIN_RTP:
            raise PacketError("srtp_malformed")
        length = self._size
        length[0] = size
        status = _unprotect_rtp(self._rx, buffer.pointer, length)
        if status:
            raise PacketError(_REASONS.get(status, "srtp_invalid"))
        clear: bytes = ffi.unpack(buffer.pointer, length[0])
        return clear

    def forget(self, ssrc: bytes) -> None:
        """Free what is kept of a received stream, by the four bytes of its SSRC; nothing for one that is not known."""
        # libsrtp wants the SSRC as it stands on the wire.
        lib.srtp_remove_stream(self._rx, int.from_bytes(ssrc, sys.byteorder))

    def unprotect_rtcp(self, buffer: PacketBuffer, size: int) -> bytes:
        """The clear RTCP packet; errors as above."""
        if size < _MIN_RTCP:
            raise PacketError("srtp_malformed")
        self._size[0] = size
        status = lib.srtp_unprotect_rtcp(self._rx, buffer.pointer, self._size)
        if status != _OK:
            raise PacketError(_REASONS.get(status, "srtp_invalid"))
        return bytes(buffer.view[: self._size[0]])

    def protect_rtp(self, buffer: PacketBuffer, size: int) -> int:
        """Encrypt the packet in place; gives its new size. PacketError("srtp_not_protected") if libsrtp refuses."""
        if size > MAX_CLEAR:
            raise PacketError("srtp_not_protected")
        length = self._size
        length[0] = size
        if _protect_rtp(self._tx, buffer.pointer, length):
            raise PacketError("srtp_not_protected")
        new_size: int = length[0]
        return new_size

    def protect_all(self, buffers: Sequence[PacketBuffer], sizes: Sequence[int]) -> list[int]:
        """Encrypt RTP packets in place; gives their new sizes, 0 for one that libsrtp refuses."""
        context, length = self._tx, self._size
        new_sizes: list[int] = []
        for buffer, size in zip(buffers, sizes, strict=True):
            length[0] = size
            is_refused = size > MAX_CLEAR or _protect_rtp(context, buffer.pointer, length)
            new_sizes.append(0 if is_refused else length[0])
        return new_sizes

    def protect_rtcp(self, buffer: PacketBuffer, size: int) -> int:
        """Encrypt the compound packet in place; gives its new size."""
        if size > MAX_CLEAR:
            raise PacketError("srtp_not_protected")
        self._size[0] = size
        if lib.srtp_protect_rtcp(self._tx, buffer.pointer, self._size) != _OK:
            raise PacketError("srtp_not_protected")
        new_size: int = self._size[0]
        return new_size
