"""RTCP between the SFU and one participant: what its packets mean, and what it is told."""

from typing import Final

from services.sfu.core.congestion.stats import round_trip_s
from services.sfu.core.forwarding.publications import InboundStream
from services.sfu.core.forwarding.sender_clock import RtpClock
from services.sfu.core.session.effects import Effect, SendRelayed, SendRepair, SendRtcp
from services.sfu.core.session.participants import Home, Participant
from services.sfu.core.wire import relay_frames, rtcp
from services.sfu.core.wire.rtp import HEADER_SIZE

# All sender reports are in the worker's NTP time, so that all streams may be played together (RFC 3550 section 6.5.1).
CNAME: Final = b"parley"
_MAX_REPORT_BLOCKS: Final = 31
# Reports are cut into packets of this size. Raising it makes fragments on narrow paths; lowering it makes more packets.
_MAX_COMPOUND_BYTES: Final = 1100


def handle_report(participant: Participant, report: rtcp.Report, now: float, ntp: int) -> list[Effect]:
    """Take in one packet of a participant's RTCP; gives what is to be sent again. Unknown SSRCs mean nothing."""
    match report:
        case rtcp.TransportFeedback():
            participant.path.handle_feedback(report.fci, now, report.most)
        case rtcp.SenderReport():
            _handle_sender_report(participant, report, now, ntp)
        case rtcp.ReportBlock():
            _handle_block(participant, report, now, ntp)
        case rtcp.Nack():
            return _resend(participant, report, now)
        case rtcp.KeyFrameRequest():
            _want_key_frame(participant, report.media_ssrc, now)
        case rtcp.Remb():
            participant.path.estimator.handle_remb(float(report.bitrate_bps), now)
        case rtcp.Bye():
            for stream in filter(None, map(participant.streams.get, report.ssrcs)):
                stream.end()
    return []


def _handle_sender_report(participant: Participant, report: rtcp.SenderReport, now: float, ntp: int) -> None:
    stream = participant.streams.get(report.ssrc)
    if stream is not None:
        if report.ntp:
            # 0 is that of a sender without a clock.
            stream.clock = RtpClock(report.ntp, report.rtp_timestamp)
            stream.publication.clock.note_report(report.ntp, ntp)
        stream.stats.add_sender_report(report.ntp, now)
        stream.publication.reported_at = now


def _want_key_frame(participant: Participant, media_ssrc: int, now: float) -> None:
    slot = participant.slots_by_ssrc.get(media_ssrc)
    if slot is None or slot.publication is None or not slot.key_frame_requests.allows(now):
        return
    stream = slot.wanted or slot.source
    if stream is not None:
        slot.publication.want_key_frame(stream)


def _handle_block(participant: Participant, block: rtcp.ReportBlock, now: float, ntp: int) -> None:
    slot = participant.slots_by_ssrc.get(block.ssrc)
    if slot is None:
        return
    expected, lost = slot.handle_report(block)
    if slot.kind == "video" and slot.source is not None and expected:
        participant.path.handle_loss(expected, lost, now)
    elif slot.redundancy is not None:
        slot.note_loss(expected, lost)
    measured = round_trip_s(block, ntp)
    if measured is not None:
        participant.path.round_trip_s = measured


def _resend(participant: Participant, nack: rtcp.Nack, now: float) -> list[Effect]:
    slot = participant.slots_by_ssrc.get(nack.media_ssrc)
    if slot is None or not participant.nacked.spend(len(nack.sequence_numbers), now):
        return []
    pacer, rate_bps = participant.repair_pacer, participant.path.estimate_bps(now)
    found: list[Effect] = []
    for number in nack.sequence_numbers:
        if not pacer.has_tokens(rate_bps, now):
            break
        packet = slot.find_lost(number, now)
        if packet is not None:
            pacer.spend(HEADER_SIZE + len(packet.info.payload))
            found.append(SendRepair(slot, packet))
    return found


def build_nacks(participant: Participant, stream: InboundStream, now: float) -> list[Effect]:
    """The NACK that is due on a stream; what was given up makes a key-frame request of it."""
    numbers, given_up = stream.gaps.due(now, participant.round_trip_s or 0.0)
    if given_up and stream.publication.kind == "video":
        stream.publication.want_key_frame(stream)
    if not numbers:
        return []
    return [_control(participant, rtcp.build_nack(participant.feedback_ssrc, stream.ssrc, numbers))]


def build_key_frame_request(participant: Participant, stream: InboundStream) -> Effect:
    """A PLI to the publisher, or a FIR to one that knows no other."""
    own, publication = participant.feedback_ssrc, stream.publication
    if publication.takes_fir and not publication.takes_pli:
        return _control(participant, rtcp.build_fir(own, stream.ssrc, publication.key_frames_asked))
    # Also to one that offered neither: most know it all the same, and without a key frame nobody sees anything.
    return _control(participant, rtcp.build_pli(own, stream.ssrc))


def build_transport_feedback(participant: Participant, now: float) -> list[Effect]:
    """The transport-wide feedback that is due to a publisher."""
    fci = participant.uplink.take_feedback(now)
    media_ssrc = next(iter(participant.streams), 0)
    if fci is None:
        return []
    return [_control(participant, rtcp.build_transport_feedback(participant.feedback_ssrc, media_ssrc, fci))]


def build_wants(participant: Participant, home: Home, now: float) -> Effect:
    """What is wanted of a remote participant, for its home. Sound comes unasked."""
    wanted = [
        relay_frames.WantedLayer(publication.mid, rid)
        for publication in participant.publications
        if publication.kind == "video"
        for rid in publication.layers
        if rid not in publication.demand.paused
    ]
    return SendRelayed(home.leg, relay_frames.build_wants(home.number, version_at(now), wanted))


def version_at(now: float) -> int:
    """What rises with time, for what is said as a whole."""
    return int(now * 1e6)


def _control(participant: Participant, packet: bytes) -> Effect:
    home = participant.home
    if home is not None:
        return SendRelayed(home.leg, relay_frames.build_control(relay_frames.FEEDBACK, home.number, packet))
    return SendRtcp(participant.number, rtcp.build_receiver_report(participant.feedback_ssrc) + packet)


def build_reports(participant: Participant, now: float, ntp: int) -> list[Effect]:
    """The reports of one interval: a receiver report with the REMB, and a sender report for each slot in use."""
    own = participant.feedback_ssrc
    streams = [stream for stream in participant.streams.values() if stream.last_packet_at is not None]
    blocks = [stream.stats.report_block(stream.ssrc, now) for stream in streams[:_MAX_REPORT_BLOCKS]]
    payload = rtcp.build_receiver_report(own, blocks) + rtcp.build_cname(own, CNAME)
    limited = [stream.ssrc for stream in streams if stream.publication.takes_remb]
    if limited:
        payload += rtcp.build_remb(own, participant.uplink.remb_bps(now), limited)
    payloads = [payload]
    for slot in participant.slots:
        report = slot.sender_report(ntp, now)
        if report is None:
            continue
        payload = rtcp.build_sender_report(report) + rtcp.build_cname(slot.ssrc, CNAME)
        if len(payloads[-1]) + len(payload) <= _MAX_COMPOUND_BYTES:
            payloads[-1] += payload
        else:
            payloads.append(payload)
    return [SendRtcp(participant.number, payload) for payload in payloads]
