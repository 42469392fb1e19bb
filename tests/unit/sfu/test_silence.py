"""Voice with DTX: packets come 50 times a second while somebody speaks, and 2.5 times in between (RFC 7587, 3.1.3)."""

from itertools import pairwise

import pytest

from services.sfu.core.session.effects import Disconnect, Effect, SendMedia, SendSlotMap, SendSpeakers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.quality import QualityMeter
from services.sfu.core.session.router import Router
from services.sfu.core.wire import rtcp
from tests.unit.sfu.builders import copies, join, make_router, rtp
from tests.unit.sfu.effects import reports

SPEECH, SILENCE = b"\x94", b"\x7f"
FRAMES_A_SECOND, SILENT_FRAMES = 50, 20


class Voice:
    """A microphone with DTX on the clock of a call."""

    def __init__(self, router: Router, member: Participant, ssrc: int) -> None:
        self.router, self.member, self.ssrc = router, member, ssrc
        self.number = 0

    def frame(self, index: int, now: float, *, speaks: bool, lost: bool = False) -> list[Effect]:
        if not speaks and index % SILENT_FRAMES:
            return []
        self.number += 1
        if lost:
            return []
        level = SPEECH if speaks else SILENCE
        packet = rtp(self.ssrc, self.number, b"opus" * 10, mid=b"0", level=level, timestamp=index * 960)
        return self.router.handle_rtp(self.member, packet, now)


class Call:
    """Three people; one may speak."""

    def __init__(self) -> None:
        self.router = make_router()
        self.voices = {name: Voice(self.router, join(self.router, name), 100 + n) for n, name in enumerate("abc")}
        self.index = 0
        self.effects: list[Effect] = []
        for voice in self.voices.values():
            self.router.handle_mute(voice.member, False, True, self.now)

    @property
    def now(self) -> float:
        return 1.0 + self.index / FRAMES_A_SECOND

    def talk(self, seconds: float, speaker: str = "", loses: str = "") -> None:
        """`loses`: every fourth packet of silence of these is lost on its way up."""
        for _ in range(int(seconds * FRAMES_A_SECOND)):
            self.index += 1
            for name, voice in self.voices.items():
                is_lost = name in loses and self.index % (4 * SILENT_FRAMES) == 0
                self.effects += voice.frame(self.index, self.now, speaks=name == speaker, lost=is_lost)
            self.effects += self.router.tick(self.now)


def test_a_minute_of_silence_is_neither_loss_nor_a_dead_connection() -> None:
    call = Call()
    call.talk(2.0, "a")
    slots = {voice.member.number: voice.member.slot_map() for voice in call.voices.values()}
    call.effects.clear()
    call.talk(60.0)
    assert not [effect for effect in call.effects if isinstance(effect, Disconnect | SendSlotMap)]
    assert {voice.member.number: voice.member.slot_map() for voice in call.voices.values()} == slots
    for voice in call.voices.values():
        blocks = [r for r in reports(call.effects, voice.member) if isinstance(r, rtcp.ReportBlock)]
        assert len(blocks) >= 55
        assert {(block.fraction_lost, block.packets_lost) for block in blocks} == {(0, 0)}
        assert max(block.jitter for block in blocks) < 48, "a millisecond"


def test_who_falls_silent_speaks_no_more_and_who_begins_speaks_at_once() -> None:
    call = Call()
    call.talk(3.0, "a")
    call.effects.clear()
    call.talk(5.0)
    told = [effect.speakers for effect in call.effects if isinstance(effect, SendSpeakers)]
    assert told
    assert told[-1] == ()
    call.effects.clear()
    call.talk(1.0, "b")
    told = [effect.speakers for effect in call.effects if isinstance(effect, SendSpeakers)]
    assert [key.user_id for key in told[-1]] == ["b"]


def test_the_slot_goes_to_the_one_who_speaks_after_all_were_silent() -> None:
    call = Call()
    call.talk(3.0, "a")
    call.talk(20.0)
    call.talk(2.0, "c")
    listener = call.voices["b"].member
    assert listener.slots[0].publication is call.voices["c"].member.publications[0]


def test_lost_packets_of_silence_make_no_poor_network_and_lost_voice_does() -> None:
    call = Call()
    speaker = call.voices["a"].member
    call.talk(2.0)
    meter = QualityMeter(call.now)
    meter.take(speaker, call.now)
    call.talk(5.0, loses="a")
    silent = meter.take(speaker, call.now)
    assert silent.uplink.loss == pytest.approx(0.25, abs=0.08), "what was lost is reported as it was"
    assert not silent.is_weak
    for _ in range(5 * FRAMES_A_SECOND):
        call.index += 1
        call.voices["a"].frame(call.index, call.now, speaks=True, lost=call.index % 4 == 0)
    assert meter.take(speaker, call.now).is_weak


def test_a_slot_goes_on_after_silence_with_the_time_that_has_passed() -> None:
    call = Call()
    call.talk(1.0, "a")
    call.talk(10.0)
    call.effects.clear()
    call.talk(0.1, "a")
    listener = call.voices["b"].member.slots[0]
    sent = [copy for effect in call.effects if isinstance(effect, SendMedia) for copy in copies(effect)]
    mine = [copy for copy in sent if int.from_bytes(copy[8:12], "big") == listener.ssrc]
    times = [int.from_bytes(copy[4:8], "big") for copy in mine]
    assert {(after - before) & 0xFFFFFFFF for before, after in pairwise(times)} == {960}
