"""Simulcast: which of a publisher's layers a receiver gets.

The rule of this release: the highest layer that flows; one down when the receiver's reports say that it does not
arrive, and up again after a pause that doubles with each failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# A layer without packets for this long is not sent any more.
# Higher: a frozen picture. Lower: flapping at low frame rates.
SILENT_LAYER_S = 1.0
# Receivers that lose more than this step down. Higher: broken pictures. Lower: a poor picture on a merely noisy path.
HIGH_LOSS = 0.10
# An estimate below this share of what is sent counts as congestion.
LOW_ESTIMATE = 0.6
# Before the first try to step up again, and at most. Higher: a poor picture for longer. Lower: repeated overload.
FIRST_HOLD_S = 8.0
MAX_HOLD_S = 64.0
# Reports that congestion must last for before a step, so that one bad second does nothing.
CONGESTED_REPORTS = 2

_SCHEMES = (("q", "h", "f"), ("l", "m", "h"), ("lo", "mid", "hi"), ("low", "mid", "high"), ("low", "medium", "high"))


def order_rids(rids: Sequence[str]) -> tuple[str, ...]:
    """The rids from the lowest layer to the highest: by the common names, else as they were offered."""
    for scheme in _SCHEMES:
        if all(rid in scheme for rid in rids):
            return tuple(sorted(rids, key=scheme.index))
    return tuple(rids)


@dataclass(slots=True)
class LayerLimit:
    """How many layers from the top a receiver goes without on one slot."""

    steps_down: int = 0
    _hold_s: float = FIRST_HOLD_S
    _hold_until: float = 0.0
    _congested_reports: int = 0

    def handle_report(self, loss: float, estimate_bps: float | None, sent_bps: float, layers: int, now: float) -> None:
        """Take in a receiver report (about one a second): loss 0 to 1, its estimate if any, what it is sent."""
        too_much = estimate_bps is not None and estimate_bps < LOW_ESTIMATE * sent_bps
        if not (loss > HIGH_LOSS or too_much):
            self._congested_reports = 0
            if self.steps_down and now >= self._hold_until:
                self.steps_down -= 1
                self._hold_until = now + self._hold_s
            return
        self._congested_reports += 1
        if self._congested_reports >= CONGESTED_REPORTS and self.steps_down < layers - 1:
            self._congested_reports = 0
            self.steps_down += 1
            self._hold_until = now + self._hold_s
            self._hold_s = min(2 * self._hold_s, MAX_HOLD_S)

    def reset(self) -> None:
        """Begin anew, for another publisher."""
        self.steps_down, self._hold_s, self._hold_until, self._congested_reports = 0, FIRST_HOLD_S, 0.0, 0


def choose_layer(last_packet_at: Sequence[float | None], steps_down: int, now: float) -> int | None:
    """The layer to send, by its place from the lowest: the highest that flows, less `steps_down`, but at least one.

    `last_packet_at` holds each layer's last arrival, None before the first. Returns None when nothing flows.
    """
    flowing = [place for place, at in enumerate(last_packet_at) if at is not None and now - at < SILENT_LAYER_S]
    if not flowing:
        return None
    return flowing[max(len(flowing) - 1 - steps_down, 0)]
