"""How a participant's media fared over one interval, each way for itself (the loss of one leg is not the other's)."""

from dataclasses import dataclass

from services.sfu.core.participants import Participant


@dataclass(frozen=True, slots=True)
class Leg:
    """One direction over one interval. `loss` is 0 to 1 of the packets expected; `rtt_s` None when not known."""

    packets: int
    bytes: int
    loss: float
    jitter_s: float
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """Uplink: from the client to the SFU. Downlink: from the SFU to the client."""

    interval_s: float
    uplink: Leg
    downlink: Leg


@dataclass(frozen=True, slots=True)
class _Totals:
    packets: int
    bytes: int
    expected: int
    lost: int


class QualityMeter:
    """Turns a participant's running totals into reports of one interval each."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._uplink = self._downlink = _Totals(0, 0, 0, 0)

    def take(self, participant: Participant, now: float) -> Quality:
        """The report since the last call."""
        uplink, downlink = _uplink_totals(participant), _downlink_totals(participant)
        streams, slots = participant.streams.values(), participant.slots
        quality = Quality(
            interval_s=now - self._at,
            uplink=_leg(self._uplink, uplink, max((s.stats.jitter_s for s in streams), default=0.0), participant),
            downlink=_leg(
                self._downlink, downlink, max((s.downlink.jitter_s for s in slots), default=0.0), participant
            ),
        )
        self._at, self._uplink, self._downlink = now, uplink, downlink
        return quality


def _uplink_totals(participant: Participant) -> _Totals:
    streams = participant.streams.values()
    received = sum(stream.stats.received for stream in streams)
    expected = sum(stream.stats.expected for stream in streams)
    return _Totals(received, sum(stream.bytes for stream in streams), expected, expected - received)


def _downlink_totals(participant: Participant) -> _Totals:
    sent = sum(slot.packets for slot in participant.slots)
    lost = sum(slot.downlink.packets_lost for slot in participant.slots)
    return _Totals(sent, sum(slot.bytes for slot in participant.slots), sent, lost)


def _leg(before: _Totals, after: _Totals, jitter_s: float, participant: Participant) -> Leg:
    # A stream that was put out falls out of the totals: never report less than nothing.
    expected = max(after.expected - before.expected, 0)
    lost = min(max(after.lost - before.lost, 0), expected)
    return Leg(
        packets=max(after.packets - before.packets, 0),
        bytes=max(after.bytes - before.bytes, 0),
        loss=lost / expected if expected else 0.0,
        jitter_s=jitter_s,
        rtt_s=participant.round_trip_s,
    )
