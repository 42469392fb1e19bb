"""The method of MessagingService that searches."""

from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.search.service import Search
from services.messaging.wire.api import message_message
from services.messaging.wire.requests import me
from services.runtime.grpc.guard import Context


class SearchRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _search: Search

    async def SearchMessages(self, request: api.SearchMessagesRequest, context: Context) -> api.SearchMessagesResponse:
        messages, token = await self._search.search(
            me(), request.query, request.conversation_id, request.page_size, request.page_token
        )
        return api.SearchMessagesResponse(
            messages=[message_message(message) for message in messages], next_page_token=token
        )
