"""What a server, a program of the network's back office, does with calls."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from parley.calls.v1 import messages_pb2, server_pb2
from parley.calls.v1.server_pb2_grpc import ServerCallsServiceStub

from parley_client.server_connection import ServerConnection

if TYPE_CHECKING:
    from parley.calls.v1.server_pb2_grpc import ServerCallsServiceAsyncStub


class ServerCallsClient(ServerConnection):
    """The server API of calls, at signaling's admin address.

    What a method does, and how it is refused, is said in protos/parley/calls/v1/server.proto; a refusal is a
    grpc.aio.AioRpcError, whose reason error_details.reason_of gives.
    """

    _service = "signaling"

    @cached_property
    def calls(self) -> ServerCallsServiceAsyncStub:
        """The generated stub."""
        return ServerCallsServiceStub(self._channel)

    async def start_call(
        self, as_user: str, conversation_id: str, *, video: bool = False, client_call_id: str = ""
    ) -> messages_pb2.Call:
        """Ring a group as an account that is in it. Give a `client_call_id` of your own to whatever may be asked
        twice: it rings once."""
        request = server_pb2.ServerCallsServiceStartCallRequest(
            as_user_id=as_user,
            conversation_id=conversation_id,
            video=video,
            client_call_id=client_call_id or str(uuid.uuid4()),
        )
        return (await self.calls.StartCall(request)).call

    async def end_call(self, call_id: str, reason: str, *, as_user: str = "") -> messages_pb2.Call:
        """End a call for all, as an account; without one for keys that may act as every account. Idempotent."""
        request = server_pb2.ServerCallsServiceEndCallRequest(as_user_id=as_user, call_id=call_id, reason=reason)
        return (await self.calls.EndCall(request)).call

    async def list_calls(self, conversation_id: str, *, as_user: str = "") -> Sequence[messages_pb2.Call]:
        """The calls that ring or run in a conversation. As end_call."""
        request = server_pb2.ServerCallsServiceListCallsRequest(as_user_id=as_user, conversation_id=conversation_id)
        return (await self.calls.ListCalls(request)).calls

    async def create_join_link(
        self, as_user: str, call_id: str, *, ttl_s: int = 0, client_request_id: str = ""
    ) -> tuple[messages_pb2.JoinLink, str]:
        """A way into a call for people outside of its conversation, as an account that is in it: the link and its
        secret, which nobody gives again but to the same `client_request_id`, a random one."""
        request = server_pb2.ServerCallsServiceCreateJoinLinkRequest(
            as_user_id=as_user, call_id=call_id, ttl_s=ttl_s, client_request_id=client_request_id or str(uuid.uuid4())
        )
        answer = await self.calls.CreateJoinLink(request)
        return answer.link, answer.secret

    async def list_join_links(self, as_user: str, call_id: str) -> Sequence[messages_pb2.JoinLink]:
        """The links to a call that the account may see."""
        request = server_pb2.ServerCallsServiceListJoinLinksRequest(as_user_id=as_user, call_id=call_id)
        return (await self.calls.ListJoinLinks(request)).links

    async def revoke_join_link(self, as_user: str, link_id: str) -> messages_pb2.JoinLink:
        """Let nobody open a link any more, and put out who came by it. Idempotent."""
        request = server_pb2.ServerCallsServiceRevokeJoinLinkRequest(as_user_id=as_user, link_id=link_id)
        return (await self.calls.RevokeJoinLink(request)).link
