"""What each RPC that users call costs its user. An RPC without a row here fails tests/unit/runtime/test_costs.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """`units` a call, and `each` for every entry of the request's `field`; a unit is about a millisecond of a database
    connection.

    `waits`: the call holds a connection, so that it waits for its turn among the calls of its user.
    """

    units: float
    field: str = ""
    each: float = 0
    waits: bool = True

    def of(self, request: Any) -> float:
        """The units of this request; one that could not be decoded has no entries."""
        entries = getattr(request, self.field, ()) if self.field else ()
        return self.units + self.each * len(entries)


_LOOK = Cost(1)
_PAGE = Cost(2)
_WRITE = Cost(3)
# It changes what many members see.
_GROUP = Cost(10)
_CALL = Cost(10)
# Receipts come with every message that is read.
_RECEIPT = Cost(0.25)
# Counted by a rate of its own besides (SEND_RATE). Sends are committed together: none holds a connection.
_SEND = Cost(0.25, waits=False)
# Reaches no store.
_NOTICE = Cost(0.5, waits=False)

# For a row that is missing: dear, so that it is missed.
UNKNOWN = Cost(20)

# What Connect clients cost that speak JSON, besides: about a millisecond of this replica a unit, for the JSON that is
# hardest to read. Raising them lets one user hold the others up; lowering them makes JSON dearer than it is.
JSON_BYTES_READ_A_UNIT = 1 << 10
JSON_BYTES_WRITTEN_A_UNIT = 8 << 10

_METHODS: Mapping[str, Mapping[str, Cost]] = {
    "parley.messaging.v1.MessagingService": {
        "CreateDirectConversation": _WRITE,
        "CreateGroup": Cost(10, "user_ids", 0.5),
        "UpdateGroup": _GROUP,
        "AddMembers": Cost(10, "user_ids", 0.5),
        "RemoveMember": _GROUP,
        "ListBannedUsers": _PAGE,
        "UnbanUser": _GROUP,
        "LeaveGroup": _GROUP,
        "SetMemberRole": _GROUP,
        "CreateInvite": _WRITE,
        "RevokeInvites": _WRITE,
        "JoinByInvite": _GROUP,
        "GetConversation": _LOOK,
        # A device that logs in pages through all of a large account.
        "ListConversations": _LOOK,
        "SendMessage": _SEND,
        # The message is looked for; each copy is a send, and has files to look at.
        "ForwardMessage": Cost(2, "targets", 1),
        "EditMessage": _WRITE,
        "ListEdits": _LOOK,
        "UnsendMessage": _WRITE,
        "WithdrawHeldMessage": _WRITE,
        "SetReaction": _LOOK,
        "VotePoll": _LOOK,
        "ListMessages": _PAGE,
        "SearchMessages": Cost(20),
        # A thousand cursors are 12 units, so that an account of 50,000 conversations costs 600.
        "Sync": Cost(2, "cursors", 0.01),
        "MarkRead": _RECEIPT,
        "MarkDelivered": Cost(0.25, "cursors", 0.05),
        "SetVanishing": _WRITE,
        "SetMessagePinned": _WRITE,
        "UpdateOwnState": _LOOK,
        # A device waits between two of them.
        "SetDraft": _LOOK,
        "ListDrafts": _PAGE,
    },
    "parley.messaging.v1.RelationsService": {
        "GetSettings": _LOOK,
        "UpdateSettings": _WRITE,
        "BlockUser": _WRITE,
        "UnblockUser": _WRITE,
        "ListBlockedUsers": _PAGE,
        "AcceptRequest": _WRITE,
        "DeclineRequest": _WRITE,
        "Report": _GROUP,
    },
    "parley.messaging.v1.AttachmentsService": {
        "CreateUpload": Cost(5),
        "GetDownload": _LOOK,
        "OpenViewOnce": _LOOK,
    },
    "parley.messaging.v1.ScheduledMessagesService": {
        "ScheduleMessage": _WRITE,
        "UpdateScheduledMessage": _WRITE,
        "CancelScheduledMessage": _WRITE,
        "ListScheduledMessages": _PAGE,
    },
    "parley.messaging.v1.AccountService": {
        "StartExport": Cost(100),
        "GetJob": _LOOK,
        "DeleteAccount": Cost(100),
        "SignOutDevices": _GROUP,
        "SignOutOtherDevices": _GROUP,
    },
    "parley.presence.v1.PresenceService": {
        "SetTyping": _NOTICE,
        "WatchPresence": Cost(2, "user_ids", 0.05, waits=False),
        "SetStatus": _NOTICE,
    },
    "parley.gateway.v1.GatewayService": {
        # Has a rate of its own besides (TOO_MANY_STREAMS), and holds nothing of a store.
        "Subscribe": Cost(5, waits=False),
        "StreamEvents": Cost(5, waits=False),
    },
    "parley.calls.v1.CallsService": {
        "StartCall": Cost(20),
        "AcceptCall": _CALL,
        "DeclineCall": _WRITE,
        "CancelCall": _WRITE,
        "LeaveCall": _WRITE,
        "GetCall": _LOOK,
        "ListActiveCalls": _LOOK,
        "RenewMediaGrant": _WRITE,
        # An offer is parsed, and a worker asked.
        "JoinMedia": Cost(20),
        "JoinCall": _CALL,
        "TakeOverCall": _CALL,
        "SetHand": _WRITE,
        "RequestMute": _WRITE,
        "RemoveParticipant": _WRITE,
        "SetLock": _WRITE,
        "EndCall": _WRITE,
        "ListCalls": _PAGE,
        "GetCallSettings": _LOOK,
        "UpdateCallSettings": _WRITE,
        "CreateJoinLink": _WRITE,
        "ListJoinLinks": _LOOK,
        "RevokeJoinLink": _CALL,
        # All members of the conversation are told of each knock.
        "OpenJoinLink": Cost(20),
        "LeaveLobby": _WRITE,
        "AdmitGuest": _WRITE,
        "RefuseGuest": _WRITE,
        # All members of the conversation are told of each of the four.
        "ScheduleCall": Cost(20),
        "ChangeScheduledCall": Cost(20),
        "CancelScheduledCall": Cost(20),
        "AnswerScheduledCall": _CALL,
        "ListScheduledCalls": _LOOK,
    },
    "parley.keys.v1.DeviceKeysService": {
        "PublishDeviceKeys": _WRITE,
        "ConfirmDevice": _WRITE,
        "RemoveDeviceKeys": _WRITE,
        # Of a conversation, messaging is asked.
        "ListDeviceKeys": Cost(2, "user_ids", 0.05),
        # A row and a delivery for each device in the call, whenever somebody comes or goes.
        "SendCallKeys": Cost(1, "keys", 0.1),
        "ListCallKeys": _LOOK,
    },
    "parley.notifications.v1.NotificationsService": {
        "RegisterToken": _WRITE,
        "RemoveToken": _WRITE,
        "GetNotificationSettings": _LOOK,
        "UpdateNotificationSettings": _WRITE,
        "SetConversationLevel": _WRITE,
    },
    "parley.previews.v1.PreviewsService": {
        # A foreign host is asked, for up to seconds: two a second in the long run, and forty at once.
        "GetLinkPreview": Cost(100),
    },
}

# By `service/method`.
COSTS: Mapping[str, Cost] = {
    f"{service}/{method}": cost for service, methods in _METHODS.items() for method, cost in methods.items()
}
