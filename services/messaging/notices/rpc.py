"""NoticeFactsService over gRPC: for push, which tells sleeping devices."""

from parley.messaging.v1 import messages_pb2, notices_pb2_grpc
from parley.messaging.v1 import notices_pb2 as api

from services.messaging.kernel.request import RequestState
from services.messaging.notices.core import NoticeFacts, check_count, check_question
from services.messaging.notices.ports import FactReader
from services.messaging.wire.values import to_timestamp
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api

_REQUESTS = {
    RequestState.ACCEPTED: messages_pb2.REQUEST_STATE_UNSPECIFIED,
    RequestState.PENDING: messages_pb2.REQUEST_STATE_PENDING,
    RequestState.DECLINED: messages_pb2.REQUEST_STATE_DECLINED,
}


def api_of(facts: FactReader) -> Api:
    """What the server serves."""
    servicer = NoticeFactsServicer(facts)
    return Api(
        "parley.messaging.v1.NoticeFactsService",
        Access.SERVICE,
        lambda server: notices_pb2_grpc.add_NoticeFactsServiceServicer_to_server(servicer, server),
    )


class NoticeFactsServicer(notices_pb2_grpc.NoticeFactsServiceServicer):
    """See the protos."""

    def __init__(self, facts: FactReader) -> None:
        self._facts = facts

    async def GetNoticeFacts(self, request: api.GetNoticeFactsRequest, context: Context) -> api.GetNoticeFactsResponse:
        check_count(len(request.questions))
        questions = [
            check_question(asked.user_id, asked.conversation_id, asked.from_user_id, asked.reply_to_seq)
            for asked in request.questions
        ]
        found = await self._facts.facts(questions) if questions else []
        return api.GetNoticeFactsResponse(facts=[_message(facts) for facts in found])


def _message(facts: NoticeFacts) -> api.NoticeFacts:
    return api.NoticeFacts(
        member=facts.is_member,
        group=facts.is_group,
        request=_REQUESTS[facts.request],
        blocked=facts.is_blocked,
        mute_end_time=to_timestamp(facts.muted_until) if facts.muted_until else None,
        read_seq=facts.read_seq,
        reply_to_own=facts.is_reply_to_own,
        title=facts.title,
    )
