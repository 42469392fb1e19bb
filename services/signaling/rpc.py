"""CallsService over gRPC: checks the form of requests, translates, and names each refusal."""

import grpc
from parley.calls.v1 import operations_pb2, operations_pb2_grpc, service_pb2_grpc
from parley.calls.v1 import service_pb2 as api

from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.observability import tracing
from services.runtime.quiet_hours import find_fault
from services.signaling.core import errors
from services.signaling.core.model import Call, CallId, ConversationId, WorkerId
from services.signaling.links.lobby import Lobby
from services.signaling.links.rpc import JoinLinkRpcs
from services.signaling.links.service import JoinLinks
from services.signaling.mapping.calls import encode_call, encode_grant
from services.signaling.mapping.records import encode_record
from services.signaling.mapping.settings import encode_settings, to_settings
from services.signaling.moves import CallMoves
from services.signaling.requests import (
    call_id_of,
    check_client_call_id,
    check_user_id,
    check_uuid,
    me,
    own_device_id,
    request_id,
)
from services.signaling.scheduled.rpc import ScheduledCallRpcs
from services.signaling.scheduled.service import ScheduledCalls
from services.signaling.service import CallsService
from services.signaling.starting import StartRequest

MAX_OFFER_BYTES = 64 * 1024
MAX_TOKEN_CHARS = 4096
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50
_FAILED = grpc.StatusCode.FAILED_PRECONDITION

ERRORS: ErrorTable = {
    errors.CallNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "CALL_NOT_FOUND"),
    errors.ConversationNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    errors.AccountKeyOutdated: Refusal(_FAILED, "ACCOUNT_KEY_OUTDATED"),
    errors.DeviceKeysNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "DEVICE_KEYS_NOT_FOUND"),
    errors.KeyDeviceLimit: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "KEY_DEVICE_LIMIT"),
    errors.CallNotAllowed: Refusal(grpc.StatusCode.PERMISSION_DENIED, "CALL_NOT_ALLOWED"),
    errors.CallRate: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_RATE"),
    errors.NotGroupCall: Refusal(_FAILED, "NOT_GROUP_CALL"),
    errors.NotAdmin: Refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_ADMIN"),
    errors.CallLocked: Refusal(_FAILED, "CALL_LOCKED"),
    errors.CallFull: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "CALL_FULL"),
    errors.RemovedFromCall: Refusal(grpc.StatusCode.PERMISSION_DENIED, "REMOVED_FROM_CALL"),
    errors.JoinLinkNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "JOIN_LINK_NOT_FOUND"),
    errors.JoinLinkClosed: Refusal(_FAILED, "JOIN_LINK_CLOSED"),
    errors.JoinLinkLimit: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "JOIN_LINK_LIMIT"),
    errors.LobbyFull: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "LOBBY_FULL"),
    errors.LobbyRefused: Refusal(grpc.StatusCode.PERMISSION_DENIED, "LOBBY_REFUSED"),
    errors.ScheduledCallNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "SCHEDULED_CALL_NOT_FOUND"),
    errors.ScheduledCallOver: Refusal(_FAILED, "SCHEDULED_CALL_OVER"),
    errors.ScheduledCallLimit: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "SCHEDULED_CALL_LIMIT"),
    errors.NotHost: Refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_HOST"),
    errors.ParticipantNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "PARTICIPANT_NOT_FOUND"),
    errors.AlreadyInCall: Refusal(_FAILED, "ALREADY_IN_CALL"),
    errors.NoMediaWorker: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_MEDIA_WORKER", retry_delay_s=2.0),
    errors.WorkerNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND"),
    errors.AnsweredElsewhere: Refusal(_FAILED, "ANSWERED_ELSEWHERE"),
    errors.CallEnded: Refusal(_FAILED, "CALL_ENDED"),
    errors.NotCallee: Refusal(_FAILED, "NOT_CALLEE"),
    errors.NotCaller: Refusal(_FAILED, "NOT_CALLER"),
    errors.AlreadyAnswered: Refusal(_FAILED, "ALREADY_ANSWERED"),
    errors.NotInCall: Refusal(_FAILED, "NOT_IN_CALL"),
    errors.JoinTokenInvalid: Refusal(grpc.StatusCode.PERMISSION_DENIED, "JOIN_TOKEN_INVALID"),
    errors.JoinTokenExpired: Refusal(_FAILED, "JOIN_TOKEN_EXPIRED"),
    errors.SdpInvalid: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID"),
    errors.MediaUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "MEDIA_UNAVAILABLE", retry_delay_s=1.0),
    # To a client these are one: what signaling needs in order to decide is away for now.
    errors.MembersUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_delay_s=1.0),
    errors.Contended: Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_delay_s=0.2),
}


