"""The methods of MessagingService about drafts."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.drafts.mapping import draft_message
from services.messaging.drafts.service import Drafts
from services.messaging.kernel import errors
from services.messaging.wire.requests import me
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Context

ERRORS: ErrorTable = {
    errors.TooManyDrafts: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_DRAFTS"),
}


class DraftsRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _drafts: Drafts

    async def SetDraft(self, request: api.SetDraftRequest, context: Context) -> api.SetDraftResponse:
        draft = await self._drafts.set_draft(me(), request.conversation_id, request.text, request.reply_to_seq)
        return api.SetDraftResponse(draft=draft_message(draft))

    async def ListDrafts(self, request: api.ListDraftsRequest, context: Context) -> api.ListDraftsResponse:
        found, following = await self._drafts.list_own(me(), request.page_size, request.page_token)
        return api.ListDraftsResponse(drafts=[draft_message(each) for each in found], next_page_token=following)
