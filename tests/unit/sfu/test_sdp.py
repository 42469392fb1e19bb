import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import SdpError
from services.sfu.core.wire.answer import Candidate, LocalTransport, SlotSsrcs, build_answer
from services.sfu.core.wire.media_line import LEVEL_URI, MID_URI, REPAIRED_RID_URI, RID_URI, TRANSPORT_CC_URI
from services.sfu.core.wire.sdp import Fingerprint, parse_offer
from tests.unit.sfu.builders import AUDIO, FINGERPRINT, HEAD, SIMULCAST, VIDEO, offer, offer_text

CANDIDATES = [
    Candidate(("192.0.2.1", 7800)),
    Candidate(("2001:db8::1", 7800)),
    Candidate(("192.0.2.1", 7800), is_tcp=True),
]
TRANSPORT = LocalTransport("ours", "secret", Fingerprint("sha-256", "CD"), CANDIDATES)


def answer_of(text: str) -> list[str]:
    return build_answer(parse_offer(text), TRANSPORT, {"2": SlotSsrcs(22, 23), "3": SlotSsrcs(33, 34)}, 1).split("\r\n")


def section(lines: list[str], mid: str) -> list[str]:
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    parts = [lines[a:b] for a, b in itertools.pairwise(starts)]
    return next(part for part in parts if f"a=mid:{mid}" in part)


def test_offer_of_a_browser_is_read() -> None:
    parsed = offer(simulcast=True)
    assert [line.mid for line in parsed.media if line.client_sends] == ["0", "1"]
    assert [line.mid for line in parsed.media if line.client_receives] == ["2", "3"]
    own = parsed.media[1]
    assert (own.payload_type, own.rids) == (96, ("q", "h", "f"))
    assert own.extensions == {MID_URI: 4, RID_URI: 10, REPAIRED_RID_URI: 11, TRANSPORT_CC_URI: 3}
    assert own.feedback == ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
    assert parsed.media[0].extensions[LEVEL_URI] == 1
    assert parsed.media[4].sctp_port == 5000
    assert parsed.fingerprint == Fingerprint("sha-256", FINGERPRINT)


def test_answer_has_what_browsers_insist_on() -> None:
    lines = answer_of(offer_text(simulcast=True))
    assert "a=ice-lite" in lines
    assert "a=group:BUNDLE 0 1 2 3 4" in lines
    own = section(lines, "1")
    for line in ("a=recvonly", "a=rtcp-mux", "a=setup:passive", "a=rid:q recv", "a=simulcast:recv q;h;f"):
        assert line in own
    assert "a=extmap:10 " + RID_URI in own
    slot = section(lines, "3")
    assert "a=sendonly" in slot
    assert "a=ssrc:33 cname:parley" in slot
    assert "a=candidate:1 1 udp 2130706431 192.0.2.1 7800 typ host" in lines
    assert "a=candidate:2 1 udp 2130706175 2001:db8::1 7800 typ host" in lines
    assert "a=candidate:3 1 tcp 2122317567 192.0.2.1 7800 typ host tcptype passive" in lines
    assert section(lines, "4")[0] == "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"


