"""What one participant may cost, so that a hostile one does not slow the others."""

from typing import Final

# What a publisher may send: bytes a second, with so many more counted for each packet, which costs the same whatever is
# in it. Together at most 2,800 packets/s of voice, or 12 Mbit/s in large ones (feedback allows it 5 Mbit/s: uplink.py).
# Raising these lets a flood cost more, times all receivers; lowering them cuts a rich screen share with repairs.
MAX_MEDIA_PER_S: Final = 2_500_000
PACKET_COST: Final = 800
# RTCP packets a second; each this many bytes of a packet count as one more, so 300 small ones or 38 of the largest.
# Raising these lets a flood cost more, 50 us a packet; lowering them cuts feedback on bad paths.
MAX_CONTROL_PER_S: Final = 300
CONTROL_BYTES: Final = 200
# Datagrams of DTLS a second: the handshake, then the data channel (channel_guard.py). Raising it lets a flood cost
# more, with records that only OpenSSL can tell from good ones; lowering it cuts messages of the data channel.
MAX_DTLS_PER_S: Final = 512
# Changes a second of what a participant sends that all slots follow at once: a stream begins or ends. Further changes
# wait for a tick. Raising it lets a publisher that keeps changing cost more, up to 1.4 ms each in a call of 30;
# lowering it brings pictures later.
MAX_CHANGES_PER_S: Final = 10
# ICE checks a second, each of which is answered. Raising it lets a flood cost more, 150 us a check; lowering it delays
# clients with many networks, which send a check every 50 ms.
MAX_CHECKS_PER_S: Final = 200
# Sequence numbers in NACKs a second, each a look into a ring. Raising it lets a flood cost more; lowering it leaves
# losses on bad paths unrepaired.
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
