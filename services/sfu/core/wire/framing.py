"""Datagrams in a byte stream (RFC 4571 section 2): two bytes of length, then the datagram."""

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.rtp import MAX_PACKET_SIZE

LENGTH_BYTES = 2


def frame(datagram: bytes) -> bytes:
    """The datagram as it goes into the stream. It has at most 65,535 bytes."""
    return len(datagram).to_bytes(LENGTH_BYTES, "big") + datagram


class Deframer:
    """Takes a stream apart. Holds one unfinished datagram at most."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The datagrams that are complete now; empty ones, which keep a path open, are left out.

        Raises PacketError("tcp_framing") for a length that no packet of a call has: the stream is lost then.
        """
        data = self._pending + data
        at, found = 0, []
        while len(data) - at >= LENGTH_BYTES:
            size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
            if size > MAX_PACKET_SIZE:
                raise PacketError("tcp_framing")
            end = at + LENGTH_BYTES + size
            if end > len(data):
                break
            if size:
                found.append(data[at + LENGTH_BYTES : end])
            at = end
        self._pending = data[at:]
        return found
