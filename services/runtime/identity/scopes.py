"""Which scope of a server's key each method of the back office takes: the one table of the whole system.

A server is a program of the network's back office (server_keys.py). What has no row is nobody's. People and services
have tables of their own, roles.py and callers.py.
"""

from collections.abc import Iterable

from services.runtime.identity import method_rules
from services.runtime.identity.method_rules import Table, changes, reads

MESSAGES_SEND = "messages:send"
MESSAGES_READ = "messages:read"
CONVERSATIONS_WRITE = "conversations:write"
MODERATION_WRITE = "moderation:write"
CALLS_WRITE = "calls:write"
CALLS_READ = "calls:read"
# Whatever a key may be given. A word that is not here is a slip of the pen, and makes the file of keys faulty.
ALL = frozenset({MESSAGES_SEND, MESSAGES_READ, CONVERSATIONS_WRITE, MODERATION_WRITE, CALLS_WRITE, CALLS_READ})

# gRPC service → method → rule. Only services of Access.SERVER stand here.
SCOPES: Table = {
    "parley.messaging.v1.ServerMessagingService": {
        "SendMessage": changes(MESSAGES_SEND),
        "CreateConversation": changes(CONVERSATIONS_WRITE),
        "AddMembers": changes(CONVERSATIONS_WRITE),
        "RemoveMembers": changes(CONVERSATIONS_WRITE),
        "GetConversation": reads(MESSAGES_READ),
        "ListMessages": reads(MESSAGES_READ),
        "TakeDownMessage": changes(MODERATION_WRITE),
        "ListHeldMessages": reads(MODERATION_WRITE),
        "ReleaseHeldMessage": changes(MODERATION_WRITE),
        "RefuseHeldMessage": changes(MODERATION_WRITE),
        "FreezeConversation": changes(MODERATION_WRITE),
        "UnfreezeConversation": changes(MODERATION_WRITE),
        "RestrictAccount": changes(MODERATION_WRITE),
        "LiftRestriction": changes(MODERATION_WRITE),
    },
    "parley.calls.v1.ServerCallsService": {
        "StartCall": changes(CALLS_WRITE),
        "EndCall": changes(CALLS_WRITE),
        "ListCalls": reads(CALLS_READ),
        "CreateJoinLink": changes(CALLS_WRITE),
        "ListJoinLinks": reads(CALLS_READ),
        "RevokeJoinLink": changes(CALLS_WRITE),
    },
}


def may_call(scopes: Iterable[str], service: str, method: str) -> bool:
    """Whether one of the scopes has the method of the gRPC service (full name)."""
    return method_rules.may_call(SCOPES, scopes, service, method)


def is_change(service: str, method: str) -> bool:
    """Whether the method changes something; what has no row is taken for one that does."""
    return method_rules.is_change(SCOPES, service, method)


def require_rows(services: Iterable[str]) -> None:
    """Raises RuntimeError for a service (full name) of which a method has no row, a row no method, or one streams."""
    method_rules.require_rows(SCOPES, "scopes", services)
