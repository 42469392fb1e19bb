"""A device on the real rpc of messaging, without a server: what goes over the wire is serialized and read again."""

import math
from dataclasses import dataclass, field
from typing import Any

from parley.messaging.v1 import service_pb2 as api

from parley_client.account_sync import AccountSync
from parley_client.inbox import Inbox
from services.messaging.kernel.model import UserId
from services.messaging.rpc import MessagingServicer
from services.messaging.sync.service import Sync
from services.runtime.identity.auth import UserId as Caller
from services.runtime.identity.auth import UserToken, set_current_token

# What a client of gRPC takes of one answer when nobody tells it otherwise.
MOST_BYTES = 4 * 1024 * 1024


@dataclass
class AccountDevice:
    """Keeps an inbox by the list and by Sync alone."""

    user_id: UserId
    server: Sync
    limit: int = 20
    page_size: int = 0
    inbox: Inbox = field(init=False)
    account: AccountSync = field(init=False)
    # Of each answer, since they were last taken.
    syncs: list[api.SyncResponse] = field(default_factory=list)
    pages: list[api.ListConversationsResponse] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.user_id)
        self.account = AccountSync(self.inbox, self.limit, self.page_size)

    async def log_in(self) -> None:
        """The newest page of each folder, and what is missing of them."""
        for folder in list(self.account.unlisted):
            await self._list(folder, "", wants_messages=True)
        await self.sync()

    async def load_all(self) -> None:
        """The rest of the list."""
        while self.account.list_tokens:
            folder, page_token = next(iter(self.account.list_tokens.items()))
            await self._list(folder, page_token, wants_messages=False)

    async def sync(self, most_pages: int = 10_000) -> list[api.SyncResponse]:
        """Asks until there is no more; the answers."""
        self.syncs = []
        unknown = self.inbox.conversations.unknown()
        for _ in range(most_pages):
            answer = await self.answer(self.account.request())
            self.syncs.append(answer)
            if not self.account.take(answer):
                self.inbox.conversations.forget_unknown(unknown)
                return self.syncs
        raise AssertionError(f"Sync has not ended after {most_pages} pages")

    async def answer(self, request: api.SyncRequest) -> api.SyncResponse:
        """One Sync."""
        return api.SyncResponse.FromString(await self._call("Sync", request))

    async def _list(self, folder: api.ConversationFolder.ValueType, page_token: str, *, wants_messages: bool) -> None:
        request = api.ListConversationsRequest(page_size=100, folder=folder, page_token=page_token)
        answer = api.ListConversationsResponse.FromString(await self._call("ListConversations", request))
        self.pages.append(answer)
        self.account.take_list(folder, answer, wants_messages=wants_messages)

    async def _call(self, method: str, request: Any) -> bytes:
        # Features that the device does not use.
        nothing: Any = None
        servicer = MessagingServicer(
            *(nothing, nothing, nothing, nothing, self.server),
            *(nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing),
        )
        set_current_token(UserToken(Caller(self.user_id), math.inf))
        answer = await getattr(servicer, method)(type(request).FromString(request.SerializeToString()), nothing)
        wire: bytes = answer.SerializeToString()
        assert len(wire) <= MOST_BYTES
        return wire
