"""The guard of the data channel: what it lets through, the library reads at a bounded cost."""

from aiortc import rtcsctptransport

from services.sfu.core.session.channel_guard import ChannelGuard

_HEAD = bytes.fromhex("1388138800000000") + bytes(4)
SEEDS = (
    _HEAD + bytes.fromhex("0100001400000001000200000010001000000001"),
    _HEAD + bytes.fromhex("000300140000000100000000000000330a0b0c0d"),
    _HEAD + bytes.fromhex("030000140000000100020000000100000002 0003"),
    _HEAD + bytes.fromhex("c000000c0000000100010001"),
    _HEAD + bytes.fromhex("82000010000d000c0000000100000002"),
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a verdict, and for what the library does not refuse by a ValueError."""
    if ChannelGuard().admit(data, 1.0):
        return
    try:
        rtcsctptransport.parse_packet(data)
    except ValueError:
        return
