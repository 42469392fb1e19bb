"""The way up from one publisher: what it is told of its path, so that its own estimate or ours can follow.

With transport-cc negotiated the client estimates and gets feedback; else the SFU estimates from the send times in the
packets (abs-send-time) and says so by REMB (draft-alvestrand-rmcat-remb-03).
"""

from typing import Final

from services.sfu.core.congestion.arrival_log import ArrivalLog
from services.sfu.core.congestion.estimator import BandwidthEstimator
from services.sfu.core.congestion.send_history import Sent
from services.sfu.core.wire.rtp import RtpHeader, find_extension

# What publishers may send at most. Chromium opens all three simulcast layers at 5 Mbit/s. Raising it wastes bandwidth
# where nobody watches; lowering it keeps the highest layer shut.
LIMIT_BPS: Final = 5_000_000.0
# The estimate takes in packets in portions of this time. Raising it reacts later; lowering it costs more work.
ESTIMATE_INTERVAL_S: Final = 0.1
# Packets of a portion that are looked at: a flood costs no more than this.
MAX_PORTION: Final = 256

# Abs-send-time: 24 bits, 6.18 fixed-point seconds.
_SPAN: Final = 1 << 24
_UNITS_PER_S: Final = 1 << 18


class UplinkPath:
    """One publisher's path."""

    def __init__(self, transport_cc_id: int | None, send_time_id: int | None, media_types: frozenset[int]) -> None:
        """The ids of the extensions, None where they were not agreed, and the payload types of numbered packets."""
        self._transport_cc_id = transport_cc_id
        self._send_time_id = send_time_id if transport_cc_id is None else None
        is_watched = transport_cc_id is not None or send_time_id is not None
        # The payload types whose packets say anything of the path.
        self.watched_types: frozenset[int] = media_types if is_watched else frozenset()
        self._log = ArrivalLog()
        self._estimator = BandwidthEstimator()
        self._estimator.expect_feedback(LIMIT_BPS)
        self._portion: list[Sent] = []
        self._estimated_at = 0.0
        self._last_units: int | None = None

    @property
    def has_transport_cc(self) -> bool:
        """Whether the client estimates, and wants feedback for it."""
        return self._transport_cc_id is not None

    def add_packet(self, datagram: bytes, header: RtpHeader, now: float) -> None:
        """Note that a packet came, whatever stream it is of."""
        if self._transport_cc_id is not None:
            value = find_extension(datagram, header, self._transport_cc_id)
            if value is not None and len(value) == 2:
                self._log.add_arrival(value[0] << 8 | value[1], now)
        elif self._send_time_id is not None:
            value = find_extension(datagram, header, self._send_time_id)
            if value is not None and len(value) == 3 and len(self._portion) < MAX_PORTION:
                sent_at = self._unwrap(int.from_bytes(value, "big"))
                self._portion.append((sent_at, now, len(datagram)))

    def take_feedback(self, now: float) -> bytes | None:
        """The transport-wide feedback that is due."""
        return self._log.take_feedback(now)

    def update_estimate(self, round_trip_s: float, now: float) -> None:
        """Take the packets since the last time into the estimate; to be called at each tick."""
        if self._portion and now - self._estimated_at >= ESTIMATE_INTERVAL_S:
            self._estimated_at = now
            self._estimator.handle_feedback(self._portion, round_trip_s, now)
            self._portion = []

    def remb_bps(self, now: float) -> int:
        """What the publisher may send, for its REMB."""
        return int(min(self._estimator.estimate_bps(now), LIMIT_BPS))

    def _unwrap(self, units: int) -> float:
        last = self._last_units
        if last is None:
            self._last_units = units
        else:
            distance = (units - last) % _SPAN
            self._last_units = last + (distance if distance < _SPAN // 2 else distance - _SPAN)
        assert self._last_units is not None
        return self._last_units / _UNITS_PER_S
