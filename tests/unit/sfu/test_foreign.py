"""Foreign peers, by a matrix: each leaves one thing out, or does it otherwise, in calls of two and of more people than
slots, on lines that send or receive, that do both, and on both sorts. It is heard and seen all the same, and hears and
sees the others."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from services.sfu.core.wire.media_line import (
    LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SEND_TIME_URI,
    TRANSPORT_CC_URI,
)
from tests.unit.sfu.foreign import Lines, Manner, Meeting

pytestmark = pytest.mark.compiled
Edit = Callable[[str], str]
THREE = {"simulcast": True, "rids": ("q", "h", "f"), "sizes": (100, 300, 900)}


def without(*patterns: str) -> Edit:
    """The offer without the lines that begin like this."""
    return lambda text: re.sub("".join(f"(?:a={pattern}[^\r]*\r\n)|" for pattern in patterns)[:-1], "", text)


def extension(uri: str) -> str:
    return rf"extmap:\d+ {re.escape(uri)}"


def replaced(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


def named(*rids: str, listed: str = "") -> Edit:
    """The offer with other layers."""
    lines = "".join(f"a=rid:{rid} send\r\n" for rid in rids)
    simulcast = f"a=simulcast:send {listed or ';'.join(rids)}\r\n"
    return lambda text: re.sub(r"(a=rid:\w+ send\r\n)+a=simulcast:[^\r]*\r\n", lines + simulcast, text)


def payload_types(audio: int, video: int, repair: int) -> Edit:
    def edit(text: str) -> str:
        text = text.replace("SAVPF 111 63 9", f"SAVPF {audio} 63 9").replace("SAVPF 96 97", f"SAVPF {video} {repair}")
        for old, new in ((111, audio), (96, video), (97, repair)):
            text = re.sub(rf"a=(rtpmap|fmtp|rtcp-fb):{old} ", rf"a=\1:{new} ", text)
        return text.replace("apt=96", f"apt={video}")

    return edit


def extension_ids(**ids: int) -> Edit:
    uris = {"level": LEVEL_URI, "mid": MID_URI, "rid": RID_URI, "wide": TRANSPORT_CC_URI}

    def edit(text: str) -> str:
        for name, number in ids.items():
            text = re.sub(rf"a=extmap:\d+ {re.escape(uris[name])}", f"a=extmap:{number} {uris[name]}", text)
        return text

    return edit


H264_FIRST = "a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1;profile-level-id=640c1f\r\n"
LEFT_OUT = {
    "nothing": Manner(),
    "nothing, three layers": Manner(**THREE),
    "audio level": Manner(without(extension(LEVEL_URI)), level=False),
    "audio level in the packets only": Manner(level=False),
    "MID": Manner(without(extension(MID_URI)), mid=False),
    "MID in the packets only": Manner(mid=False),
    "RID": Manner(without(extension(RID_URI), extension(REPAIRED_RID_URI)), **THREE, rid_packets=0),
    "RID in the packets only": Manner(**THREE, rid_packets=0),
    "RID after the first packets": Manner(**THREE, rid_packets=3),
    "MID and RID after the first packets": Manner(**THREE, mid=False, rid_packets=3),
    "RID, MID and levels": Manner(**THREE, mid=False, rid_packets=0, level=False),
    "all header extensions": Manner(without("extmap"), level=False, mid=False),
    "abs-send-time": Manner(without(extension(SEND_TIME_URI))),
    "transport-cc": Manner(without(r"rtcp-fb:\d+ transport-cc", extension(TRANSPORT_CC_URI))),
    "transport-cc's extension only": Manner(without(extension(TRANSPORT_CC_URI))),
    "REMB": Manner(without(r"rtcp-fb:\d+ goog-remb")),
    "REMB and transport-cc": Manner(without(r"rtcp-fb:\d+ goog-remb", r"rtcp-fb:\d+ transport-cc")),
    "RTX": Manner(replaced("a=fmtp:97 apt=96\r\n", "")),
    "NACK": Manner(lambda text: re.sub(r"a=rtcp-fb:\d+ nack\r\n", "", text)),
    "PLI": Manner(without(r"rtcp-fb:\d+ nack pli")),
    "FIR": Manner(without(r"rtcp-fb:\d+ ccm fir")),
    "PLI and FIR, which it knows all the same": Manner(without(r"rtcp-fb:\d+ nack pli", r"rtcp-fb:\d+ ccm fir")),
    "PLI and FIR": Manner(without(r"rtcp-fb:\d+ nack pli", r"rtcp-fb:\d+ ccm fir"), takes_requests=False),
    "all feedback": Manner(without("rtcp-fb:"), takes_requests=False),
    "RED": Manner(without("rtpmap:63 ")),
    "Opus in RED": Manner(red=True),
    "RED's and Opus' levels": Manner(without(extension(LEVEL_URI)), red=True, level=False),
    "FEC": Manner(replaced("useinbandfec=1", "useinbandfec=0")),
    "Opus parameters": Manner(without("fmtp:111 ")),
    "voice in silence (DTX)": Manner(dtx=True),
    "voice in silence, and levels": Manner(dtx=True, level=False),
    "simulcast's line": Manner(without("simulcast:"), **THREE),
    "a layer (Firefox)": Manner(named("q", "h"), simulcast=True, rids=("q", "h"), sizes=(100, 900)),
    "extmap-allow-mixed": Manner(without("extmap-allow-mixed")),
    "the data channel": Manner(lambda text: text[: text.index("m=application")].replace("2 3 4", "2 3")),
    "the data channel's acceptance": Manner(replaced("m=application 9", "m=application 0")),
}
OTHERWISE = {
    "two-byte elements": Manner(two_byte=True),
    "two-byte elements, three layers": Manner(**THREE, two_byte=True),
    "ids beyond 14": Manner(
        extension_ids(level=200, mid=15, rid=16, wide=255), two_byte=True, ids={"level": 200, "mid": 15, "rid": 16}
    ),
    "more extensions than ids": Manner(replaced("a=extmap:3 ", "a=extmap:4096 ")),
    "low payload types": Manner(payload_types(35, 36, 37), audio_type=35, video_type=36),
    "high payload types": Manner(payload_types(127, 126, 125), audio_type=127, video_type=126),
    "static payload types": Manner(payload_types(0, 34, 33), audio_type=0, video_type=34),
    "padding before the first picture": Manner(padding=3),
    "padding before the first picture, three layers": Manner(**THREE, padding=3, rid_packets=2),
    "H.264 first": Manner(
        lambda text: text.replace("SAVPF 96 97", "SAVPF 98 96 97").replace(
            "a=rtpmap:96 VP8/90000\r\n", H264_FIRST + "a=rtpmap:96 VP8/90000\r\n"
        )
    ),
    "layers of other names": Manner(named("1", "2", "3"), simulcast=True, rids=("1", "2", "3"), sizes=(100, 300, 900)),
    "layers of long names": Manner(
        named("low-quality-layer-of-the-camera", "high"),
        simulcast=True,
        two_byte=True,
        sizes=(100, 900),
        rids=("low-quality-layer-of-the-camera", "high"),
    ),
    "layers from the highest": Manner(named("a", "b", "c"), simulcast=True, rids=("a", "b", "c"), sizes=(900, 300, 90)),
    "common names from the highest": Manner(
        named("f", "h", "q"), simulcast=True, rids=("f", "h", "q"), sizes=(900, 300, 90)
    ),
    "four layers": Manner(named(*"wxyz"), simulcast=True, rids=tuple("wxyz"), sizes=(50, 100, 300, 900)),
    "paused layers": Manner(named("q", "h", "f", listed="q;~h;~f"), simulcast=True, rids=("q",), sizes=(100,)),
    "alternatives": Manner(named("q", "h", "f", listed="q,h;f"), simulcast=True, rids=("q", "f"), sizes=(100, 900)),
    "SSRCs in the offer, and no MID": Manner(
        lambda text: text.replace("a=mid:1\r\n", "a=mid:1\r\na=ssrc:2000 cname:x\r\n"), mid=False
    ),
    "another profile": Manner(replaced("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")),
    "Opus without its channels": Manner(replaced("opus/48000/2", "OPUS/48000")),
}
MATRIX = {**{f"without {name}": manner for name, manner in LEFT_OUT.items()}, **OTHERWISE}
# How many people, the slots of each kind that the others have, and the lines of the odd one.
APART = {"two": (2, 1, Lines("sendonly", 1)), "more than slots": (5, 2, Lines("sendonly", 2))}
BOTH = {
    "two, sendrecv": (2, 1, Lines("sendrecv", 0)),
    "more than slots, sendrecv": (5, 2, Lines("sendrecv", 0)),
    "two, sendrecv and recvonly": (2, 1, Lines("sendrecv", 1)),
    "more than slots, sendrecv and recvonly": (5, 2, Lines("sendrecv", 1)),
}


def sizes(ways: dict[str, tuple[int, int, Lines]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("people", "slots", "lines"), ways.values(), ids=ways.keys())


ALL_SIZES = sizes(APART | BOTH)
SIZES = sizes(APART | {"three, sendrecv": (3, 1, Lines("sendrecv", 0))})


def assert_all_see_and_hear(meeting: Meeting) -> None:
    """The odd one is heard and seen by all others now, and receives of as many as it has slots."""
    for other in meeting.others:
        for kind, types in (("audio", (111, 63)), ("video", (96,))):
            lately = meeting.lately(other.member, kind, meeting.odd.member)
            assert len(lately) > 4, f"{other.name} gets no {kind}: {meeting.odd.refused[-3:]}"
            assert {payload_type for payload_type, _ in lately} <= set(types)
    slots = len(meeting.odd.member.slots) // 2
    for kind in ("audio", "video"):
        got = [meeting.lately(meeting.odd.member, kind, other.member) for other in meeting.others]
        assert sum(len(lately) > 4 for lately in got) == min(slots, len(meeting.others)), f"it gets no {kind}"
        own = {meeting.odd.manner.audio_type, 63} if kind == "audio" else {meeting.odd.manner.video_type}
        assert {payload_type for lately in got for payload_type, _ in lately} <= own


@ALL_SIZES
@pytest.mark.parametrize("name", MATRIX)
def test_peer_is_heard_and_seen(name: str, people: int, slots: int, lines: Lines) -> None:
    meeting = Meeting(MATRIX[name], people, slots, lines)
    meeting.run(6.0)
    assert_all_see_and_hear(meeting)


@SIZES
@pytest.mark.parametrize("name", MATRIX)
def test_peer_is_heard_and_seen_after_a_pause_with_bye(name: str, people: int, slots: int, lines: Lines) -> None:
    """As libwebrtc does when a track is taken away and given back: the same SSRCs, and no RID any more."""
    meeting = Meeting(MATRIX[name], people, slots, lines)
    meeting.run(2.0)
    meeting.take(meeting.odd.say_bye(meeting.now, *meeting.odd.manner.rids))
    meeting.run(6.0, pictures=False)
    assert not meeting.lately(meeting.others[0].member, "video", meeting.odd.member)
    meeting.run(5.0)
    assert_all_see_and_hear(meeting)


@SIZES
@pytest.mark.parametrize("name", MATRIX)
def test_peer_is_heard_and_seen_when_its_ssrcs_change(name: str, people: int, slots: int, lines: Lines) -> None:
    meeting = Meeting(MATRIX[name], people, slots, lines)
    meeting.run(2.0)
    meeting.odd.change_ssrcs()
    meeting.run(6.0)
    assert_all_see_and_hear(meeting)


@SIZES
@pytest.mark.parametrize("name", MATRIX)
def test_peer_is_heard_and_seen_when_its_numbers_begin_anew(name: str, people: int, slots: int, lines: Lines) -> None:
    meeting = Meeting(MATRIX[name], people, slots, lines)
    meeting.run(2.0)
    meeting.odd.restart_numbers(20_000)
    meeting.run(2.0)
    meeting.odd.restart_numbers(2_000)
    meeting.run(4.0)
    assert_all_see_and_hear(meeting)
