"""What one participant may cost, so that a hostile one does not slow the others."""

from typing import Final

# What a publisher may send: bytes a second, with so many more for each packet, which costs the same whatever is in it.
# Together at most 2,800 packets/s of voice, or 12 Mbit/s in large ones (its feedback stops at 5 Mbit/s: uplink.py).
# Higher: more for who floods, times all receivers. Lower: a rich screen share with repairs is cut.
MAX_MEDIA_PER_S: Final = 2_500_000
PACKET_COST: Final = 800
# RTCP packets a second, a long one counted as more: one and one for so many bytes. So 300 small
# ones, or 38 of the largest. Higher: more for who storms, at 50 us each. Lower: feedback on bad paths is cut.
MAX_CONTROL_PER_S: Final = 300
CONTROL_BYTES: Final = 200
# Datagrams of DTLS a second: the handshake, then the data channel (channel_guard.py). Higher: more for who storms, with
# records that only OpenSSL can tell from good ones. Lower: what a client says on its channel is cut.
MAX_DTLS_PER_S: Final = 512
# Changes of what a participant sends that all slots follow at once, a second: a stream begins, or ends. What is more
# waits for a tick. Higher: more for who flickers, up to 1.4 ms each in a call of 30. Lower: pictures come late.
MAX_CHANGES_PER_S: Final = 10
# Checks of ICE a second, each answered. Higher: more for who storms, at 150 us each. Lower: clients with many networks,
# which check each 50 ms a pair, connect late.
MAX_CHECKS_PER_S: Final = 200
# Sequence numbers in NACKs a second, each a look into a ring. Higher: more for who storms. Lower: bad paths stay bad.
MAX_NACKED_PER_S: Final = 2000


class Budget:
    """So much a second, counted in windows of one."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._spent = 0
        self._began = -1.0

    def spend(self, amount: int, now: float) -> bool:
        """Whether there was still something left; what goes beyond it a little is let through once."""
        if now - self._began >= 1.0:
            self._spent, self._began = 0, now
        left = self._spent < self._per_s
        self._spent += amount
        return left
