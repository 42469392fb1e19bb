"""Every RPC of messaging with a stranger's token: who is not in a conversation never sees anything of it. An RPC
without a case here fails."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from parley.messaging.v1 import messages_pb2, service_pb2

from services.messaging.accounts import rpc as accounts_rpc
from services.messaging.back_office import rpc as back_office_rpc
from services.messaging.relations import rpc as relations_rpc
from services.runtime.errors import find_refusal
from services.runtime.grpc.guard import Access
from tests.integration.messaging.test_any_request import RPCS, SERVICES, TABLE, Town
from tests.support.db import own_database

STRANGER = "mallory"
SECRET = "the secret words"
NO_CONVERSATION, NO_INVITE = "CONVERSATION_NOT_FOUND", "INVITE_NOT_FOUND"
# It is answered, and nothing of the conversation is in the answer.
ANSWERED = ""
# Only services of ours, or people who run Parley, may ask: a user's token is refused before the request is read.
NO_USERS = "no users"
# Something of Alice's, by the field's name.
HERS = object()

# What the stranger asks about Alice and Bob's conversation `conversation`, and the reason of the refusal.
Case = tuple[Callable[[str], Mapping[str, Any]], str]


def about(reason: str, /, **fields: Any) -> Case:
    """A request that names the conversation."""
    return lambda conversation: {"conversation_id": conversation, **fields}, reason


def anything(reason: str, /, **fields: Any) -> Case:
    """A request that names no conversation."""
    return lambda conversation: fields, reason


def _message(conversation: str) -> Mapping[str, Any]:
    """What is sent there under a key of Alice's."""
    return {"conversation_id": conversation, "client_message_id": "later", "text": {"text": "hello"}}


