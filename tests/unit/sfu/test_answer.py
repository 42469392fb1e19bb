"""The answer's own rules; what browsers want of it is in test_sdp.py."""

from services.sfu.core.wire.answer import Candidate, LocalTransport, SlotSsrcs, build_answer, is_served, name_streams
from services.sfu.core.wire.media_line import DESCRIPTOR_URI
from services.sfu.core.wire.sdp import Fingerprint, Offer, parse_offer
from tests.unit.sfu.builders import FINGERPRINT, offer, offer_text

TRANSPORT = LocalTransport("ufrag", "password", Fingerprint("sha-256", FINGERPRINT), [Candidate(("192.0.2.1", 7800))])


def answer(**options: str | bool) -> list[str]:
    offered = offer(**options)
    ssrcs = {
        line.mid: SlotSsrcs(10 * int(line.mid), 10 * int(line.mid) + 1)
        for line in offered.media
        if line.client_receives
    }
    return build_answer(offered, TRANSPORT, ssrcs, 1).split("\r\n")


def test_every_line_is_answered_in_its_order_with_the_directions_turned() -> None:
    directions = [line for line in answer() if line in ("a=sendonly", "a=recvonly", "a=sendrecv", "a=inactive")]
    assert directions == ["a=recvonly", "a=recvonly", "a=sendonly", "a=sendonly"]
    assert [line.split()[0] for line in answer() if line.startswith("m=")] == ["m=audio", "m=video"] * 2 + [
        "m=application"
    ]


def test_a_slot_names_the_ssrcs_that_it_is_sent_on() -> None:
    lines = answer()
    assert "a=ssrc-group:FID 30 31" in lines
    assert "a=ssrc:20 cname:parley" in lines


def test_the_first_slots_of_each_kind_share_a_stream_and_the_second_ones_another() -> None:
    lines = offer(slots=2).media
    names = name_streams(lines)
    assert names["2"] == names["3"] != names["a20"] == names["v20"]


def test_slots_of_lines_in_both_directions_share_a_stream() -> None:
    streams = [line.split()[0] for line in answer(direction="sendrecv") if line.startswith("a=msid:")]
    assert streams == ["a=msid:both-1", "a=msid:both-1", "a=msid:slot-1", "a=msid:slot-1"]


def test_the_dependency_descriptor_is_taken_of_own_video_alone_in_elements_of_two_bytes_too() -> None:
    extension = f"a=extmap:12 {DESCRIPTOR_URI}"
    offered = parse_offer(offer_text().replace("a=extmap:10 ", f"{extension}\r\na=extmap:10 "))
    ssrcs = {line.mid: SlotSsrcs(20, 21) for line in offered.media if line.client_receives}
    head, *lines = build_answer(offered, TRANSPORT, ssrcs, 1).split("m=")
    assert [extension in line.split("\r\n") for line in lines] == [False, True, False, False, False]
    assert "a=extmap-allow-mixed" in head.split("\r\n")
    plain = parse_offer(offer_text().replace("a=extmap-allow-mixed\r\n", ""))
    assert "a=extmap-allow-mixed" not in build_answer(plain, TRANSPORT, ssrcs, 1)


def opus(offered: Offer) -> list[str]:
    """What the answer to an offer says of Opus, line by line."""
    ssrcs = {line.mid: SlotSsrcs(20, 21) for line in offered.media if line.client_receives}
    lines = build_answer(offered, TRANSPORT, ssrcs, 1).split("\r\n")
    return [line.removeprefix("a=fmtp:111 ") for line in lines if line.startswith("a=fmtp:111 ")]


def test_voice_is_to_leave_its_silence_out() -> None:
    common = "minptime=10;useinbandfec=1"
    assert opus(offer()) == [f"{common};usedtx=1", common]
    assert opus(offer(direction="sendrecv")) == [f"{common};usedtx=1", common]


def test_sound_in_stereo_is_taken_as_such_with_its_pauses() -> None:
    common = "minptime=10;useinbandfec=1"
    text = offer_text().replace(common, f"{common};sprop-stereo=1", 1)
    assert opus(parse_offer(text)) == [f"{common};stereo=1", common]
    # That a client can play stereo says nothing of what it sends.
    assert opus(parse_offer(offer_text().replace(common, f"{common};stereo=1"))) == [f"{common};usedtx=1", common]


def test_only_the_workers_address_is_named() -> None:
    """Callers never learn each other's address (docs/design.md)."""
    assert [line for line in answer() if "192.0.2.1" in line] == [
        line for line in answer() if line.startswith("a=candidate:")
    ]


def test_a_line_without_a_served_codec_is_not_served() -> None:
    lines = offer().media
    assert [is_served(line) for line in lines] == [True] * 5
