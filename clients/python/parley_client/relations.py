"""Who may reach this user: requests and blocks."""

from __future__ import annotations

from parley.messaging.v1 import relations_pb2 as api

from parley_client.asking import ask_until_told
from parley_client.client import Device

_PAGE_SIZE = 200


class Relations:
    """Every method raises Failure. Settings and reports: the stub `device.relations`."""

    def __init__(self, device: Device) -> None:
        self._api = device.relations

    async def accept(self, conversation_id: str) -> None:
        """Lets a request in."""
        request = api.AcceptRequestRequest(conversation_id=conversation_id)
        await ask_until_told(lambda: self._api.AcceptRequest(request))

    async def decline(self, conversation_id: str, *, block: bool = False) -> None:
        """Declines a request; nobody is told. With `block`, its sender is blocked too."""
        request = api.DeclineRequestRequest(conversation_id=conversation_id, block=block)
        await ask_until_told(lambda: self._api.DeclineRequest(request))

    async def block(self, user_id: str) -> None:
        """Nothing of this person arrives any more, and nothing goes there."""
        await ask_until_told(lambda: self._api.BlockUser(api.BlockUserRequest(user_id=user_id)))

    async def unblock(self, user_id: str) -> None:
        """Ends a block."""
        await ask_until_told(lambda: self._api.UnblockUser(api.UnblockUserRequest(user_id=user_id)))

    async def blocked(self) -> list[str]:
        """Whom this user has blocked, the newest first."""
        found: list[str] = []
        request = api.ListBlockedUsersRequest(page_size=_PAGE_SIZE)
        while True:
            page = await ask_until_told(lambda: self._api.ListBlockedUsers(request))
            found += [each.user_id for each in page.blocked_users]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
