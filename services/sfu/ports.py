"""What the service needs of the world around it."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.sfu.core.ids import Address, CallId, ParticipantKey, ParticipantNumber, WorkerId
from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.quality import Quality
from services.sfu.core.wire.sdp import Offer


class Admission(NamedTuple):
    """The answer to an offer, and the number by which other workers know the participant."""

    sdp_answer: str
    number: ParticipantNumber


@dataclass(frozen=True, slots=True)
class RelayPeer:
    """Another worker of a call: where it is, and the leg to it, with an id and a key each way."""

    worker_id: WorkerId
    address: Address
    send_leg_id: bytes
    receive_leg_id: bytes
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RelayedDevice:
    """A device that is at home on another worker, by its number there, with the offer that it joined with."""

    key: ParticipantKey
    worker_id: WorkerId
    number: ParticipantNumber
    sdp_offer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallRelays:
    """All other workers of a call, and who is at home there. The greatest revision counts."""

    call_id: CallId
    revision: int
    peers: tuple[RelayPeer, ...]
    devices: tuple[RelayedDevice, ...]


class JoinedDevice(NamedTuple):
    """A device that has joined here, as other workers are to know it."""

    key: ParticipantKey
    number: ParticipantNumber
    sdp_offer: str


class MediaPlane(Protocol):
    """The worker's media. None of it waits for a store or a broker."""

    @property
    def participant_count(self) -> int:
        """How many participants the worker has now."""

    def holds(self, key: ParticipantKey) -> bool:
        """Whether a join of this key would replace a participant."""

    def admit(self, key: ParticipantKey, offer: Offer) -> Admission:
        """Admit the device and answer its offer. Replaces a participant of the same key."""

    def remove(self, key: ParticipantKey) -> None:
        """End a device's media. Idempotent."""

    def end_call(self, call_id: CallId) -> None:
        """End all media of a call. Idempotent."""

    def set_relays(self, relays: CallRelays) -> int:
        """The other workers of a call from now on; gives the revision that counts. Raises RelaysInvalid, SdpError."""

    @property
    def media_address(self) -> str:
        """Where other workers reach this one."""

    def list_joined(self, call_id: CallId) -> list[JoinedDevice]:
        """Who has joined a call here, in the order of their joins."""

    async def wait_until_empty(self) -> None:
        """Return when no participant is left."""


class JoinTokens(Protocol):
    """Tells what a join token admits to."""

    def verify(self, token: str) -> ParticipantKey:
        """Raises JoinTokenInvalid or JoinTokenExpired."""


class Events(Protocol):
    """Where the worker tells of its media. Returns at once; what cannot be kept is dropped and counted."""

    def media_connected(self, key: ParticipantKey) -> None: ...

    def media_silent(self, key: ParticipantKey, silence_s: float) -> None: ...

    def media_disconnected(self, key: ParticipantKey, reason: LeaveReason) -> None: ...

    def quality_measured(self, key: ParticipantKey, quality: Quality) -> None: ...


class Metrics(Protocol):
    """What the worker counts."""

    def joined(self, outcome: str) -> None: ...

    def packets_in(self, packets: int, size: int) -> None: ...

    def packets_out(self, packets: int, size: int) -> None: ...

    def retransmitted(self, packets: int) -> None: ...

    def probed(self, size: int) -> None: ...

    def dropped(self, reason: str, packets: int = 1) -> None: ...

    def relayed(self, direction: str, packets: int, size: int) -> None:
        """Datagrams of the legs to other workers: "in" or "out"."""

    def relay_legs(self, legs: int) -> None: ...

    def occupancy(self, participants: int, calls: int) -> None: ...

    def quality(self, quality: Quality, call_id: CallId) -> None:
        """The call is for an exemplar, never for a label."""
