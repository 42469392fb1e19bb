"""How a participant's media fared over one interval, each way for itself (the loss of one leg is not the other's).

MOS by the E-model of ITU-T G.107 (06/2015): R = 93.2 - Id - Ie,eff, with Id as in its simplification by Cole and
Rosenbluth (2001), Ie,eff by equation 7-29, and MOS by Annex B. For Opus the ITU gives no impairment factors: those of
G.711 with concealment stand in (G.113 appendix I: Ie 0, Bpl 25.1).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from services.sfu.core.forwarding.publications import InboundStream
from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.ids import ParticipantKey
from services.sfu.core.session.participants import Participant, ReceiveQuality

BASE_R = 93.2
CODEC_IMPAIRMENT, LOSS_ROBUSTNESS = 0.0, 25.1
# A player waits about twice the jitter for the late ones.
JITTER_WAIT = 2.0
# Below this "many users are dissatisfied" (G.107 Annex B: R of 70). Raising it warns without need; lowering it warns
# too late.
WEAK_MOS = 3.6

# Voice of fewer packets in an interval is judged as if it were so many: in silence a client with DTX sends 2.5 of them
# a second, and nobody hears that one is lost. Raising it judges short calls too well; lowering it makes a poor network
# of a lost packet of silence.
MIN_VOICE_PACKETS = 50

# What takes most of a leg's MOS.
Cause = Literal["loss", "delay"]


@dataclass(frozen=True, slots=True)
class Leg:
    """One direction over one interval. `loss` is 0 to 1 of the packets expected; `rtt_s` None when not known.

    `mos` is that of the audio, or of all packets where there is no audio; 0 without packets. `cause` says what took
    most of it; jitter counts as delay, since players wait for the late ones.
    """

    packets: int
    bytes: int
    loss: float
    jitter_s: float
    rtt_s: float | None
    mos: float
    cause: Cause = "loss"


class ReceivedVideo(NamedTuple):
    """What is on a video slot. `rid` is None while nothing is forwarded; `height` 0 when not known."""

    publisher: ParticipantKey
    is_screen: bool
    rid: str | None
    height: int
    is_switching: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """Uplink: from the client to the SFU. Downlink: from the SFU to the client.

    `remote_mos` is the worst uplink of those whom the participant receives, 0 when it receives nobody. `videos` and
    `paused_rids`, the layers of its own camera that nobody takes, are those at the end of the interval.
    """

    interval_s: float
    uplink: Leg
    downlink: Leg
    remote_mos: float
    estimate_bps: float
    receive: ReceiveQuality
    videos: tuple[ReceivedVideo, ...] = ()
    paused_rids: tuple[str, ...] = ()

    @property
    def is_weak(self) -> bool:
        """Whether the participant's own network is poor: tell the user, but not for another's fault."""
        return any(0 < leg.mos < WEAK_MOS for leg in (self.uplink, self.downlink))


def mos_of(loss: float, delay_s: float) -> float:
    """1 to 4.5, from loss (0 to 1) and mouth-to-ear delay."""
    r = min(max(BASE_R - _delay_impairment(delay_s) - _loss_impairment(loss), 0.0), 100.0)
    return min(max(1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r), 1.0), 4.5)


def cause_of(loss: float, delay_s: float) -> Cause:
    """Which of the two impairs more."""
    return "delay" if _delay_impairment(delay_s) > _loss_impairment(loss) else "loss"


def _delay_impairment(delay_s: float) -> float:
    delay_ms = delay_s * 1000
    return 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)


def _loss_impairment(loss: float) -> float:
    percent = 100 * loss
    return CODEC_IMPAIRMENT + (95 - CODEC_IMPAIRMENT) * percent / (percent + LOSS_ROBUSTNESS)


class _Totals(NamedTuple):
    packets: int = 0
    bytes: int = 0
    expected: int = 0
    lost: int = 0
    jitter_s: float = 0.0


class _LegTotals(NamedTuple):
    """All packets of a leg, and those of its audio."""

    all: _Totals = _Totals()
    audio: _Totals = _Totals()


class QualityMeter:
    """Turns a participant's running totals into reports of one interval each."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._uplink = self._downlink = _LegTotals()

    def take(self, participant: Participant, now: float) -> Quality:
        """The report since the last call."""
        streams = list(participant.streams.values())
        uplink = _LegTotals(_of_streams(streams), _of_streams(s for s in streams if s.publication.kind == "audio"))
        downlink = _LegTotals(
            _of_slots(participant.slots), _of_slots(s for s in participant.slots if s.kind == "audio")
        )
        rtt_s = participant.round_trip_s
        quality = Quality(
            interval_s=now - self._at,
            uplink=_leg(self._uplink, uplink, rtt_s),
            downlink=_leg(self._downlink, downlink, rtt_s),
            remote_mos=_remote_mos(participant),
            estimate_bps=participant.path.estimate_bps(now) if participant.path.estimator.has_feedback else 0.0,
            receive=participant.receive_quality,
            videos=tuple(_received(slot) for slot in participant.slots if slot.kind == "video" and slot.publication),
            paused_rids=tuple(state.rid for state in participant.layer_states() if not state.is_wanted),
        )
        for publication in participant.publications:
            publication.uplink_mos = quality.uplink.mos
        self._at, self._uplink, self._downlink = now, uplink, downlink
        return quality