def apis(
    service: CallsService, links: JoinLinks, lobby: Lobby, scheduled: ScheduledCalls, moves: CallMoves
) -> list[Api]:
    """What the server serves."""
    servicer = CallsServicer(service, links, lobby, scheduled)
    operations = OperationsServicer(moves)
    return [
        Api(
            "parley.calls.v1.CallOperationsService",
            Access.ADMIN,
            lambda server: operations_pb2_grpc.add_CallOperationsServiceServicer_to_server(operations, server),
        ),
        Api(
            "parley.calls.v1.CallsService",
            Access.USER,
            lambda server: service_pb2_grpc.add_CallsServiceServicer_to_server(servicer, server),
        ),
    ]


class CallsServicer(JoinLinkRpcs, ScheduledCallRpcs, service_pb2_grpc.CallsServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, service: CallsService, links: JoinLinks, lobby: Lobby, scheduled: ScheduledCalls) -> None:
        self._service = service
        self._links = links
        self._lobby = lobby
        self._scheduled = scheduled

    async def StartCall(self, request: api.StartCallRequest, context: Context) -> api.StartCallResponse:
        start = StartRequest(
            caller_id=me(),
            device_id=own_device_id(request.device_id),
            conversation_id=ConversationId(check_uuid("conversation_id", request.conversation_id)),
            video=request.video,
            client_call_id=check_client_call_id(request.client_call_id),
            trace=tracing.current_header() or "",
        )
        call, grant = await self._service.start_call(start)
        return api.StartCallResponse(call=encode_call(call), grant=encode_grant(grant))

    async def AcceptCall(self, request: api.AcceptCallRequest, context: Context) -> api.AcceptCallResponse:
        device_id = own_device_id(request.device_id)
        call, grant = await self._service.accept_call(call_id_of(request.call_id), me(), device_id, request_id(request))
        return api.AcceptCallResponse(call=encode_call(call), grant=encode_grant(grant))

    async def DeclineCall(self, request: api.DeclineCallRequest, context: Context) -> api.DeclineCallResponse:
        call = await self._service.decline_call(call_id_of(request.call_id), me())
        return api.DeclineCallResponse(call=encode_call(call))

    async def CancelCall(self, request: api.CancelCallRequest, context: Context) -> api.CancelCallResponse:
        call = await self._service.cancel_call(call_id_of(request.call_id), me())
        return api.CancelCallResponse(call=encode_call(call))

    async def LeaveCall(self, request: api.LeaveCallRequest, context: Context) -> api.LeaveCallResponse:
        device_id = own_device_id(request.device_id)
        call = await self._service.leave_call(call_id_of(request.call_id), me(), device_id, request_id(request))
        return api.LeaveCallResponse(call=encode_call(call))

    async def GetCall(self, request: api.GetCallRequest, context: Context) -> api.GetCallResponse:
        call = await self._service.get_call(call_id_of(request.call_id), me())
        return api.GetCallResponse(call=encode_call(call))

    async def ListActiveCalls(
        self, request: api.ListActiveCallsRequest, context: Context
    ) -> api.ListActiveCallsResponse:
        calls = await self._service.list_active_calls(me())
        return api.ListActiveCallsResponse(calls=[encode_call(call) for call in calls])

    async def RenewMediaGrant(
        self, request: api.RenewMediaGrantRequest, context: Context
    ) -> api.RenewMediaGrantResponse:
        device_id = own_device_id(request.device_id)
        grant = await self._service.access.renew_grant(call_id_of(request.call_id), me(), device_id)
        return api.RenewMediaGrantResponse(grant=encode_grant(grant))

    async def JoinMedia(self, request: api.JoinMediaRequest, context: Context) -> api.JoinMediaResponse:
        if not 0 < len(request.sdp_offer.encode()) <= MAX_OFFER_BYTES:
            raise InvalidRequest("sdp_offer", "is empty or over 64 KiB")
        if len(request.join_token) > MAX_TOKEN_CHARS:
            raise errors.JoinTokenInvalid
        answer = await self._service.access.join_media(me(), request.join_token, request.sdp_offer)
        return api.JoinMediaResponse(sdp_answer=answer)

    async def JoinCall(self, request: api.JoinCallRequest, context: Context) -> api.JoinCallResponse:
        device_id = own_device_id(request.device_id)
        call, grant = await self._service.join_call(call_id_of(request.call_id), me(), device_id, request_id(request))
        return api.JoinCallResponse(call=encode_call(call), grant=encode_grant(grant))

    async def TakeOverCall(self, request: api.TakeOverCallRequest, context: Context) -> api.TakeOverCallResponse:
        device_id = own_device_id(request.device_id)
        call, grant = await self._service.take_over(call_id_of(request.call_id), me(), device_id, request_id(request))
        return api.TakeOverCallResponse(call=encode_call(call), grant=encode_grant(grant))

    async def SetHand(self, request: api.SetHandRequest, context: Context) -> api.SetHandResponse:
        call = await self._service.set_hand(call_id_of(request.call_id), me(), request.raised, request_id(request))
        return api.SetHandResponse(call=encode_call(call))

    async def RequestMute(self, request: api.RequestMuteRequest, context: Context) -> api.RequestMuteResponse:
        call = await self._service.request_mute(
            call_id_of(request.call_id), me(), check_user_id(request.user_id), request_id(request)
        )
        return api.RequestMuteResponse(call=encode_call(call))

    async def RemoveParticipant(
        self, request: api.RemoveParticipantRequest, context: Context
    ) -> api.RemoveParticipantResponse:
        call = await self._service.remove_participant(call_id_of(request.call_id), me(), check_user_id(request.user_id))
        return api.RemoveParticipantResponse(call=encode_call(call))

    async def SetLock(self, request: api.SetLockRequest, context: Context) -> api.SetLockResponse:
        call = await self._service.set_lock(call_id_of(request.call_id), me(), request.locked, request_id(request))
        return api.SetLockResponse(call=encode_call(call))

    async def EndCall(self, request: api.EndCallRequest, context: Context) -> api.EndCallResponse:
        call = await self._service.end_for_all(call_id_of(request.call_id), me())
        return api.EndCallResponse(call=encode_call(call))

    async def ListCalls(self, request: api.ListCallsRequest, context: Context) -> api.ListCallsResponse:
        if not 0 <= request.page_size <= MAX_PAGE_SIZE:
            raise InvalidRequest("page_size", f"is not 0 to {MAX_PAGE_SIZE}")
        before = CallId(check_uuid("page_token", request.page_token)) if request.page_token else None
        page = await self._service.list_ended_calls(me(), before, request.page_size or DEFAULT_PAGE_SIZE)
        records = [encode_record(call, page.quality.get(call.call_id, ())) for call in page.calls]
        return api.ListCallsResponse(calls=records, next_page_token=page.before or "")

    async def GetCallSettings(
        self, request: api.GetCallSettingsRequest, context: Context
    ) -> api.GetCallSettingsResponse:
        return api.GetCallSettingsResponse(settings=encode_settings(await self._service.get_settings(me())))

    async def UpdateCallSettings(
        self, request: api.UpdateCallSettingsRequest, context: Context
    ) -> api.UpdateCallSettingsResponse:
        settings = to_settings(request.settings)
        fault = find_fault(settings.quiet_hours) if settings.quiet_hours else None
        if fault:
            raise InvalidRequest(f"settings.quiet_hours.{fault[0]}", fault[1])
        updated = await self._service.update_settings(me(), settings)
        return api.UpdateCallSettingsResponse(settings=encode_settings(updated))


