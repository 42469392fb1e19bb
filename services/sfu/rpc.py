"""SfuService: translates; the use-cases stand in service.py."""

import ipaddress

import grpc
from parley.sfu.v1 import service_pb2, service_pb2_grpc

from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.sfu.core.errors import Draining, JoinTokenExpired, JoinTokenInvalid, RelaysInvalid, SdpError, WorkerFull
from services.sfu.core.ids import Address, CallId, DeviceId, ParticipantKey, ParticipantNumber, UserId, WorkerId
from services.sfu.ports import CallRelays, RelayedDevice, RelayPeer
from services.sfu.service import Sfu

ERRORS: ErrorTable = {
    JoinTokenInvalid: Refusal(grpc.StatusCode.PERMISSION_DENIED, "JOIN_TOKEN_INVALID"),
    JoinTokenExpired: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "JOIN_TOKEN_EXPIRED"),
    RelaysInvalid: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "RELAYS_INVALID"),
    SdpError: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID"),
    WorkerFull: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "WORKER_FULL", retry_delay_s=1.0),
    Draining: Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", retry_delay_s=0.5),
}


def apis(sfu: Sfu) -> list[Api]:
    """What the server serves."""
    servicer = SfuServicer(sfu)
    return [
        Api(
            "parley.sfu.v1.SfuService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_SfuServiceServicer_to_server(servicer, server),
        )
    ]


class SfuServicer(service_pb2_grpc.SfuServiceServicer):
    """See protos/parley/sfu/v1/service.proto."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu

    async def Join(self, request: service_pb2.JoinRequest, context: Context) -> service_pb2.JoinResponse:
        admission = await self._sfu.join(request.join_token, request.sdp_offer)
        return service_pb2.JoinResponse(sdp_answer=admission.sdp_answer, number=admission.number)

    async def Remove(self, request: service_pb2.RemoveRequest, context: Context) -> service_pb2.RemoveResponse:
        key = ParticipantKey(CallId(request.call_id), UserId(request.user_id), DeviceId(request.device_id))
        await self._sfu.remove(key)
        return service_pb2.RemoveResponse()

    async def EndCall(self, request: service_pb2.EndCallRequest, context: Context) -> service_pb2.EndCallResponse:
        await self._sfu.end_call(CallId(request.call_id))
        return service_pb2.EndCallResponse()

    async def SetRelays(self, request: service_pb2.SetRelaysRequest, context: Context) -> service_pb2.SetRelaysResponse:
        revision = await self._sfu.set_relays(_relays(request))
        return service_pb2.SetRelaysResponse(revision=revision)

    async def ListParticipants(
        self, request: service_pb2.ListParticipantsRequest, context: Context
    ) -> service_pb2.ListParticipantsResponse:
        joined, media_address = await self._sfu.list_joined(CallId(request.call_id))
        participants = [
            service_pb2.JoinedParticipant(
                user_id=device.key.user_id,
                device_id=device.key.device_id,
                number=device.number,
                sdp_offer=device.sdp_offer,
            )
            for device in joined
        ]
        return service_pb2.ListParticipantsResponse(participants=participants, media_address=media_address)

    async def SetDraining(
        self, request: service_pb2.SetDrainingRequest, context: Context
    ) -> service_pb2.SetDrainingResponse:
        self._sfu.set_draining(request.draining)
        return service_pb2.SetDrainingResponse()


def _relays(request: service_pb2.SetRelaysRequest) -> CallRelays:
    call_id = CallId(request.call_id)
    return CallRelays(
        call_id,
        request.revision,
        tuple(_peer(peer) for peer in request.peers),
        tuple(_device(call_id, participant) for participant in request.participants),
    )


def _peer(peer: service_pb2.RelayPeer) -> RelayPeer:
    return RelayPeer(
        worker_id=WorkerId(peer.worker_id),
        address=_address(peer.media_address),
        send_leg_id=peer.send_leg_id,
        receive_leg_id=peer.receive_leg_id,
        send_key=peer.send_key,
        receive_key=peer.receive_key,
    )


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 1 << 16:
        raise RelaysInvalid(f"{text!r} is not an IP address and a port")
    return host, number


def _device(call_id: CallId, participant: service_pb2.RemoteParticipant) -> RelayedDevice:
    key = ParticipantKey(call_id, UserId(participant.user_id), DeviceId(participant.device_id))
    worker_id, number = WorkerId(participant.worker_id), ParticipantNumber(participant.number)
    return RelayedDevice(key, worker_id, number, participant.sdp_offer)
