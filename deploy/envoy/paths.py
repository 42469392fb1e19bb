"""The paths of the JSON API: which method and path over plain HTTP is which RPC. An RPC that users call and that has no
row here fails tests/unit/deploy/test_paths.py.

The protos themselves carry no annotations: whoever generates a client from them needs no file beside them. What stands
in braces is a field of the request; with GET and DELETE the other fields are the query, else the JSON body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"{(\w+)}")
# These have no body.
_BODILESS = ("GET", "DELETE")

_CONVERSATION = "/v1/conversations/{conversation_id}"
_MESSAGE = f"{_CONVERSATION}/messages/{{seq}}"
_GROUP = "/v1/groups/{conversation_id}"
_CALL = "/v1/calls/{call_id}"

# What is secret, or searched for, stands in no path and no query: proxies keep those in their logs.
PATHS: Mapping[str, Mapping[str, str]] = {
    "parley.messaging.v1.MessagingService": {
        "CreateDirectConversation": "POST /v1/conversations",
        "CreateGroup": "POST /v1/groups",
        "UpdateGroup": f"PATCH {_GROUP}",
        "AddMembers": f"POST {_GROUP}/members",
        "RemoveMember": f"DELETE {_GROUP}/members/{{user_id}}",
        "LeaveGroup": f"POST {_GROUP}/leave",
        "SetMemberRole": f"PUT {_GROUP}/members/{{user_id}}/role",
        "ListBannedUsers": f"GET {_GROUP}/bans",
        "UnbanUser": f"DELETE {_GROUP}/bans/{{user_id}}",
        "CreateInvite": f"POST {_GROUP}/invites",
        "RevokeInvites": f"DELETE {_GROUP}/invites",
        "JoinByInvite": "POST /v1/invites/join",
        "GetConversation": f"GET {_CONVERSATION}",
        "ListConversations": "GET /v1/conversations",
        "SendMessage": f"POST {_CONVERSATION}/messages",
        "EditMessage": f"PATCH {_MESSAGE}",
        "ForwardMessage": f"POST {_MESSAGE}/forward",
        "ListEdits": f"GET {_MESSAGE}/edits",
        "UnsendMessage": f"DELETE {_MESSAGE}",
        "WithdrawHeldMessage": f"POST {_CONVERSATION}/held/withdraw",
        "SetReaction": f"PUT {_MESSAGE}/reactions",
        "VotePoll": f"PUT {_MESSAGE}/votes",
        "ListMessages": f"GET {_CONVERSATION}/messages",
        "SearchMessages": "POST /v1/messages/search",
        "Sync": "POST /v1/sync",
        "MarkRead": f"PUT {_CONVERSATION}/read",
        "MarkDelivered": "POST /v1/delivered",
        "SetVanishing": f"PUT {_CONVERSATION}/vanishing",
        "SetMessagePinned": f"PUT {_MESSAGE}/pinned",
        "UpdateOwnState": f"PATCH {_CONVERSATION}/own-state",
        "SetDraft": f"PUT {_CONVERSATION}/draft",
        "ListDrafts": "GET /v1/drafts",
    },
    "parley.messaging.v1.RelationsService": {
        "GetSettings": "GET /v1/settings",
        "UpdateSettings": "PATCH /v1/settings",
        "BlockUser": "PUT /v1/blocks/{user_id}",
        "UnblockUser": "DELETE /v1/blocks/{user_id}",
        "ListBlockedUsers": "GET /v1/blocks",
        "AcceptRequest": f"POST {_CONVERSATION}/accept",
        "DeclineRequest": f"POST {_CONVERSATION}/decline",
        "Report": "POST /v1/reports",
    },
    "parley.messaging.v1.AttachmentsService": {
        "CreateUpload": "POST /v1/uploads",
        "GetDownload": f"GET {_MESSAGE}/attachments/{{attachment_id}}",
        "OpenViewOnce": f"POST {_MESSAGE}/open",
    },
    "parley.messaging.v1.ScheduledMessagesService": {
        "ScheduleMessage": "POST /v1/scheduled-messages",
        "UpdateScheduledMessage": "PATCH /v1/scheduled-messages",
        "CancelScheduledMessage": f"DELETE {_CONVERSATION}/scheduled-messages/{{client_message_id}}",
        "ListScheduledMessages": "GET /v1/scheduled-messages",
    },
    "parley.messaging.v1.AccountService": {
        "StartExport": "POST /v1/account/exports",
        "GetJob": "GET /v1/account/jobs/{job_id}",
        "DeleteAccount": "POST /v1/account/delete",
        "SignOutDevices": "POST /v1/account/sign-out-devices",
        "SignOutOtherDevices": "POST /v1/account/sign-out-others",
    },
    "parley.presence.v1.PresenceService": {
        "SetTyping": f"PUT {_CONVERSATION}/typing",
        "WatchPresence": "PUT /v1/devices/{device_id}/watched",
        "SetStatus": "PUT /v1/devices/{device_id}/status",
    },
    "parley.gateway.v1.GatewayService": {
        "StreamEvents": "GET /v1/events",
    },
    "parley.calls.v1.CallsService": {
        "StartCall": "POST /v1/calls",
        "AcceptCall": f"POST {_CALL}/accept",
        "DeclineCall": f"POST {_CALL}/decline",
        "CancelCall": f"POST {_CALL}/cancel",
        "LeaveCall": f"POST {_CALL}/leave",
        "GetCall": f"GET {_CALL}",
        "ListActiveCalls": "GET /v1/active-calls",
        "RenewMediaGrant": f"POST {_CALL}/media-grant",
        "JoinMedia": "POST /v1/media",
        "JoinCall": f"POST {_CALL}/join",
        "TakeOverCall": f"POST {_CALL}/take-over",
        "SetHand": f"PUT {_CALL}/hand",
        "RequestMute": f"POST {_CALL}/participants/{{user_id}}/mute",
        "RemoveParticipant": f"DELETE {_CALL}/participants/{{user_id}}",
        "SetLock": f"PUT {_CALL}/lock",
        "EndCall": f"POST {_CALL}/end",
        "ListCalls": "GET /v1/calls",
        "GetCallSettings": "GET /v1/call-settings",
        "UpdateCallSettings": "PUT /v1/call-settings",
        "CreateJoinLink": f"POST {_CALL}/join-links",
        "ListJoinLinks": f"GET {_CALL}/join-links",
        "RevokeJoinLink": "DELETE /v1/join-links/{link_id}",
        "OpenJoinLink": "POST /v1/join-links/open",
        "LeaveLobby": f"POST {_CALL}/leave-lobby",
        "AdmitGuest": f"POST {_CALL}/lobby/{{user_id}}/admit",
        "RefuseGuest": f"POST {_CALL}/lobby/{{user_id}}/refuse",
        "ScheduleCall": f"POST {_CONVERSATION}/scheduled-calls",
        "ListScheduledCalls": f"GET {_CONVERSATION}/scheduled-calls",
        "ChangeScheduledCall": "PUT /v1/scheduled-calls/{scheduled_call_id}",
        "CancelScheduledCall": "DELETE /v1/scheduled-calls/{scheduled_call_id}",
        "AnswerScheduledCall": "PUT /v1/scheduled-calls/{scheduled_call_id}/answer",
    },
    "parley.keys.v1.DeviceKeysService": {
        "PublishDeviceKeys": "PUT /v1/devices/{device_id}/keys",
        "ConfirmDevice": "POST /v1/devices/{device_id}/keys/confirm",
        "RemoveDeviceKeys": "DELETE /v1/devices/{device_id}/keys",
        "ListDeviceKeys": "GET /v1/device-keys",
        "SendCallKeys": f"POST {_CALL}/keys",
        "ListCallKeys": f"GET {_CALL}/keys",
    },
    "parley.notifications.v1.NotificationsService": {
        "RegisterToken": "PUT /v1/devices/{device_id}/push-token",
        "RemoveToken": "DELETE /v1/devices/{device_id}/push-token",
        "GetNotificationSettings": "GET /v1/notification-settings",
        "UpdateNotificationSettings": "PUT /v1/notification-settings",
        "SetConversationLevel": f"PUT {_CONVERSATION}/notification-level",
    },
    "parley.previews.v1.PreviewsService": {
        "GetLinkPreview": "GET /v1/link-preview",
    },
}

# Not over plain HTTP, and why.
WITHOUT: Mapping[str, str] = {
    "parley.gateway.v1.GatewayService/Subscribe": "StreamEvents is the same stream as server-sent events",
}


@dataclass(frozen=True)
class Operation:
    """One RPC as plain HTTP has it."""

    service: str
    rpc: str
    method: str
    path: str

    @property
    def variables(self) -> list[str]:
        """The fields of the request that stand in the path."""
        return _VARIABLE.findall(self.path)

    @property
    def has_body(self) -> bool:
        """Whether the other fields are a JSON body, and not the query."""
        return self.method not in _BODILESS


def operations() -> Iterator[Operation]:
    """All of them, in the order of the table."""
    for service, rpcs in PATHS.items():
        for rpc, line in rpcs.items():
            method, path = line.split(" ")
            yield Operation(service, rpc, method, path)