def _received(slot: ReceiveSlot) -> ReceivedVideo:
    publication, source = slot.publication, slot.source
    assert publication is not None
    return ReceivedVideo(
        publication.publisher,
        publication.is_screen,
        None if source is None else source.rid,
        slot.height,
        slot.wanted is not None,
    )


def _of_streams(streams: Iterable[InboundStream]) -> _Totals:
    """What came, and what stayed lost after repairs."""
    totals = _Totals()
    for stream in streams:
        stats = stream.stats
        totals = _Totals(
            totals.packets + stats.received,
            totals.bytes + stream.bytes,
            totals.expected + stats.expected,
            totals.lost + stats.expected - stats.received - stream.repaired,
            max(totals.jitter_s, stats.jitter_s),
        )
    return totals


def _of_slots(slots: Iterable[ReceiveSlot]) -> _Totals:
    totals = _Totals()
    for slot in slots:
        totals = _Totals(
            totals.packets + slot.packets,
            totals.bytes + slot.bytes,
            totals.expected + slot.packets,
            totals.lost + slot.downlink.packets_lost,
            max(totals.jitter_s, slot.downlink.jitter_s),
        )
    return totals


def _remote_mos(participant: Participant) -> float:
    publishers = (slot.publication.uplink_mos for slot in participant.slots if slot.publication is not None)
    return min((mos for mos in publishers if mos > 0), default=0.0)


def _leg(before: _LegTotals, after: _LegTotals, rtt_s: float | None) -> Leg:
    packets, loss = _since(before.all, after.all)
    heard, audio_loss = _since(before.audio, after.audio, MIN_VOICE_PACKETS)
    judged = (audio_loss, after.audio.jitter_s) if heard else (loss, after.all.jitter_s)
    delay_s = (rtt_s or 0.0) / 2 + JITTER_WAIT * judged[1]
    return Leg(
        packets=packets,
        bytes=max(after.all.bytes - before.all.bytes, 0),
        loss=loss,
        jitter_s=after.all.jitter_s,
        rtt_s=rtt_s,
        mos=mos_of(judged[0], delay_s) if packets else 0.0,
        cause=cause_of(judged[0], delay_s),
    )


def _since(before: _Totals, after: _Totals, least: int = 0) -> tuple[int, float]:
    """(packets, loss of them, or of `least` where there were fewer). A stream that was put out falls out of the totals:
    never report less than nothing."""
    expected = max(after.expected - before.expected, 0)
    lost = min(max(after.lost - before.lost, 0), expected)
    return max(after.packets - before.packets, 0), lost / max(expected, least) if expected else 0.0
