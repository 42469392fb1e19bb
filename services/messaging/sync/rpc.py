"""The methods of MessagingService about the list of conversations and Sync."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.kernel import errors
from services.messaging.kernel.request import RequestState
from services.messaging.sync.service import AccountSyncRequest, Sync
from services.messaging.wire.api import conversation_message, delta_message, message_message, own_state_message
from services.messaging.wire.requests import instant, me
from services.messaging.wire.values import to_timestamp
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Context

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.SyncTokenUnknown: Refusal(_CODE.FAILED_PRECONDITION, "SYNC_TOKEN_UNKNOWN"),
    errors.TooManyConversations: Refusal(_CODE.FAILED_PRECONDITION, "TOO_MANY_CONVERSATIONS"),
}

_FOLDERS = {
    api.CONVERSATION_FOLDER_UNSPECIFIED: RequestState.ACCEPTED,
    api.CONVERSATION_FOLDER_REQUESTS: RequestState.PENDING,
}


class SyncRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _sync: Sync

    async def ListConversations(
        self, request: api.ListConversationsRequest, context: Context
    ) -> api.ListConversationsResponse:
        folder = _FOLDERS.get(request.folder)
        if folder is None:
            raise InvalidRequest("folder", "is not known")
        page = await self._sync.list_conversations(me(), request.page_size, request.page_token, folder)
        summaries = [
            api.ConversationSummary(
                conversation=conversation_message(summary.conversation),
                last_message=message_message(summary.last_message) if summary.last_message else None,
                own_state=own_state_message(summary.own),
            )
            for summary in page.items
        ]
        return api.ListConversationsResponse(
            conversations=summaries, next_page_token=page.next_token, sync_token=page.sync_token
        )

    async def Sync(self, request: api.SyncRequest, context: Context) -> api.SyncResponse:
        if request.HasField("sync_token"):
            return await self._sync_account(request)
        since = instant("since_time", request.since_time) if request.HasField("since_time") else None
        cursors = [(cursor.conversation_id, cursor.seq, cursor.revision) for cursor in request.cursors]
        catchup = await self._sync.sync(me(), cursors, request.limit, since)
        return api.SyncResponse(
            deltas=[delta_message(delta) for delta in catchup.deltas],
            has_more=catchup.has_more,
            sync_time=to_timestamp(catchup.sync_time),
            gone_conversation_ids=[str(conversation_id) for conversation_id in catchup.gone],
        )

    async def _sync_account(self, request: api.SyncRequest) -> api.SyncResponse:
        cursors = [(cursor.conversation_id, cursor.seq, cursor.revision) for cursor in request.cursors]
        wanted = AccountSyncRequest(request.sync_token, cursors, request.limit, request.page_size)
        catchup, token = await self._sync.sync_account(me(), wanted)
        return api.SyncResponse(
            deltas=[delta_message(delta) for delta in catchup.deltas],
            has_more=catchup.has_more,
            gone_conversation_ids=[str(conversation_id) for conversation_id in catchup.gone],
            sync_token=token,
        )
