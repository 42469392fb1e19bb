"""The method of MessagingService that searches."""

from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.kernel.model import UserId
from services.messaging.search.core import Filters, Has
from services.messaging.search.service import Search
from services.messaging.wire.api import message_message
from services.messaging.wire.requests import instant, me
from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Context

_HAS = {
    api.SEARCH_HAS_FILE: Has.FILE,
    api.SEARCH_HAS_PICTURE: Has.PICTURE,
    api.SEARCH_HAS_VIDEO: Has.VIDEO,
    api.SEARCH_HAS_LINK: Has.LINK,
    api.SEARCH_HAS_PICTURE_OR_VIDEO: Has.PICTURE_OR_VIDEO,
    api.SEARCH_HAS_OTHER_FILE: Has.OTHER_FILE,
    api.SEARCH_HAS_VOICE: Has.VOICE,
}


def _filters(request: api.SearchMessagesRequest) -> Filters:
    if unknown := [each for each in request.has if each not in _HAS]:
        raise InvalidRequest("has", f"{unknown[0]} is not known")
    return Filters(
        UserId(request.from_user_id),
        frozenset(_HAS[each] for each in request.has),
        instant("since_time", request.since_time) if request.HasField("since_time") else None,
        instant("before_time", request.before_time) if request.HasField("before_time") else None,
    )


class SearchRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _search: Search

    async def SearchMessages(self, request: api.SearchMessagesRequest, context: Context) -> api.SearchMessagesResponse:
        messages, token = await self._search.search(
            *(me(), request.query, request.conversation_id, request.page_size, request.page_token),
            _filters(request),
        )
        return api.SearchMessagesResponse(
            messages=[message_message(message) for message in messages], next_page_token=token
        )
