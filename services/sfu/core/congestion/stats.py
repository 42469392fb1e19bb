"""Reception statistics and round-trip times (RFC 3550 sections 6.4 and A.1, A.3, A.8)."""

from typing import Final

from services.sfu.core.wire.rtcp import ReportBlock

NTP_EPOCH_OFFSET_S: Final = 2_208_988_800

# A jump larger than this is a stream that started anew, not loss. Raising it counts a restart as loss; lowering it
# takes a long outage for a restart.
MAX_JUMP: Final = 3000
# In place of an extended number, which is never below 0.
RESTARTED: Final = -1


def ntp_from_unix(unix_s: float) -> int:
    """64-bit NTP time (32.32) of a Unix time in seconds."""
    return int((unix_s + NTP_EPOCH_OFFSET_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def middle_ntp(ntp: int) -> int:
    """The middle 32 bits of an NTP time, in units of 1/65536 s."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, now_ntp: int) -> float | None:
    """The round trip that a report block proves, in seconds; None without a sender report, or when it is absurd."""
    if block.last_sr == 0:
        return None
    units = (middle_ntp(now_ntp) - block.last_sr - block.delay_since_last_sr) & 0xFFFFFFFF
    # Half of the range is "negative": the far end rounds its delay up.
    if units >= 1 << 31:
        return 0.0
    return units / 65536 if units < 60 * 65536 else None


class ReceptionStats:
    """What came of one stream: extended sequence numbers, loss, jitter."""

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._base: int | None = None
        self._highest = 0
        self._received = 0
        self._lost_before = 0
        self._expected_at_report = 0
        self._received_at_report = 0
        self._transit = 0.0
        self._jitter = 0.0
        self._last_sr = 0
        self._last_sr_at = 0.0

    @property
    def highest(self) -> int:
        """The highest extended sequence number."""
        return self._highest

    @property
    def expected(self) -> int:
        """How many packets the stream had so far, by its sequence numbers."""
        return self._lost_before + (0 if self._base is None else self._highest - self._base + 1)

    @property
    def received(self) -> int:
        """How many of them came."""
        return self._received

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter / self._clock_rate

    def extend(self, sequence_number: int) -> int:
        """The extended number of a packet."""
        if self._base is None:
            # One roll-over in hand, so that a packet from before the first has a number too.
            return sequence_number + 0x10000
        distance = (sequence_number - self._highest) & 0xFFFF
        return self._highest + (distance if distance < 0x8000 else distance - 0x10000)

    def count(self, sequence_number: int, timestamp: int, now: float) -> int:
        """Count a packet that arrived at `now` seconds; gives its extended number.

        RESTARTED, without counting it, for one that is too far back to be late: its sender began anew.
        """
        self._received += 1
        step = (sequence_number - self._highest) & 0xFFFF
        if 0 < step <= MAX_JUMP and self._base is not None:
            self._highest += step
            transit = now * self._clock_rate - timestamp
            # Modulo 2^32: the timestamp rolls over while `now` does not.
            distance = (transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000
            self._jitter += (abs(distance) - self._jitter) / 16
            self._transit = transit
            return self._highest
        index = self.extend(sequence_number)
        step = index - self._highest
        if self._base is not None and step < -MAX_JUMP:
            self._received -= 1
            return RESTARTED
        if self._base is None or step > MAX_JUMP:
            self._lost_before = self.expected
            self._base = self._highest = index
            self._transit = now * self._clock_rate - timestamp
        else:
            self._base = min(self._base, index)
        return index

    def add_sender_report(self, ntp: int, now: float) -> None:
        """Remember a sender report, for the next report block to answer."""
        self._last_sr, self._last_sr_at = middle_ntp(ntp), now

    def report_block(self, ssrc: int, now: float) -> ReportBlock:
        """The block for the next receiver report; the loss fraction starts anew with each."""
        expected = self.expected - self._expected_at_report
        lost = expected - (self._received - self._received_at_report)
        self._expected_at_report, self._received_at_report = self.expected, self._received
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=min(max(lost, 0) * 256 // expected, 255) if expected > 0 else 0,
            packets_lost=self.expected - self._received,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=self._last_sr,
            delay_since_last_sr=int((now - self._last_sr_at) * 65536) if self._last_sr else 0,
        )


class RateMeter:
    """Bits per second over the last full second or so."""

    # Raising it sees a change later; lowering it takes a key frame for a higher layer.
    WINDOW_S = 1.0

    def __init__(self) -> None:
        self._began: float | None = None
        self._bytes = self._total = 0
        self.rate_bps = 0.0

    def add_bytes(self, size: int, now: float) -> None:
        """Count `size` bytes at `now`."""
        if self._began is None:
            self._began = now
        self._bytes += size
        elapsed = now - self._began
        if elapsed >= self.WINDOW_S:
            self.rate_bps = self._bytes * 8 / elapsed
            self._began, self._bytes = now, 0

    def add_total(self, total: int, now: float) -> None:
        """Count by a running total in bytes; to be called at least once a second."""
        size, self._total = total - self._total, total
        # What came before the first look came in an unknown time.
        self.add_bytes(size if self._began is not None else 0, now)
