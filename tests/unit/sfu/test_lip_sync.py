"""Sound and picture of one person, played together by what the forwarded sender reports say."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

import pytest

from services.sfu.core.congestion.stats import ntp_from_unix
from services.sfu.core.forwarding.sender_clock import RtpClock
from services.sfu.core.forwarding.slots import FIRST_REPORT_S, ReceiveSlot
from services.sfu.core.session.effects import Effect, SendMedia
from services.sfu.core.session.participants import Participant
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import copies, join, make_router, rtp, video
from tests.unit.sfu.effects import reports
from tests.unit.sfu.publishing import LAYERS

AUDIO = 11
RATES = {AUDIO: 48_000, **dict.fromkeys(LAYERS.values(), 90_000)}
# Each stream's timestamps begin elsewhere, some near their end.
FIRST = {AUDIO: 0xFFFFFF00, 21: 5, 22: 1 << 31, 23: 0xFFFF0000}
# The publisher's clock is far from the worker's.
OWN_UNIX_S = 50_000.0
# Between two frames of sound; a picture is of each fifth.
STEP_S = 0.02


@dataclass
class Person:
    """Ann, whose packets are on their way for as long as their stream's path takes; Bob hears and sees her."""

    delays: dict[int, float]
    reports: bool = True
    now: float = 1.0
    # By slot: when the last packet was captured, and its timestamp at the receiver.
    played: dict[ReceiveSlot, tuple[float, int]] = field(default_factory=dict)
    clocks: dict[ReceiveSlot, RtpClock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.router = make_router()
        self.ann = join(self.router, "ann", self.now, simulcast=True)
        self.bob: Participant = join(self.router, "bob", self.now, transport_cc=False)
        self._ways: list[tuple[float, int, float, bytes, bool]] = []
        self._order = count()
        self._numbers = dict.fromkeys(FIRST, 100)
        self._frames = 0
        self.bps = 3_000_000
        self.sends = set(FIRST)

    def timestamp(self, ssrc: int, captured: float) -> int:
        return (FIRST[ssrc] + round(captured * RATES[ssrc])) & 0xFFFFFFFF

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self._frames += 1
            for ssrc in sorted(self.sends):
                self._capture(ssrc)
            if self._frames % 50 == 0:
                self.hear(self.router.handle_rtcp(self.bob, rtcp.build_remb(1, self.bps, []), self.now))
            while self._ways and self._ways[0][0] <= self.now:
                at, _, captured, packet, is_report = heappop(self._ways)
                handle = self.router.handle_rtcp if is_report else self.router.handle_rtp
                self.hear(handle(self.ann, packet, at), captured)
            self.hear(self.router.tick(self.now))

    def _capture(self, ssrc: int) -> None:
        is_audio = ssrc == AUDIO
        if not is_audio and self._frames % 5:
            return
        self._numbers[ssrc] += 1
        number, stamp = self._numbers[ssrc], self.timestamp(ssrc, self.now)
        if is_audio:
            packet = rtp(ssrc, number, b"opus" * 10, mid=b"0", level=b"\x90", timestamp=stamp)
        else:
            rid = next(rid for rid, known in LAYERS.items() if known == ssrc)
            size = {21: 300, 22: 700, 23: 1100}[ssrc]
            packet = video(ssrc, number, number, key_frame=True, rid=rid, timestamp=stamp) + bytes(size)
        self._put(ssrc, packet, is_report=False)
        # Sound reports each 5 s, a picture each second, as Chromium has it.
        if self.reports and self._frames % (250 if is_audio else 50) == (125 if is_audio else 25):
            ntp = ntp_from_unix(OWN_UNIX_S + self.now)
            report = rtcp.SenderReport(ssrc, ntp, stamp, number, 1000)
            self._put(ssrc, rtcp.build_sender_report(report), is_report=True)

    def _put(self, ssrc: int, packet: bytes, *, is_report: bool) -> None:
        at = self.now + self.delays.get(ssrc, 0.02)
        heappush(self._ways, (at, next(self._order), self.now, packet, is_report))

    def hear(self, effects: list[Effect], captured: float = 0.0) -> None:
        slots = {slot.ssrc: slot for slot in self.bob.slots}
        for effect in effects:
            if isinstance(effect, SendMedia):
                for copy in copies(effect, self.now):
                    header = parse_header(copy)
                    if header.ssrc in slots:
                        self.played[slots[header.ssrc]] = captured, header.timestamp
        for report in reports(effects, self.bob):
            if isinstance(report, rtcp.SenderReport):
                self.clocks[slots[report.ssrc]] = RtpClock(report.ntp, report.rtp_timestamp)

    def moment(self, slot: ReceiveSlot) -> float:
        """When what came last is to be played, for its capture at 0, by what the reports say. In seconds."""
        captured, stamp = self.played[slot]
        rate = 48_000 if slot.kind == "audio" else 90_000
        start = ntp_from_unix(1_700_000_000.0)
        return (self.clocks[slot].ntp_at(stamp, rate) - start) / (1 << 32) - captured

    @property
    def skew_s(self) -> float:
        """By how much the picture would be played after the sound that was captured with it."""
        sound, picture = self.bob.slots[:2]
        return self.moment(picture) - self.moment(sound)


LATE_PICTURE = dict.fromkeys(LAYERS.values(), 0.32)
LATE_SOUND = {AUDIO: 0.32}


@pytest.mark.parametrize("delays", [{}, LATE_PICTURE, LATE_SOUND], ids=["neither", "picture", "sound"])
def test_sound_and_picture_are_played_as_they_were_captured_however_late_either_comes(delays: dict[int, float]) -> None:
    person = Person(delays)
    person.run(10)
    assert abs(person.skew_s) < 0.005


@pytest.mark.parametrize("lag_s", [0.0, 0.15], ids=["one way", "a slower way of the lower layers"])
@pytest.mark.parametrize("delays", [{}, LATE_PICTURE, LATE_SOUND], ids=["neither", "picture", "sound"])
def test_they_stay_together_over_a_change_of_the_layer(delays: dict[int, float], lag_s: float) -> None:
    person = Person(delays | {ssrc: delays.get(ssrc, 0.02) + lag_s for ssrc in (21, 22)})
    person.run(10)
    slot = person.bob.slots[1]
    first = slot.source
    for bps in (90_000, 3_000_000):
        before = person.clocks[slot]
        person.bps = bps
        person.run(15)
        assert (slot.source is first) == (bps == 3_000_000)
        assert abs(person.skew_s) < 0.005
        # The receiver takes old reports and new ones together. Only where the new layer begins with pictures from
        # before the last one of the old do its timestamps have to go another way: they never step back.
        after = person.clocks[slot]
        shift_s = (after.timestamp - before.timestamp_at(after.ntp, 90_000)) / 90_000
        assert -0.001 < shift_s <= lag_s + 0.01


def test_nothing_is_said_until_the_publisher_has_reported() -> None:
    person = Person(LATE_PICTURE, reports=False)
    person.run(FIRST_REPORT_S - 1)
    assert not person.clocks
    person.run(2.5)
    assert len(person.clocks) == 2, "of one that does not report there is the time of arrival"


def test_round_trips_are_told_from_the_same_reports() -> None:
    person = Person({})
    person.run(5)
    slot = person.bob.slots[1]
    report = person.clocks[slot]
    block = rtcp.ReportBlock(slot.ssrc, 0, 0, 100, 0, report.ntp >> 16 & 0xFFFFFFFF, 0)
    sent_at = (report.ntp - ntp_from_unix(1_700_000_000.0)) / (1 << 32)
    person.router.handle_rtcp(person.bob, rtcp.build_receiver_report(1, [block]), sent_at + 0.07)
    assert person.bob.round_trip_s == pytest.approx(0.07, abs=0.001)
