"""A server: a program of the network's back office, such as a bot, which calls the server API with a key of its own.

Here are its tokens, and what it does with conversations; server_calls.py has what it does with calls.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
import jwt
from parley.messaging.v1 import messages_pb2, server_pb2, service_pb2
from parley.messaging.v1.server_pb2_grpc import ServerMessagingServiceStub

if TYPE_CHECKING:
    from parley.messaging.v1.server_pb2_grpc import ServerMessagingServiceAsyncStub

_KIND = "parley-server+jwt"
# No longer life is believed.
_TOKEN_LIFE_S = 300.0
# A call without a deadline of its own gets this one.
_RPC_TIMEOUT_S = 10.0
_CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.lb_policy_name", "round_robin"),
]


class KeyFileError(Exception):
    """The file of the server's key cannot be used. No message holds a key."""


class ServerTokens:
    """Signs the server's tokens, one for each gRPC service that is called, and anew in good time.

    `key_file` is a JWK set with the private Ed25519 key, as `python -m deploy.server_keys` writes it. Its first key of
    the name signs. It is read again for each token, so a key is replaced without a restart.
    """

    def __init__(self, key_file: Path, name: str, clock: Callable[[], float] = time.time) -> None:
        self._key_file = key_file
        self._name = name
        self._clock = clock
        # By audience: the token, and when it was made.
        self._made: dict[str, tuple[str, float]] = {}
        self._read_key()

    def token(self, audience: str) -> str:
        """For calls of the gRPC service with this full name. Raises KeyFileError."""
        now = self._clock()
        token, made_at = self._made.get(audience, ("", 0.0))
        # Half of its life is left for the call, and for clocks that differ.
        if not token or not 0 <= now - made_at < _TOKEN_LIFE_S / 2:
            key = self._read_key()
            subject = f"server:{self._name}"
            claims = {"iss": subject, "sub": subject, "aud": audience}
            times = {"iat": int(now), "exp": int(now + _TOKEN_LIFE_S)}
            headers = {"kid": key["kid"], "typ": _KIND}
            token = jwt.encode(
                claims | times, jwt.PyJWK(key, algorithm="EdDSA").key, algorithm="EdDSA", headers=headers
            )
            self._made[audience] = (token, now)
        return token

    def _read_key(self) -> dict[str, Any]:
        try:
            keys = json.loads(self._key_file.read_text())["keys"]
            key: dict[str, Any] = next(each for each in keys if each["parley_server"] == self._name)
            jwt.PyJWK(key, algorithm="EdDSA")
        except StopIteration:
            raise KeyFileError(f"{self._key_file} has no key of {self._name}") from None
        except OSError as error:
            raise KeyFileError(f"{self._key_file} cannot be read: {error.strerror}") from None
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise KeyFileError(f"{self._key_file} is no set of private keys: {type(error).__name__}") from None
        if "d" not in key or "kid" not in key:
            raise KeyFileError(f"the key of {self._name} in {self._key_file} is not a private one with a kid")
        return key


class ServerClient:
    """The server API of messaging, at its admin address: `host:port`, or several with commas. Use it with `async with`.

    What a method does, and how it is refused, is said in protos/parley/messaging/v1/server.proto; a refusal is a
    grpc.aio.AioRpcError, whose reason error_details.reason_of gives. `messaging` has the generated stub.

    `credentials`: for a deployment with mutual TLS, grpc.ssl_channel_credentials with a certificate of its authority.
    """

    def __init__(
        self,
        address: str,
        key_file: Path | str,
        name: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`name` is the server's, as its key has it. Raises KeyFileError."""
        tokens = ServerTokens(Path(key_file), name, clock)
        self._channel = open_channel(address, tokens, credentials, service="messaging")
        self.messaging: ServerMessagingServiceAsyncStub = ServerMessagingServiceStub(self._channel)

    async def __aenter__(self) -> ServerClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all calls."""
        await self._channel.close()

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


def open_channel(
    address: str, tokens: ServerTokens, credentials: grpc.ChannelCredentials | None, *, service: str
) -> grpc.aio.Channel:
    """To the admin address of a service; each call on it has a token."""
    target = f"ipv4:{address}" if "," in address else address
    interceptors = [_UnaryToken(tokens)]
    if credentials is None:
        return grpc.aio.insecure_channel(target, _CHANNEL_OPTIONS, interceptors=interceptors)
    # With mutual TLS a service's certificate has its name, whatever address it is reached at.
    options = [*_CHANNEL_OPTIONS, ("grpc.default_authority", service)]
    return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


class _UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: ServerTokens) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._tokens.token(method.lstrip('/').partition('/')[0])}")
        timeout = details.timeout if details.timeout is not None else _RPC_TIMEOUT_S
        return await continuation(
            grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready),
            request,
        )
