"""A bottleneck with a queue, jitter and loss, on a clock of its own, around a receiver's path."""

from dataclasses import dataclass, field
from random import Random

from services.sfu.core.congestion.arrival_log import ArrivalLog
from services.sfu.core.congestion.downlink import DownlinkPath

PACKET = 1100


@dataclass
class Link:
    """What a packet goes through: `rate_bps` behind a queue of at most `queue_s`, `delay_s` and noise each way."""

    rate_bps: float
    delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    queue_s: float = 1.0
    random: Random = field(default_factory=lambda: Random(5))
    free_at: float = 0.0

    def arrival(self, size: int, now: float) -> float | None:
        """When a packet arrives, or None."""
        start = max(now, self.free_at)
        if start - now > self.queue_s or self.random.random() < self.loss:
            return None
        self.free_at = start + size * 8 / self.rate_bps
        return self.free_at + self.delay_s + self.random.uniform(-self.jitter_s, self.jitter_s)


class Call:
    """Sends frames of `media_bps` down a path over a link, with probes, feedback and reports, 30 frames a second.

    Feedback comes back at once, or over a link `back`, which carries `up_bps` of the receiver's own media too.
    """

    def __init__(
        self, link: Link, media_bps: float = 500_000.0, *, back: Link | None = None, up_bps: float = 0.0
    ) -> None:
        self.link = link
        self.back = back
        self.up_bps = up_bps
        self.media_bps = media_bps
        self.path = DownlinkPath(has_transport_cc=True)
        self.path.round_trip_s = 2 * link.delay_s
        self.now = 100.0
        self.delays: list[float] = []
        self._log = ArrivalLog()
        self._arriving: list[tuple[float, int]] = []
        self._returning: list[tuple[float, bytes]] = []
        self._owed = self._owed_up = 0.0
        self._frame_due = self._report_due = self.now
        self._sent = self._lost = 0

    @property
    def estimate_bps(self) -> float:
        return self.path.estimate_bps(self.now)

    def run(self, seconds: float, *, needed_bps: float = 0.0, adapts: bool = False) -> None:
        """Let time pass; with `adapts` the media follow the estimate, as with many layers."""
        end = self.now + seconds
        while self.now < end:
            self.step(needed_bps, adapts=adapts)

    def step(self, needed_bps: float = 0.0, *, adapts: bool = False) -> None:
        """Let 5 ms pass."""
        self.now += 0.005
        self.path.check_feedback_timeout(self.now)
        if adapts:
            self.media_bps = self.estimate_bps
        self._tick(needed_bps)

    def burst(self, size: int) -> None:
        """Send so many bytes at once."""
        for _ in range(size // PACKET):
            self._send()

    def time_until_below(self, bps: float, seconds: float) -> float:
        """How long the estimate takes to fall below a rate; `seconds` at most."""
        began = self.now
        while self.now < began + seconds and self.estimate_bps >= bps:
            self.step()
        return self.now - began

    def _tick(self, needed_bps: float) -> None:
        if self.now >= self._frame_due:
            self._frame_due += 1 / 30
            self._owed += self.media_bps / 8 / 30
            while self._owed >= PACKET:
                self._owed -= PACKET
                self._send()
        self.path.note_selection(self.media_bps, needed_bps, self.now, needed_bps)
        for _ in range(self.path.poll_probe(self.now) // PACKET):
            self._send()
        self._owed_up += self.up_bps / 8 * 0.005
        while self.back is not None and self._owed_up >= PACKET:
            self._owed_up -= PACKET
            self.back.arrival(PACKET, self.now)
        self._feed_back()

    def _return(self, fci: bytes) -> None:
        arrival = self.now if self.back is None else self.back.arrival(len(fci), self.now)
        if arrival is not None:
            self._returning.append((arrival, fci))

    def _send(self) -> None:
        number = self.path.history.note((self.now, PACKET))
        self.path.repair_bytes += PACKET
        self._sent += 1
        arrival = self.link.arrival(PACKET, self.now)
        if arrival is None:
            self._lost += 1
        else:
            self.delays.append(arrival - self.now)
            self._arriving.append((arrival, number))

    def _feed_back(self) -> None:
        self._arriving.sort()
        while self._arriving and self._arriving[0][0] <= self.now:
            arrival, number = self._arriving.pop(0)
            self._log.add_arrival(number, arrival)
        fci = self._log.take_feedback(self.now)
        if fci is not None:
            self._return(fci)
        while self._returning and self._returning[0][0] <= self.now:
            self.path.handle_feedback(self._returning.pop(0)[1], self.now)
        if self.now >= self._report_due and self._sent:
            self._report_due = self.now + 1.0
            self.path.handle_loss(self._sent, self._lost, self.now)
            self._sent = self._lost = 0
