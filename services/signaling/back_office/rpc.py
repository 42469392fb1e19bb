"""ServerCallsService over gRPC."""

from parley.calls.v1 import server_pb2 as api
from parley.calls.v1 import server_pb2_grpc

from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.server_keys import current_server
from services.runtime.observability import tracing
from services.signaling.back_office.service import BackOffice
from services.signaling.core.model import ConversationId, DeviceId, UserId
from services.signaling.mapping.calls import encode_call
from services.signaling.mapping.links import encode_link
from services.signaling.requests import (
    call_id_of,
    check_client_call_id,
    check_link_ttl,
    check_reason,
    check_user_id,
    check_uuid,
    link_id_of,
    request_id,
)
from services.signaling.starting import StartRequest


def api_of(back_office: BackOffice) -> Api:
    """What the server serves to the network's back office."""
    servicer = ServerCallsServicer(back_office)
    return Api(
        "parley.calls.v1.ServerCallsService",
        Access.SERVER,
        lambda server: server_pb2_grpc.add_ServerCallsServiceServicer_to_server(servicer, server),
    )


class ServerCallsServicer(server_pb2_grpc.ServerCallsServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, back_office: BackOffice) -> None:
        self._back_office = back_office

    async def StartCall(
        self, request: api.ServerCallsServiceStartCallRequest, context: Context
    ) -> api.ServerCallsServiceStartCallResponse:
        start = StartRequest(
            caller_id=_account(request.as_user_id),
            device_id=DeviceId(""),
            conversation_id=_conversation_id(request.conversation_id),
            video=request.video,
            client_call_id=check_client_call_id(request.client_call_id),
            trace=tracing.current_header() or "",
        )
        call = await self._back_office.start_call(current_server(), start)
        return api.ServerCallsServiceStartCallResponse(call=encode_call(call))

    async def EndCall(
        self, request: api.ServerCallsServiceEndCallRequest, context: Context
    ) -> api.ServerCallsServiceEndCallResponse:
        # The record has it by now (services/runtime/identity/audit.py).
        check_reason(request.reason)
        account = _account_if_any(request.as_user_id)
        call = await self._back_office.end_call(current_server(), account, call_id_of(request.call_id))
        return api.ServerCallsServiceEndCallResponse(call=encode_call(call))

    async def ListCalls(
        self, request: api.ServerCallsServiceListCallsRequest, context: Context
    ) -> api.ServerCallsServiceListCallsResponse:
        account, conversation_id = _account_if_any(request.as_user_id), _conversation_id(request.conversation_id)
        calls = await self._back_office.list_calls(current_server(), account, conversation_id)
        return api.ServerCallsServiceListCallsResponse(calls=[encode_call(call) for call in calls])

    async def CreateJoinLink(
        self, request: api.ServerCallsServiceCreateJoinLinkRequest, context: Context
    ) -> api.ServerCallsServiceCreateJoinLinkResponse:
        link, secret = await self._back_office.create_link(
            *(current_server(), _account(request.as_user_id), call_id_of(request.call_id)),
            *(check_link_ttl(request.ttl_s), request_id(request)),
        )
        return api.ServerCallsServiceCreateJoinLinkResponse(link=encode_link(link), secret=secret)

    async def ListJoinLinks(
        self, request: api.ServerCallsServiceListJoinLinksRequest, context: Context
    ) -> api.ServerCallsServiceListJoinLinksResponse:
        account, call_id = _account(request.as_user_id), call_id_of(request.call_id)
        links = await self._back_office.list_links(current_server(), account, call_id)
        return api.ServerCallsServiceListJoinLinksResponse(links=[encode_link(link) for link in links])

    async def RevokeJoinLink(
        self, request: api.ServerCallsServiceRevokeJoinLinkRequest, context: Context
    ) -> api.ServerCallsServiceRevokeJoinLinkResponse:
        account, link_id = _account(request.as_user_id), link_id_of(request.link_id)
        link = await self._back_office.revoke_link(current_server(), account, link_id)
        return api.ServerCallsServiceRevokeJoinLinkResponse(link=encode_link(link))


def _account(value: str) -> UserId:
    return check_user_id(value, "as_user_id")


def _account_if_any(value: str) -> UserId | None:
    return _account(value) if value else None


def _conversation_id(value: str) -> ConversationId:
    return ConversationId(check_uuid("conversation_id", value))
