"""The methods of CallsService about join links and the lobby."""

from parley.calls.v1 import service_pb2 as api
from parley.calls.v1 import service_pb2_grpc

from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Context
from services.signaling.links.lobby import Lobby
from services.signaling.links.service import JoinLinks
from services.signaling.mapping.calls import encode_call, encode_place
from services.signaling.mapping.links import encode_link
from services.signaling.mapping.scheduled import encode_entry
from services.signaling.requests import call_id_of, check_link_ttl, check_user_id, link_id_of, me, request_id

# No secret is that long.
MAX_SECRET_CHARS = 256


class JoinLinkRpcs(service_pb2_grpc.CallsServiceServicer):
    """Translates; the use-cases stand in service.py and lobby.py. Signaling's servicer is made of these."""

    _links: JoinLinks
    _lobby: Lobby

    async def CreateJoinLink(self, request: api.CreateJoinLinkRequest, context: Context) -> api.CreateJoinLinkResponse:
        link, secret = await self._links.create_link(
            call_id_of(request.call_id), me(), check_link_ttl(request.ttl_s), request_id(request)
        )
        return api.CreateJoinLinkResponse(link=encode_link(link), secret=secret)

    async def ListJoinLinks(self, request: api.ListJoinLinksRequest, context: Context) -> api.ListJoinLinksResponse:
        links = await self._links.list_links(call_id_of(request.call_id), me())
        return api.ListJoinLinksResponse(links=[encode_link(link) for link in links])

    async def RevokeJoinLink(self, request: api.RevokeJoinLinkRequest, context: Context) -> api.RevokeJoinLinkResponse:
        link = await self._links.revoke_link(link_id_of(request.link_id), me())
        return api.RevokeJoinLinkResponse(link=encode_link(link))

    async def OpenJoinLink(self, request: api.OpenJoinLinkRequest, context: Context) -> api.OpenJoinLinkResponse:
        if len(request.secret) > MAX_SECRET_CHARS:
            raise InvalidRequest("secret", f"is longer than {MAX_SECRET_CHARS} characters")
        opened = await self._lobby.open_link(request.secret, me(), request_id(request))
        answer = api.OpenJoinLinkResponse(host_user_id=opened.host_id)
        if opened.scheduled:
            entry = encode_entry(opened.scheduled, opened.link.link_id, is_member=opened.is_part)
            answer.scheduled.CopyFrom(entry)
        elif opened.call and opened.is_part:
            answer.call.CopyFrom(encode_call(opened.call))
        elif opened.call:
            answer.place.CopyFrom(encode_place(opened.call, me()))
        return answer

    async def LeaveLobby(self, request: api.LeaveLobbyRequest, context: Context) -> api.LeaveLobbyResponse:
        await self._lobby.leave_lobby(call_id_of(request.call_id), me())
        return api.LeaveLobbyResponse()

    async def AdmitGuest(self, request: api.AdmitGuestRequest, context: Context) -> api.AdmitGuestResponse:
        call = await self._lobby.admit_guest(
            call_id_of(request.call_id), me(), check_user_id(request.user_id), request_id(request)
        )
        return api.AdmitGuestResponse(call=encode_call(call))

    async def RefuseGuest(self, request: api.RefuseGuestRequest, context: Context) -> api.RefuseGuestResponse:
        call = await self._lobby.refuse_guest(
            call_id_of(request.call_id), me(), check_user_id(request.user_id), request_id(request)
        )
        return api.RefuseGuestResponse(call=encode_call(call))