MESSAGING: dict[str, Case] = {
    "CreateDirectConversation": anything(ANSWERED, peer_user_id="mallory2"),
    "CreateGroup": anything(ANSWERED, client_conversation_id="k", title="Own", user_ids=["mallory2"]),
    "UpdateGroup": about(NO_CONVERSATION, title="Mine"),
    "AddMembers": about(NO_CONVERSATION, user_ids=[STRANGER]),
    "RemoveMember": about(NO_CONVERSATION, user_id="alice"),
    "ListBannedUsers": about(NO_CONVERSATION),
    "UnbanUser": about(NO_CONVERSATION, user_id="bob"),
    "LeaveGroup": about(NO_CONVERSATION),
    "SetMemberRole": about(NO_CONVERSATION, user_id=STRANGER, role=messages_pb2.MEMBER_ROLE_OWNER),
    "CreateInvite": about(NO_CONVERSATION),
    "RevokeInvites": about(NO_CONVERSATION),
    "JoinByInvite": anything(NO_INVITE, token="guessed"),
    "GetConversation": about(NO_CONVERSATION),
    "ListConversations": anything(ANSWERED),
    "SendMessage": about(NO_CONVERSATION, client_message_id="k", text=messages_pb2.TextContent(text="hello")),
    "ForwardMessage": (
        lambda conversation: {
            "conversation_id": conversation,
            "seq": 2,
            "targets": [service_pb2.ForwardTarget(conversation_id=conversation, client_message_id="k")],
        },
        NO_CONVERSATION,
    ),
    "EditMessage": about(NO_CONVERSATION, seq=2, text=messages_pb2.TextContent(text="mine")),
    "ListEdits": about(NO_CONVERSATION, seq=2),
    "UnsendMessage": about(NO_CONVERSATION, seq=2),
    "WithdrawHeldMessage": about("HELD_NOT_FOUND", client_message_id="held"),
    "SetReaction": about(NO_CONVERSATION, seq=2, emoji="👍", present=True),
    "VotePoll": about(NO_CONVERSATION, seq=2, option_indexes=[0]),
    "ListMessages": about(NO_CONVERSATION),
    "SearchMessages": about(NO_CONVERSATION, query="secret"),
    "Sync": (lambda conversation: {"cursors": [messages_pb2.Cursor(conversation_id=conversation, seq=1)]}, ANSWERED),
    "MarkRead": about(NO_CONVERSATION, seq=1),
    "MarkDelivered": (
        lambda conversation: {"cursors": [messages_pb2.Cursor(conversation_id=conversation, seq=1)]},
        ANSWERED,
    ),
    "SetVanishing": about(NO_CONVERSATION, vanish_after={"seconds": 300}),
    "SetMessagePinned": about(NO_CONVERSATION, seq=2, pinned=True),
    "UpdateOwnState": about(NO_CONVERSATION, pinned=True),
    "SetDraft": about(NO_CONVERSATION, text="hello"),
    "ListDrafts": anything(ANSWERED),
}
RELATIONS: dict[str, Case] = {
    "GetSettings": anything(ANSWERED),
    "UpdateSettings": anything(ANSWERED, send_receipts=False),
    "BlockUser": anything(ANSWERED, user_id="alice"),
    "UnblockUser": anything(ANSWERED, user_id="alice"),
    "ListBlockedUsers": anything(ANSWERED),
    "AcceptRequest": about(NO_CONVERSATION),
    "DeclineRequest": about(NO_CONVERSATION, block=True),
    "Report": about(NO_CONVERSATION, client_report_id="k", seqs=[2], reason=1),
}
# In the stranger's name: what Parley's services may pass on to the stranger.
MEMBERSHIP: dict[str, Case] = {
    "GetMembers": about(NO_CONVERSATION, of_user_id=STRANGER),
    "FilterContacts": anything(ANSWERED, user_id=STRANGER, user_ids=["alice", "bob"]),
    "GetCallees": about(NO_CONVERSATION, caller_id=STRANGER),
    # Signaling tells nobody what it is answered.
    "FilterBlocked": anything(ANSWERED, user_id=STRANGER, user_ids=["alice", "bob"]),
}
ATTACHMENTS: dict[str, Case] = {
    "CreateUpload": anything(ANSWERED, client_upload_id="k", file_name="a", content_type="image/png", size_bytes=1),
    "GetDownload": about(NO_CONVERSATION, seq=2, attachment_id=HERS),
    "OpenViewOnce": about(NO_CONVERSATION, seq=2, client_request_id="k"),
}
SCHEDULED: dict[str, Case] = {
    "ScheduleMessage": (
        lambda conversation: {"message": _message(conversation), "send_time": {"seconds": 1}},
        NO_CONVERSATION,
    ),
    "UpdateScheduledMessage": (lambda conversation: {"message": _message(conversation)}, "SCHEDULED_NOT_FOUND"),
    # Alice's key; there is none of the stranger's.
    "CancelScheduledMessage": about(ANSWERED, client_message_id="later"),
    "ListScheduledMessages": anything(ANSWERED),
}
ACCOUNTS: dict[str, Case] = {
    "StartExport": anything(ANSWERED),
    "GetJob": anything("JOB_NOT_FOUND", job_id=HERS),
    "DeleteAccount": anything("FIELD_INVALID", confirm_user_id="alice"),
    "SignOutDevices": anything(ANSWERED, device_ids=["alices-phone"]),
    "SignOutOtherDevices": anything(ANSWERED),
}
MODERATION = (
    *("TakeDownMessage", "FreezeConversation", "UnfreezeConversation"),
    *("RestrictAccount", "LiftRestriction"),
    *("ListHeldMessages", "ReleaseHeldMessage", "RefuseHeldMessage"),
)
# By a server that may act as the stranger, and as nobody else.
BACK_OFFICE: dict[str, Case] = {
    "SendMessage": (
        lambda conversation: {
            "as_user_id": STRANGER,
            "message": {"conversation_id": conversation, "client_message_id": "k", "text": {"text": "hello"}},
        },
        NO_CONVERSATION,
    ),
    "CreateConversation": anything(ANSWERED, as_user_id=STRANGER, direct={"peer_user_id": "mallory2"}),
    "AddMembers": about(NO_CONVERSATION, as_user_id=STRANGER, user_ids=[STRANGER]),
    "RemoveMembers": about(NO_CONVERSATION, as_user_id=STRANGER, user_ids=["alice"], reason="spam"),
    "GetConversation": about(NO_CONVERSATION, as_user_id=STRANGER),
    "ListMessages": about(NO_CONVERSATION, as_user_id=STRANGER),
    **dict.fromkeys(MODERATION, anything(NO_USERS)),
}
CASES: dict[str, dict[str, Case]] = {
    "MessagingService": MESSAGING,
    "RelationsService": RELATIONS,
    "MembershipService": MEMBERSHIP,
    "AttachmentsService": ATTACHMENTS,
    "ScheduledMessagesService": SCHEDULED,
    "AccountService": ACCOUNTS,
    "AccountAdminService": dict.fromkeys(
        ("DeleteUser", "ExportUser", "GetUserJob", "SignOutUser", "ListDeletedUsers"), anything(NO_USERS)
    ),
    "ServerMessagingService": BACK_OFFICE,
    "ModerationService": dict.fromkeys(("ListReports", "GetReport", "ResolveReport"), anything(NO_USERS)),
}


