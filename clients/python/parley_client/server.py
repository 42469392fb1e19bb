"""What a server, a program of the network's back office such as a bot, does with conversations."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from parley.messaging.v1 import messages_pb2, server_pb2, service_pb2
from parley.messaging.v1.server_pb2_grpc import ServerMessagingServiceStub

from parley_client.server_connection import ServerConnection

if TYPE_CHECKING:
    from parley.messaging.v1.server_pb2_grpc import ServerMessagingServiceAsyncStub


class ServerClient(ServerConnection):
    """The server API of messaging, at messaging's admin address; server_calls.py has that of calls.

    What a method does, and how it is refused, is said in protos/parley/messaging/v1/server.proto; a refusal is a
    grpc.aio.AioRpcError, whose reason error_details.reason_of gives.
    """

    _service = "messaging"

    @cached_property
    def messaging(self) -> ServerMessagingServiceAsyncStub:
        """The generated stub."""
        return ServerMessagingServiceStub(self._channel)

    async def send_text(
        self, as_user: str, conversation_id: str, text: str, *, client_message_id: str = ""
    ) -> messages_pb2.Message:
        """Send a text as an account. Give a `client_message_id` of your own to whatever may be sent twice: it is stored
        once. Without it each call is another message."""
        message = service_pb2.SendMessageRequest(
            conversation_id=conversation_id, client_message_id=client_message_id or str(uuid.uuid4())
        )
        message.text.text = text
        return await self.send(as_user, message)

    async def send(self, as_user: str, message: service_pb2.SendMessageRequest) -> messages_pb2.Message:
        """Send whatever a user's device might send."""
        request = server_pb2.ServerMessagingServiceSendMessageRequest(as_user_id=as_user, message=message)
        return (await self.messaging.SendMessage(request)).message

    async def open_direct(self, as_user: str, peer: str) -> messages_pb2.Conversation:
        """The one conversation of an account and another user. Idempotent."""
        request = server_pb2.CreateConversationRequest(as_user_id=as_user)
        request.direct.peer_user_id = peer
        return (await self.messaging.CreateConversation(request)).conversation

    async def create_group(
        self, as_user: str, client_conversation_id: str, title: str, user_ids: Sequence[str]
    ) -> messages_pb2.Conversation:
        """A group of an account's. Idempotent by `client_conversation_id`."""
        request = server_pb2.CreateConversationRequest(as_user_id=as_user)
        request.group.client_conversation_id = client_conversation_id
        request.group.title = title
        request.group.user_ids.extend(user_ids)
        return (await self.messaging.CreateConversation(request)).conversation

    async def add_members(
        self, as_user: str, conversation_id: str, user_ids: Sequence[str], *, client_request_id: str = ""
    ) -> messages_pb2.Conversation:
        """Add people to a group as an account that is in it. Idempotent."""
        request = server_pb2.ServerMessagingServiceAddMembersRequest(
            as_user_id=as_user, conversation_id=conversation_id, client_request_id=client_request_id, user_ids=user_ids
        )
        return (await self.messaging.AddMembers(request)).conversation

    async def remove_members(
        self, as_user: str, conversation_id: str, user_ids: Sequence[str], reason: str
    ) -> messages_pb2.Conversation:
        """Take people out of a group, and ban them, as an account that is in it. Idempotent."""
        request = server_pb2.RemoveMembersRequest(
            as_user_id=as_user, conversation_id=conversation_id, user_ids=user_ids, reason=reason
        )
        return (await self.messaging.RemoveMembers(request)).conversation

    async def get_conversation(self, conversation_id: str, *, as_user: str = "") -> messages_pb2.Conversation:
        """As an account sees it; without one for keys that may act as every account."""
        request = server_pb2.ServerMessagingServiceGetConversationRequest(
            as_user_id=as_user, conversation_id=conversation_id
        )
        return (await self.messaging.GetConversation(request)).conversation

    async def list_messages(
        self, conversation_id: str, *, as_user: str = "", before_seq: int = 0, page_size: int = 0
    ) -> tuple[Sequence[messages_pb2.Message], bool]:
        """A page, the newest first, and whether there is more below it. As get_conversation."""
        request = server_pb2.ServerMessagingServiceListMessagesRequest(
            as_user_id=as_user, conversation_id=conversation_id, before_seq=before_seq, page_size=page_size
        )
        answer = await self.messaging.ListMessages(request)
        return answer.messages, answer.has_more

    async def take_down_message(self, conversation_id: str, seq: int, reason: str) -> messages_pb2.Message:
        """Take a message away from everybody. Idempotent."""
        request = server_pb2.TakeDownMessageRequest(conversation_id=conversation_id, seq=seq, reason=reason)
        return (await self.messaging.TakeDownMessage(request)).message

    async def list_held_messages(
        self, *, page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[server_pb2.HeldMessage], str]:
        """What waits for a review, the oldest first, and the token of the next page."""
        request = server_pb2.ListHeldMessagesRequest(page_size=page_size, page_token=page_token)
        answer = await self.messaging.ListHeldMessages(request)
        return answer.held_messages, answer.next_page_token

    async def release_held_message(self, held_id: str, reason: str) -> messages_pb2.Message:
        """Let it pass: it is sent now. Idempotent."""
        request = server_pb2.ReleaseHeldMessageRequest(held_id=held_id, reason=reason)
        return (await self.messaging.ReleaseHeldMessage(request)).message

    async def refuse_held_message(self, held_id: str, reason: str) -> None:
        """Do not let it pass: what it says is deleted. Idempotent."""
        await self.messaging.RefuseHeldMessage(server_pb2.RefuseHeldMessageRequest(held_id=held_id, reason=reason))

    async def freeze_conversation(self, conversation_id: str, reason: str) -> None:
        """Let nobody say anything in a conversation. Idempotent."""
        request = server_pb2.FreezeConversationRequest(conversation_id=conversation_id, reason=reason)
        await self.messaging.FreezeConversation(request)

    async def unfreeze_conversation(self, conversation_id: str, reason: str) -> None:
        """Let people write again. Idempotent."""
        request = server_pb2.UnfreezeConversationRequest(conversation_id=conversation_id, reason=reason)
        await self.messaging.UnfreezeConversation(request)

    async def restrict_account(self, user_id: str, until: datetime, reason: str) -> None:
        """Let an account write nothing until a time. Idempotent; a later call sets another time."""
        request = server_pb2.RestrictAccountRequest(user_id=user_id, reason=reason)
        request.until_time.FromDatetime(until)
        await self.messaging.RestrictAccount(request)

    async def lift_restriction(self, user_id: str, reason: str) -> None:
        """Let an account write again. Idempotent."""
        await self.messaging.LiftRestriction(server_pb2.LiftRestrictionRequest(user_id=user_id, reason=reason))
