"""What effects hold, for the tests of the core."""

from services.sfu.core.session.effects import Effect, SendMedia, SendRepair, SendRtcp
from services.sfu.core.session.participants import Participant
from services.sfu.core.wire import rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import Page, copies


def media(effects: list[Effect]) -> list[SendMedia]:
    return [effect for effect in effects if isinstance(effect, SendMedia)]


def sent(effects: list[Effect]) -> list[bytes]:
    """The packets as their receivers get them, in clear text."""
    packets = []
    for effect in effects:
        if isinstance(effect, SendMedia):
            packets += copies(effect)
        elif isinstance(effect, SendRepair):
            page = Page()
            packets.append(bytes(page.view[: effect.slot.write_repair(effect.packet, page, 1.0)]))
    return packets


def repairs(effects: list[Effect]) -> list[SendRepair]:
    return [effect for effect in effects if isinstance(effect, SendRepair)]


def unwrapped(repair: bytes) -> tuple[int, bytes]:
    """The original sequence number, and the payload."""
    at = parse_header(repair).payload_at
    return int.from_bytes(repair[at : at + 2], "big"), repair[at + 2 :]


def payload_of(packet: bytes) -> bytes:
    return packet[parse_header(packet).payload_at :]


def reports(effects: list[Effect], receiver: Participant) -> list[rtcp.Report]:
    """All RTCP for one participant."""
    mine = [e for e in effects if isinstance(e, SendRtcp) and e.receiver == receiver.number]
    return [report for effect in mine for report in rtcp.parse_compound(effect.payload)]


def key_frame_requests(effects: list[Effect], receiver: Participant) -> list[int]:
    return [r.media_ssrc for r in reports(effects, receiver) if isinstance(r, rtcp.KeyFrameRequest)]
