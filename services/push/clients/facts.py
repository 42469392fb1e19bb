"""Messaging, asked how people keep their conversations."""

from collections.abc import Sequence
from datetime import UTC

import grpc
from parley.messaging.v1 import messages_pb2 as messaging
from parley.messaging.v1 import notices_pb2 as api
from parley.messaging.v1 import notices_pb2_grpc

from services.push.core.model import Facts, RequestState
from services.push.ports import FactsUnavailable, Question
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import ServiceClient

# Raising it waits longer for a messaging that hangs; lowering it gives up one that is only busy.
TIMEOUT_S = 5.0
_REQUESTS = {
    messaging.REQUEST_STATE_UNSPECIFIED: RequestState.ACCEPTED,
    messaging.REQUEST_STATE_PENDING: RequestState.PENDING,
    messaging.REQUEST_STATE_DECLINED: RequestState.DECLINED,
}


class GrpcFacts(ServiceClient):
    """See ports.FactSource."""

    name = "messaging-client"

    async def facts(self, questions: Sequence[Question]) -> Sequence[Facts]:
        """See ports.FactSource."""
        if self._channel is None:
            raise FactsUnavailable("messaging is not connected")
        request = api.GetNoticeFactsRequest(
            questions=[
                api.NoticeQuestion(
                    user_id=question.user_id,
                    conversation_id=question.conversation_id,
                    from_user_id=question.from_user_id,
                    reply_to_seq=question.reply_to_seq,
                )
                for question in questions
            ]
        )
        stub = notices_pb2_grpc.NoticeFactsServiceStub(self._channel)
        try:
            response = await stub.GetNoticeFacts(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            why = reason_of(error) or error.code().name
            raise FactsUnavailable(f"messaging does not answer: {why}") from error
        if len(response.facts) != len(questions):
            raise FactsUnavailable("messaging answers other questions")
        return [to_facts(message) for message in response.facts]


def to_facts(message: api.NoticeFacts) -> Facts:
    """As messaging answers."""
    return Facts(
        is_member=message.member,
        is_group=message.group,
        # Of a newer release: nobody is disturbed by what is not understood.
        request=_REQUESTS.get(message.request, RequestState.DECLINED),
        is_blocked=message.blocked,
        muted_until=message.mute_end_time.ToDatetime(UTC) if message.HasField("mute_end_time") else None,
        read_seq=message.read_seq,
        is_reply_to_own=message.reply_to_own,
        title=message.title,
    )
