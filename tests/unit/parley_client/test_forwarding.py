"""Forwarding, as a program asks for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from parley.messaging.v1 import messages_pb2 as wire
from parley.messaging.v1 import service_pb2 as api

from parley_client.client import Device
from parley_client.messaging import Messaging
from parley_client.stream import EventStream
from tests.unit.parley_client.fake_edge import message


class Service:
    """Takes no copy in the conversation `closed`."""

    def __init__(self) -> None:
        self.asked: list[api.ForwardMessageRequest] = []
        self.taken: list[wire.Message] = []

    async def ForwardMessage(self, request: api.ForwardMessageRequest) -> api.ForwardMessageResponse:
        self.asked.append(request)
        answer = api.ForwardMessageResponse()
        for target in request.targets:
            result = answer.results.add()
            if target.conversation_id == "closed":
                result.refusal.reason = "NOT_ALLOWED"
            else:
                result.message.CopyFrom(message(1))
        return answer

    def messaging(self) -> Messaging:
        device = SimpleNamespace(messaging=self, attachments=None, user_id="alice")
        stream = SimpleNamespace(take_message=self.taken.append)
        return Messaging(cast(Device, device), cast(EventStream, stream))


async def test_it_goes_into_several_and_says_why_one_took_none() -> None:
    service = Service()
    assert await service.messaging().forward("c1", 7, ["open", "closed"]) == {"closed": "NOT_ALLOWED"}
    (asked,) = service.asked
    assert (asked.conversation_id, asked.seq) == ("c1", 7)
    assert [target.conversation_id for target in asked.targets] == ["open", "closed"]
    assert len({target.client_message_id for target in asked.targets} - {""}) == 2
    # The device has the copy at once.
    assert len(service.taken) == 1


async def test_another_run_gives_the_ids_itself() -> None:
    service = Service()
    await service.messaging().forward("c1", 7, {"open": "key"})
    assert [target.client_message_id for target in service.asked[0].targets] == ["key"]
