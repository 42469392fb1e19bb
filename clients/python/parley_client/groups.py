"""Groups, what all members of a conversation share, and how this user keeps conversations."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Literal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from parley.messaging.v1 import messages_pb2 as wire
from parley.messaging.v1 import service_pb2 as api

from parley_client.asking import ask, ask_until_told
from parley_client.client import Device
from parley_client.stream import EventStream

Role = Literal["member", "admin", "owner"]
_ROLES = {"member": wire.MEMBER_ROLE_MEMBER, "admin": wire.MEMBER_ROLE_ADMIN, "owner": wire.MEMBER_ROLE_OWNER}
# 9999-12-31T00:00:00Z: until further notice.
_FOREVER_S = 253_402_214_400


class Groups:
    """Every method raises Failure."""

    def __init__(self, device: Device, stream: EventStream) -> None:
        self._api = device.messaging
        self._stream = stream

    async def create(self, title: str, user_ids: Sequence[str], *, client_conversation_id: str = "") -> str:
        """Makes a group of this user's, and gives its id. The same `client_conversation_id` makes none twice."""
        key = client_conversation_id or str(uuid.uuid4())
        request = api.CreateGroupRequest(client_conversation_id=key, title=title, user_ids=user_ids)
        answer = await ask_until_told(lambda: self._api.CreateGroup(request))
        return self._taken(answer.conversation)

    async def rename(self, conversation_id: str, title: str) -> None:
        """Gives it another title."""
        await self._update(api.UpdateGroupRequest(conversation_id=conversation_id, title=title))

    async def set_history_open(self, conversation_id: str, history_open: bool) -> None:
        """Whether new members see earlier messages."""
        await self._update(api.UpdateGroupRequest(conversation_id=conversation_id, history_open=history_open))

    async def set_admins_add(self, conversation_id: str, admins_add: bool) -> None:
        """Whether only admins and the owner may add people."""
        audience = wire.ADD_AUDIENCE_ADMINS if admins_add else wire.ADD_AUDIENCE_MEMBERS
        await self._update(api.UpdateGroupRequest(conversation_id=conversation_id, add_audience=audience))

    async def set_vanishing(self, conversation_id: str, vanish_after_s: int) -> None:
        """From when on new messages vanish, in any kind of conversation; 0 keeps them."""
        after = Duration(seconds=vanish_after_s)
        request = api.SetVanishingRequest(conversation_id=conversation_id, vanish_after=after)
        self._taken((await ask_until_told(lambda: self._api.SetVanishing(request))).conversation)

    async def pin(self, conversation_id: str, seq: int, pinned: bool = True) -> None:
        """Keeps a message in view for all members, or no longer, in any kind of conversation."""
        request = api.SetMessagePinnedRequest(conversation_id=conversation_id, seq=seq, pinned=pinned)
        self._taken((await ask_until_told(lambda: self._api.SetMessagePinned(request))).conversation)

    async def add(self, conversation_id: str, user_ids: Sequence[str]) -> None:
        """Adds people."""
        request = api.AddMembersRequest(
            conversation_id=conversation_id, user_ids=user_ids, client_request_id=str(uuid.uuid4())
        )
        self._taken((await ask_until_told(lambda: self._api.AddMembers(request))).conversation)

    async def remove(self, conversation_id: str, user_id: str) -> None:
        """Takes a person out, and bans them."""
        request = api.RemoveMemberRequest(conversation_id=conversation_id, user_id=user_id)
        self._taken((await ask_until_told(lambda: self._api.RemoveMember(request))).conversation)

    async def set_role(self, conversation_id: str, user_id: str, role: Role) -> None:
        """Makes a member an admin or the owner, or an admin a member."""
        request = api.SetMemberRoleRequest(conversation_id=conversation_id, user_id=user_id, role=_ROLES[role])
        self._taken((await ask_until_told(lambda: self._api.SetMemberRole(request))).conversation)

    async def leave(self, conversation_id: str) -> None:
        """Leaves, and forgets the conversation."""
        request = api.LeaveGroupRequest(conversation_id=conversation_id)
        await ask(lambda: self._api.LeaveGroup(request))
        self._stream.forget_conversation(conversation_id)

    async def create_invite(self, conversation_id: str) -> str:
        """A token by which others join; the older ones of the group are invalid from then on."""
        request = api.CreateInviteRequest(conversation_id=conversation_id)
        return (await ask(lambda: self._api.CreateInvite(request))).invite.token

    async def revoke_invites(self, conversation_id: str) -> None:
        """Makes the group's invites invalid."""
        request = api.RevokeInvitesRequest(conversation_id=conversation_id)
        await ask_until_told(lambda: self._api.RevokeInvites(request))

    async def join(self, token: str) -> str:
        """Joins by an invite, and gives the conversation's id."""
        request = api.JoinByInviteRequest(token=token, client_request_id=str(uuid.uuid4()))
        answer = await ask_until_told(lambda: self._api.JoinByInvite(request))
        return self._taken(answer.conversation)

    async def _update(self, request: api.UpdateGroupRequest) -> None:
        self._taken((await ask_until_told(lambda: self._api.UpdateGroup(request))).conversation)

    def _taken(self, conversation: wire.Conversation) -> str:
        self._stream.take_conversation(conversation)
        return conversation.conversation_id


class ConversationSettings:
    """Pinned, archived, muted, marked unread: on all devices of this user, and seen by nobody else.

    Every method raises Failure.
    """

    def __init__(self, device: Device, stream: EventStream, clock: Callable[[], float] = time.time) -> None:
        self._api = device.messaging
        self._stream = stream
        self._clock = clock

    async def pin(self, conversation_id: str, pinned: bool = True) -> None:
        """Keeps it on top of the list."""
        await self._update(api.UpdateOwnStateRequest(conversation_id=conversation_id, pinned=pinned))

    async def archive(self, conversation_id: str, archived: bool = True) -> None:
        """Puts it away."""
        await self._update(api.UpdateOwnStateRequest(conversation_id=conversation_id, archived=archived))

    async def mark_unread(self, conversation_id: str, marked_unread: bool = True) -> None:
        """To come back to it."""
        await self._update(api.UpdateOwnStateRequest(conversation_id=conversation_id, marked_unread=marked_unread))

    async def mute(self, conversation_id: str, length_s: float | None = None) -> None:
        """Mutes for a while; without a length until further notice."""
        end_s = _FOREVER_S if length_s is None else self._clock() + length_s
        await self._mute_until(conversation_id, end_s)

    async def unmute(self, conversation_id: str) -> None:
        """Ends a muting."""
        await self._mute_until(conversation_id, 0.0)

    async def _mute_until(self, conversation_id: str, end_s: float) -> None:
        end = Timestamp()
        end.FromMicroseconds(int(end_s * 1e6))
        await self._update(api.UpdateOwnStateRequest(conversation_id=conversation_id, mute_end_time=end))

    async def _update(self, request: api.UpdateOwnStateRequest) -> None:
        answer = await ask_until_told(lambda: self._api.UpdateOwnState(request))
        self._stream.take_own_state(request.conversation_id, answer.own_state)