class OperationsServicer(operations_pb2_grpc.CallOperationsServiceServicer):
    """For operators, on the admin port."""

    def __init__(self, moves: CallMoves) -> None:
        self._moves = moves

    async def MoveCall(
        self, request: operations_pb2.MoveCallRequest, context: Context
    ) -> operations_pb2.MoveCallResponse:
        worker_id = WorkerId(request.worker_id) if request.worker_id else None
        call = await self._moves.move_on_request(call_id_of(request.call_id), worker_id)
        return operations_pb2.MoveCallResponse(worker_id=_worker_id(call), media_epoch=call.media_epoch)

    async def LocateCall(
        self, request: operations_pb2.LocateCallRequest, context: Context
    ) -> operations_pb2.LocateCallResponse:
        call = await self._moves.store.find(call_id_of(request.call_id))
        if call is None:
            raise errors.CallNotFound
        return operations_pb2.LocateCallResponse(worker_id=_worker_id(call), media_epoch=call.media_epoch)

    async def DrainWorker(
        self, request: operations_pb2.DrainWorkerRequest, context: Context
    ) -> operations_pb2.DrainWorkerResponse:
        worker_id = WorkerId(request.worker_id)
        if request.undo:
            await self._moves.undrain(worker_id)
            return operations_pb2.DrainWorkerResponse()
        return operations_pb2.DrainWorkerResponse(calls_left=await self._moves.drain(worker_id))


def _worker_id(call: Call) -> str:
    return call.worker.worker_id if call.worker else ""
