"""The sound of a screen: a second own audio line that only sends, which is heard beside its owner's voice."""

import pytest

from services.sfu.core.forwarding.publications import LIVE_S
from services.sfu.core.session.effects import SendSlotMap
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from services.sfu.core.wire.answer import SlotSsrcs, build_answer
from tests.unit.sfu.builders import join, make_router, offer, rtp
from tests.unit.sfu.test_answer import TRANSPORT

VOICE, SOUND = 7, 8


@pytest.fixture
def router() -> Router:
    return make_router()


def speak(router: Router, member: Participant, number: int, now: float) -> None:
    router.handle_rtp(member, rtp(VOICE + 100 * member.number, number, mid=b"0", level=b"\x90"), now)


def play(router: Router, member: Participant, number: int, now: float) -> list[SendSlotMap]:
    """A packet of the screen's sound; the slot maps that it changes."""
    effects = router.handle_rtp(member, rtp(SOUND + 100 * member.number, number, mid=b"6", level=b"\x80"), now)
    return [effect for effect in effects if isinstance(effect, SendSlotMap)]


def heard(member: Participant) -> dict[str, tuple[str, str | None]]:
    """Who is on which audio slot, and with what."""
    entries = {entry.mid: entry for entry in member.slot_map()}
    return {
        slot.mid: (str(entries[slot.mid].publisher.user_id), entries[slot.mid].source)  # type: ignore[union-attr]
        for slot in member.slots
        if slot.kind == "audio" and entries[slot.mid].publisher
    }


def test_it_is_taken_in_stereo_with_its_pauses_and_voices_are_not() -> None:
    offered = offer(sound=True)
    ssrcs = {line.mid: SlotSsrcs(20, 21) for line in offered.media if line.client_receives}
    sections = build_answer(offered, TRANSPORT, ssrcs, 1).split("m=")
    fmtp = {part.split("a=mid:")[1].split("\r\n")[0]: part for part in sections if "opus/48000" in part}
    assert "stereo=1" in fmtp["6"]
    assert "usedtx" not in fmtp["6"]
    assert "usedtx=1" in fmtp["0"]
    assert "stereo" not in fmtp["0"]


def test_it_comes_beside_the_voice_on_the_slot_that_plays_stereo(router: Router) -> None:
    ann, bob = join(router, "ann", sound=True), join(router, "bob", sound=True)
    speak(router, ann, 1, 1.0)
    assert heard(bob) == {"2": ("ann", None)}
    assert SendSlotMap(bob.number) in play(router, ann, 1, 1.1)
    assert heard(bob) == {"2": ("ann", None), "7": ("ann", "screen")}
    assert heard(ann) == {"2": ("bob", None)}


def test_it_leaves_its_slot_when_it_ends_and_takes_it_again(router: Router) -> None:
    ann, bob = join(router, "ann", sound=True), join(router, "bob", sound=True)
    play(router, ann, 1, 1.0)
    router.handle_mute(ann, audio=True, video=True, now=1.1, screen=True)
    assert heard(bob) == {"2": ("ann", None), "7": ("ann", "screen")}
    # A muted microphone says nothing of it, and a screen that is no more shared ends it.
    assert not ann.screen_sounds[0].muted
    router.handle_mute(ann, audio=True, video=True, now=1.2, screen=False)
    assert heard(bob) == {"2": ("ann", None)}
    router.handle_mute(ann, audio=True, video=True, now=1.3, screen=True)
    assert "7" in heard(bob)
    # The next one is shared without sound.
    router.tick(1.3 + LIVE_S)
    assert heard(bob) == {"2": ("ann", None)}
    play(router, ann, 2, 9.0)
    router.tick(9.5)
    assert heard(bob) == {"2": ("ann", None), "7": ("ann", "screen")}


def test_its_loudness_makes_nobody_a_speaker(router: Router) -> None:
    ann, bob, cid = (join(router, name, sound=True) for name in ("ann", "bob", "cid"))
    for index in range(100):
        now = 1.0 + index / 50
        play(router, ann, index, now)
        speak(router, bob, index, now)
        router.tick(now)
    assert heard(cid)["2"] == ("bob", None)
    assert heard(cid)["7"] == ("ann", "screen")
    assert "2" not in {mid for mid, (user, _) in heard(cid).items() if user == "ann"}


def test_who_plays_loudly_has_not_spoken_and_is_not_seen_for_it(router: Router) -> None:
    bob, ann, cid = (join(router, name, sound=True) for name in ("bob", "ann", "cid"))
    for member in (bob, ann, cid):
        router.handle_mute(member, audio=True, video=False, now=1.0, screen=True)
    for index in range(500):
        play(router, ann, index, 1.0 + index / 50)
        router.tick(1.0 + index / 50)
    shown = next(slot for slot in cid.slots if slot.kind == "video")
    assert shown.publication is bob.publications[1]


def test_who_offers_no_line_for_it_or_has_one_slot_hears_the_voices_as_ever(router: Router) -> None:
    ann, old = join(router, "ann", sound=True), join(router, "old", slots=2)
    play(router, ann, 1, 1.0)
    router.tick(2.0)
    assert heard(old) == {"2": ("ann", None)}


def test_a_second_line_that_receives_too_is_a_microphone(router: Router) -> None:
    simple = join(router, "ann", direction="sendrecv")
    assert simple.screen_sounds == []
    assert len(simple.microphones) == 1
