"""RTCP between the SFU and one participant: what is built of its state. What its packets do is in test_repair.py."""

from services.sfu.core.session import feedback
from services.sfu.core.session.effects import SendRtcp
from services.sfu.core.wire import rtcp
from tests.unit.sfu.builders import join, make_router, rtp, video

NTP = 1 << 40


def read(effect: SendRtcp) -> list[rtcp.Report]:
    return rtcp.parse_compound(effect.payload)


def test_a_publisher_that_knows_only_fir_gets_fir() -> None:
    router = make_router()
    ann = join(router, "ann")
    router.handle_rtp(ann, video(7, 1, 1, key_frame=True), 1.0)
    stream = ann.streams[7]
    assert read(feedback.build_key_frame_request(ann, stream))[-1] == rtcp.KeyFrameRequest(7)
    stream.publication.takes_pli = False
    stream.publication.key_frames_asked = 5
    request = feedback.build_key_frame_request(ann, stream)
    assert request.payload.endswith(rtcp.build_fir(ann.feedback_ssrc, 7, 5))


def test_reports_speak_of_streams_that_come_and_of_slots_that_are_used() -> None:
    router = make_router()
    ann, bob = join(router, "ann"), join(router, "bob")
    router.handle_rtp(ann, rtp(5, 1, mid=b"0"), 1.0)
    router.handle_rtp(ann, rtp(5, 2, mid=b"0"), 1.0)
    blocks = [r for e in feedback.build_reports(ann, 2.0, NTP) if isinstance(e, SendRtcp) for r in read(e)]
    assert [report.ssrc for report in blocks if isinstance(report, rtcp.ReportBlock)] == [5]
    ann.streams[5].end()
    blocks = [r for e in feedback.build_reports(ann, 3.0, NTP) if isinstance(e, SendRtcp) for r in read(e)]
    assert not [report for report in blocks if isinstance(report, rtcp.ReportBlock)]
    assert bob.slots[0].source is not None


def test_reports_of_unknown_ssrcs_mean_nothing() -> None:
    ann = join(make_router(), "ann")
    for report in (
        rtcp.Nack(9, (1, 2)),
        rtcp.KeyFrameRequest(9),
        rtcp.ReportBlock(9, 255, 1000, 1, 0, 0, 0),
        rtcp.SenderReport(9, NTP, 0, 0, 0),
        rtcp.Bye((9,)),
        rtcp.TransportFeedback(b"x"),
    ):
        assert feedback.handle_report(ann, report, 1.0, NTP) == []
