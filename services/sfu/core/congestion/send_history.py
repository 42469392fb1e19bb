"""What was sent to a receiver under which transport-wide number, so that its feedback can be understood."""

from typing import Final

from services.sfu.core.wire.transport_cc import Feedback

# A packet that the receiver told of: when it was sent, when it arrived (None: lost), each in seconds of its own end's
# clock, and its bytes. A plain tuple, because one is made for each packet that is forwarded.
Sent = tuple[float, float | None, int]


# A power of two: packets under way at 4 Mbit/s over 2 s. Raising it costs memory for each receiver; lowering it loses
# what late feedback says.
HISTORY_SIZE: Final = 1024
_MASK: Final = HISTORY_SIZE - 1


class SendHistory:
    """Numbers the packets to one receiver, and remembers when they were sent and how large they were."""

    def __init__(self) -> None:
        self.next_number = 0
        self._sent: list[tuple[float, int] | None] = [None] * HISTORY_SIZE
        self._heard = -1

    @property
    def waiting_since(self) -> float | None:
        """When the first packet was sent after the last that was told of; None while there is none."""
        index = self._heard + 1
        if index >= self.next_number:
            return None
        sent = self._sent[max(index, self.next_number - HISTORY_SIZE) & _MASK]
        return None if sent is None else sent[0]

    def note(self, sent: tuple[float, int]) -> int:
        """The next 16-bit number, for a packet: when it is sent, and its bytes."""
        number = self.next_number
        self.next_number = number + 1
        self._sent[number & _MASK] = sent
        return number & 0xFFFF

    def resolve(self, feedback: Feedback) -> list[Sent]:
        """What the feedback says of packets that are still remembered, in their order.

        A packet is told of as arrived once; one that was told of as lost may be told of as arrived later.
        """
        mask = _MASK
        last = self.next_number - 1
        first = last - ((last - feedback.base) & 0xFFFF)
        oldest = self.next_number - HISTORY_SIZE
        results: list[Sent] = []
        for index, arrived_at in enumerate(feedback.arrivals, start=first):
            if index > last:
                break
            sent = self._sent[index & mask]
            if index < oldest or sent is None:
                continue
            if arrived_at is not None:
                self._sent[index & mask] = None
            elif index <= self._heard:
                continue
            results.append((sent[0], arrived_at, sent[1]))
            if index > self._heard:
                self._heard = index
        return results
