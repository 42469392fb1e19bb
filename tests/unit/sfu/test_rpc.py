"""What signaling says of a call's other workers, as it is read."""

from typing import Any

import pytest
from parley.sfu.v1 import service_pb2

from services.sfu.core.errors import RelaysInvalid
from services.sfu.core.ids import CallId, ParticipantNumber
from services.sfu.ports import CallRelays, JoinedDevice, RelayedDevice, RelayPeer
from services.sfu.rpc import SfuServicer
from tests.unit.sfu.builders import key


class FakeSfu:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.relays: list[CallRelays] = []

    async def set_relays(self, relays: CallRelays) -> int:
        self.relays.append(relays)
        return 12

    async def list_joined(self, call_id: CallId) -> tuple[list[JoinedDevice], str]:
        joined = [JoinedDevice(key("ann"), ParticipantNumber(3), "v=0 of ann")] if call_id == "call-1" else []
        return joined, "10.0.0.1:7800"


def request(media_address: str) -> service_pb2.SetRelaysRequest:
    peer = service_pb2.RelayPeer(
        worker_id="w2",
        media_address=media_address,
        send_leg_id=b"a",
        send_key=b"b",
        receive_leg_id=b"c",
        receive_key=b"d",
    )
    participant = service_pb2.RemoteParticipant(
        user_id="bob", device_id="d1", worker_id="w2", number=4, sdp_offer="v=0"
    )
    return service_pb2.SetRelaysRequest(call_id="call-1", revision=9, peers=[peer], participants=[participant])


async def said(media_address: str) -> tuple[CallRelays, int]:
    sfu: Any = FakeSfu()
    response = await SfuServicer(sfu).SetRelays(request(media_address), None)
    return sfu.relays[0], response.revision


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.2:7800", ("10.0.0.2", 7800)), ("[2001:db8::1]:7800", ("2001:db8::1", 7800))],
)
async def test_relays_are_read_as_they_were_said(text: str, address: tuple[str, int]) -> None:
    relays, revision = await said(text)
    assert revision == 12
    assert (relays.call_id, relays.revision) == ("call-1", 9)
    peer = RelayPeer("w2", address, send_leg_id=b"a", send_key=b"b", receive_leg_id=b"c", receive_key=b"d")
    assert relays.peers == (peer,)
    assert relays.devices == (RelayedDevice(key("bob"), "w2", 4, "v=0"),)


@pytest.mark.parametrize("text", ["", "10.0.0.2", "media.example:7800", "10.0.0.2:0", "10.0.0.2:70000", "10.0.0.2:x"])
async def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RelaysInvalid):
        await said(text)


async def test_who_has_joined_is_told_with_the_number_the_offer_and_where_the_worker_is() -> None:
    sfu: Any = FakeSfu()
    request = service_pb2.ListParticipantsRequest(call_id="call-1")
    response = await SfuServicer(sfu).ListParticipants(request, None)
    ann = service_pb2.JoinedParticipant(user_id="ann", device_id="d1", number=3, sdp_offer="v=0 of ann")
    assert (list(response.participants), response.media_address) == ([ann], "10.0.0.1:7800")
    nowhere = await SfuServicer(sfu).ListParticipants(service_pb2.ListParticipantsRequest(call_id="call-2"), None)
    assert not nowhere.participants