@pytest.fixture(scope="module")
async def town(postgres: str, template_url: str) -> AsyncIterator[Town]:
    """Alice and Bob have said something that nobody else is to see. One for all, since a stranger changes nothing."""
    async with own_database(postgres, like=template_url) as url:
        town = Town(url)
        await town.open()
        for conversation in town.known["conversation_id"]:
            request = service_pb2.SendMessageRequest(conversation_id=conversation, client_message_id="secret")
            request.text.text = SECRET
            await town.ask("MessagingService", "SendMessage", "alice", request)
        yield town
        await town.close()


def filled(town: Town, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with what is meant to be Alice's."""
    return {name: town.known[name][0] if value is HERS else value for name, value in fields.items()}


async def asked(town: Town, service: str, method: str, request: object) -> tuple[str, str]:
    """All that the stranger is told, and the reason of a refusal."""
    try:
        return str(await town.ask(service, method, STRANGER, request)), ANSWERED
    except Exception as error:
        refusal = find_refusal(TABLE, error)
        return str(error), refusal.reason if refusal else repr(error)


@pytest.mark.parametrize(("service", "method"), RPCS)
async def test_a_stranger_sees_nothing_of_a_conversation(town: Town, service: str, method: str) -> None:
    assert method in CASES.get(service, {}), f"no case says what a stranger may see through {service}.{method}"
    fields, reason = CASES[service][method]
    if reason == NO_USERS:
        assert access_of(service) is not Access.USER
        return
    kind = GetMessageClass(SERVICES[service].methods_by_name[method].input_type)
    for conversation in town.known["conversation_id"]:
        request = kind(**filled(town, fields(conversation)))
        told, refusal = await asked(town, service, method, request)
        assert refusal == reason
        for secret in (*town.known["conversation_id"], SECRET, "Trip", "bob"):
            # What the stranger said is no secret to the stranger.
            assert secret in str(request) or secret not in told


async def test_what_a_stranger_tried_has_changed_nothing(town: Town) -> None:
    async def state() -> list[str]:
        kind = service_pb2.ListMessagesRequest
        pages = [
            await town.ask("MessagingService", "ListMessages", "bob", kind(conversation_id=conversation))
            for conversation in conversations
        ]
        listed = await town.ask("MessagingService", "ListConversations", "bob", service_pb2.ListConversationsRequest())
        # Of the whole database's moment: it goes on with whatever anybody does.
        listed.ClearField("sync_token")
        return [str(answer) for answer in (*pages, listed)]

    conversations = town.known["conversation_id"]
    before = await state()
    for service, method in RPCS:
        fields, reason = CASES[service][method]
        if reason == NO_USERS:
            continue
        kind = GetMessageClass(SERVICES[service].methods_by_name[method].input_type)
        for conversation in conversations:
            await town.call(service, method, STRANGER, kind(**filled(town, fields(conversation))))
    assert await state() == before


def access_of(service: str) -> Access:
    """Who may call a service of the features'."""
    unused: Any = None
    apis = [*relations_rpc.apis(unused, unused, unused), *accounts_rpc.apis(unused, unused)]
    apis.append(back_office_rpc.api_of(unused))
    return next(api.access for api in apis if api.name.endswith(f".{service}"))
