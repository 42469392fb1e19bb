"""SfuService: translates; the use-cases stand in service.py."""

import grpc
from parley.sfu.v1 import service_pb2, service_pb2_grpc

from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.sfu.core.errors import Draining, JoinTokenExpired, JoinTokenInvalid, SdpError, WorkerFull
from services.sfu.core.ids import CallId, DeviceId, ParticipantKey, UserId
from services.sfu.service import Sfu

ERRORS: ErrorTable = {
    JoinTokenInvalid: Refusal(grpc.StatusCode.PERMISSION_DENIED, "JOIN_TOKEN_INVALID"),
    JoinTokenExpired: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "JOIN_TOKEN_EXPIRED"),
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
        answer = await self._sfu.join(request.join_token, request.sdp_offer)
        return service_pb2.JoinResponse(sdp_answer=answer)

    async def Remove(self, request: service_pb2.RemoveRequest, context: Context) -> service_pb2.RemoveResponse:
        key = ParticipantKey(CallId(request.call_id), UserId(request.user_id), DeviceId(request.device_id))
        await self._sfu.remove(key)
        return service_pb2.RemoveResponse()

    async def EndCall(self, request: service_pb2.EndCallRequest, context: Context) -> service_pb2.EndCallResponse:
        await self._sfu.end_call(CallId(request.call_id))
        return service_pb2.EndCallResponse()

    async def SetDraining(
        self, request: service_pb2.SetDrainingRequest, context: Context
    ) -> service_pb2.SetDrainingResponse:
        self._sfu.set_draining(request.draining)
        return service_pb2.SetDrainingResponse()
