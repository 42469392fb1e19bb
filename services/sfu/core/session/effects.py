"""What the core wants done. The shell carries every effect out, in order."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import final

from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.forwarding.subscribers import CopyGroup, Subscriber
from services.sfu.core.ids import LegNumber, ParticipantKey, ParticipantNumber
from services.sfu.core.wire.rtp import MediaPacket


class LeaveReason(Enum):
    """Why a participant's media is gone."""

    REMOVED = auto()
    REPLACED = auto()
    CONSENT_EXPIRED = auto()
    CLOSED = auto()
    NEVER_CONNECTED = auto()
    WORKER_STOPPED = auto()


@dataclass(frozen=True, slots=True)
class SendRtcp:
    """Encrypt and send a compound packet."""

    receiver: ParticipantNumber
    payload: bytes


@final
class SendMedia:
    """Write the receiver's copy of the packet, encrypt and send it, for each slot of the group (at once) or the one."""

    __slots__ = ("packet", "to")

    def __init__(self, to: CopyGroup | Subscriber, packet: MediaPacket) -> None:
        self.to = to
        self.packet = packet


@dataclass(frozen=True, slots=True)
class SendRepair:
    """Send a packet on a slot for the second time: because it was lost, or as a probe of the path."""

    slot: ReceiveSlot
    packet: MediaPacket
    is_probe: bool = False


@final
class SendRelayed:
    """Seal a frame and send it to another worker of the call."""

    __slots__ = ("frame", "leg")

    def __init__(self, leg: LegNumber, frame: bytes) -> None:
        self.leg = leg
        self.frame = frame


@dataclass(frozen=True, slots=True)
class SendSlotMap:
    """Tell the participant over its data channel who is on which slot."""

    receiver: ParticipantNumber


@dataclass(frozen=True, slots=True)
class SendWantedLayers:
    """Tell the participant over its data channel which layers of its own video anybody takes, and in which codec."""

    publisher: ParticipantNumber


@dataclass(frozen=True, slots=True)
class SendSpeakers:
    """Tell the participant over its data channel who speaks now, the loudest first."""

    receiver: ParticipantNumber
    speakers: tuple[ParticipantKey, ...]


@dataclass(frozen=True, slots=True)
class AnnounceConnected:
    """Tell signaling that the participant's media has come."""

    key: ParticipantKey


@dataclass(frozen=True, slots=True)
class AnnounceSilence:
    """Tell signaling that nothing has come from the participant for so long."""

    key: ParticipantKey
    silence_s: float


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the participant's transport and tell signaling."""

    number: ParticipantNumber
    key: ParticipantKey
    reason: LeaveReason


Effect = (
    SendMedia
    | SendRepair
    | SendRtcp
    | SendRelayed
    | SendSlotMap
    | SendWantedLayers
    | SendSpeakers
    | AnnounceConnected
    | AnnounceSilence
    | Disconnect
)
