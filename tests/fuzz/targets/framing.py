"""Datagrams in a TCP stream: however the stream is cut, the same datagrams come out of it."""

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.framing import Deframer, frame

SEEDS = (frame(b"one") + frame(b"") + frame(b"two"), frame(bytes(1500)), b"\xff\xff", b"\x00")


def _feed(parts: list[bytes]) -> tuple[list[bytes], bool]:
    deframer, found = Deframer(), []
    try:
        for part in parts:
            found += deframer.feed(part)
    except PacketError:
        return found, True
    return found, False


def fuzz(data: bytes) -> None:
    """Raises for a stream that reads otherwise in pieces."""
    whole, is_lost = _feed([data])
    step = data[0] % 7 + 1 if data else 1
    pieces, is_lost_too = _feed([data[at : at + step] for at in range(0, len(data), step)])
    assert is_lost == is_lost_too
    # What stood whole before the fault may have been given already.
    assert pieces == whole or (is_lost and not whole)
    again, _ = _feed([b"".join(map(frame, whole))])
    assert again == whole