def test_rtx_is_taken_on_both_legs_with_its_ssrcs_on_the_slots() -> None:
    lines = answer_of(offer_text(simulcast=True))
    for mid in ("1", "3"):
        part = section(lines, mid)
        assert part[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96 97"
        assert {"a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"} <= set(part)
    assert f"a=extmap:11 {REPAIRED_RID_URI}" in section(lines, "1")
    assert {"a=ssrc-group:FID 33 34", "a=ssrc:34 cname:parley"} <= set(section(lines, "3"))


def test_transport_cc_is_taken_for_video_only_and_in_place_of_remb() -> None:
    lines = answer_of(offer_text())
    for mid in ("1", "3"):
        part = section(lines, mid)
        assert {"a=rtcp-fb:96 transport-cc", f"a=extmap:3 {TRANSPORT_CC_URI}"} <= set(part)
        assert "a=rtcp-fb:96 goog-remb" not in part
    assert not any("transport-cc" in line for line in section(lines, "0"))
    without = section(answer_of(offer_text().replace(f"a=extmap:3 {TRANSPORT_CC_URI}\r\n", "")), "3")
    assert "a=rtcp-fb:96 goog-remb" in without
    assert "a=rtcp-fb:96 transport-cc" not in without


def test_red_is_taken_with_opus_and_other_audio_is_not() -> None:
    part = section(answer_of(offer_text()), "2")
    assert part[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 111 63"
    assert "a=rtpmap:63 red/48000/2" in part
    assert not any("G722" in line for line in part)


H264 = (
    "a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=0\r\n"
    "a=rtpmap:99 H264/90000\r\na=fmtp:99 packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtpmap:100 AV1/90000\r\na=rtpmap:101 VP9/90000\r\n"
)


def test_slots_take_all_codecs_that_are_served() -> None:
    text = (
        offer_text()
        .replace("SAVPF 96 97\r\n", "SAVPF 98 99 96 97 100 101\r\n")
        .replace("a=rtpmap:96 VP8/90000\r\n", "a=rtpmap:96 VP8/90000\r\n" + H264)
    )
    parsed = parse_offer(text)
    assert [codec.payload_type for codec in parsed.media[3].codecs] == [98, 99, 96, 100, 101]
    slot = section(answer_of(text), "3")
    assert slot[0] == "m=video 9 UDP/TLS/RTP/SAVPF 98 99 96 97 100 101"


def test_video_of_no_codec_that_is_served_is_rejected_and_the_rest_goes_on() -> None:
    lines = answer_of(offer_text().replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 H265/90000"))
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96 97" in section(lines, "1")
    assert "a=sendonly" in section(lines, "2")


def test_line_of_unknown_kind_or_port_zero_is_rejected_in_its_place() -> None:
    text = offer_text() + "m=text 9 RTP/AVP 100\r\na=mid:t\r\n"
    lines = answer_of(
        text.replace("BUNDLE 0 1 2 3 4", "BUNDLE 0 1 2 3 4 t").replace("m=application 9", "m=application 0")
    )
    assert "m=text 0 RTP/AVP 100" in lines
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in lines
    assert "a=group:BUNDLE 0 1 2 3" in lines


def test_inactive_own_lines_are_answered_inactive() -> None:
    text = offer_text().replace("a=sendonly", "a=inactive").replace("a=sendrecv", "a=inactive")
    parsed = parse_offer(text)
    assert not any(line.client_sends for line in parsed.media)
    assert "a=inactive" in section(answer_of(text), "0")


def test_bundle_only_lines_are_served() -> None:
    text = offer_text().replace(
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n", "m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\na=bundle-only\r\n"
    )
    assert len([line for line in parse_offer(text).media if line.client_sends]) == 2


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("v=0\r\n", "", "v=0"),
        ("s=-", "nonsense", "line 3"),
        ("a=group:BUNDLE 0 1 2 3 4\r\n", "", "BUNDLE is missing"),
        ("BUNDLE 0 1 2 3 4", "BUNDLE 0 1 2 3", "mid 4 is not in"),
        ("a=mid:1\r\n", "", "no a=mid"),
        ("a=mid:1\r\n", "a=mid:0\r\n", "same a=mid"),
        ("a=mid:1\r\n", "a=mid:1 x\r\n", "malformed"),
        ("a=ice-ufrag:abcd\r\n", "", "ice-ufrag"),
        ("a=ice-pwd:0123456789012345678901\r\n", "", "ice-pwd"),
        ("a=setup:actpass", "a=setup:passive", "setup"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        (f"a=fingerprint:sha-256 {FINGERPRINT}\r\n", "", "fingerprint"),
        (FINGERPRINT, "AB:CD", "fingerprint is malformed"),
        ("sha-256", "md5", "fingerprint"),
        ("a=rtcp-mux\r\n", "", "rtcp-mux is missing"),
        ("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96", "protocol"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/8000", "no opus"),
        ("a=extmap:10 ", "a=extmap:x ", "extmap is not a number"),
        ("a=extmap:10 ", "a=extmap:999 ", "out of range"),
        ("a=rid:h send", "a=rid:q send", "rids"),
        ("a=rid:h send", "a=rid:", "rid is malformed"),
        ("a=sctp-port:5000", "a=sctp-port:foo", "sctp-port"),
        ("a=sctp-port:5000", "a=sctp-port:0", "sctp-port"),
        ("UDP/DTLS/SCTP", "DTLS/SCTP", "data channel"),
        ("m=video 9 ", "m=video nine ", "m-line"),
        ("a=sendonly", "a=sendonly\r\na=ssrc:1x foo", "ssrc is not a number"),
        ("a=sendonly", "a=sendonly\r\na=ssrc:9999999999 foo", "ssrc is out of range"),
    ],
)
def test_fault_is_named(old: str, new: str, complaint: str) -> None:
    text = offer_text(simulcast=True)
    assert old in text
    with pytest.raises(SdpError, match=complaint):
        parse_offer(text.replace(old, new))


def test_lines_that_other_parsers_trip_over_are_passed_over() -> None:
    text = offer_text() + "a=ssrc-group:FID x\r\na=fmtp:120 apt=1\r\na=simulcast:nonsense\r\na=candidate:garbage\r\n"
    assert len(parse_offer(text).media) == 5


def test_offers_without_bounds_are_refused() -> None:
    with pytest.raises(SdpError, match="longer"):
        parse_offer("v=0\r\n" + "a=x\r\n" * 20_000)
    with pytest.raises(SdpError, match="more than 128"):
        parse_offer(HEAD + "m=text 9 RTP/AVP 0\n" * 129)


@given(st.text(max_size=300))
def test_any_text_gives_an_sdp_error(text: str) -> None:
    with pytest.raises(SdpError):
        parse_offer(text)


LINES = (HEAD + AUDIO.format(mid=0, direction="sendonly") + VIDEO.format(mid=1, direction="x") + SIMULCAST).split("\n")


@given(
    st.lists(st.sampled_from(LINES), max_size=60),
    st.lists(st.tuples(st.integers(0, 2000), st.characters()), max_size=8),
)
def test_shuffled_and_damaged_offers_give_an_answer_or_an_sdp_error(
    lines: list[str], damage: list[tuple[int, str]]
) -> None:
    text = "v=0\n" + "\n".join(lines)
    for place, character in damage:
        at = place % len(text)
        text = text[:at] + character + text[at + 1 :]
    try:
        parsed = parse_offer(text)
    except SdpError:
        return
    build_answer(parsed, TRANSPORT, {}, 1)


@given(st.data())
def test_damaged_good_offers_give_an_answer_or_an_sdp_error(data: st.DataObject) -> None:
    text = offer_text(simulcast=True)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 20)) :]
    try:
        parsed = parse_offer(text)
    except SdpError:
        return
    answer = build_answer(parsed, TRANSPORT, {}, 1)
    assert answer.count("\r\nm=") == len(parsed.media)
