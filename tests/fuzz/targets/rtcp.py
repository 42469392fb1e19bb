"""RTCP, with the transport-wide feedback in it: bounded facts, whatever the packet claims."""

from services.sfu.core.errors import PacketError
from services.sfu.core.wire import rtcp, transport_cc

SEEDS = (
    bytes.fromhex("80c8000600000001") + bytes(20),
    bytes.fromhex("81c90007000000010000000205000003000000040000000500000006 00000007"),
    bytes.fromhex("81cd0003000000010000000200030005"),
    bytes.fromhex("81ce00020000000100000002") + bytes.fromhex("84ce00040000000100000000 0000000309000000"),
    rtcp.build_remb(1, 500_000, [2, 3]),
    bytes.fromhex("8fcd0005000000010000000200010004000000012004040404000000"),
    bytes.fromhex("81cb000100000001"),
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a PacketError."""
    try:
        reports = rtcp.parse_compound(data)
    except PacketError:
        return
    assert len(reports) <= rtcp.MAX_REPORTS
    for report in reports:
        if isinstance(report, rtcp.TransportFeedback):
            feedback = transport_cc.parse_feedback(report.fci)
            assert feedback is None or len(feedback.arrivals) <= transport_cc.MAX_STATUSES
        elif isinstance(report, rtcp.Nack):
            assert len(report.sequence_numbers) <= rtcp.MAX_NACKED
            assert all(0 <= number < 1 << 16 for number in report.sequence_numbers)
        elif isinstance(report, rtcp.ReportBlock):
            again = rtcp.parse_compound(rtcp.build_receiver_report(1, [report]))
            assert again == [report]
        elif isinstance(report, rtcp.Remb) and report.bitrate_bps < 1 << 40:
            again = rtcp.parse_compound(rtcp.build_remb(1, report.bitrate_bps, []))
            assert again == [report]
