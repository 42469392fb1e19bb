"""Which scope of a server's key each method of the back office takes: the one table of the whole system.

A server is a program of the network's back office (server_keys.py). What has no row is nobody's. People and services
have tables of their own, roles.py and callers.py.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from google.protobuf import descriptor_pool


@dataclass(frozen=True)
class Rule:
    """The scope that a method takes. One that `changes` something runs only when its audit row was written."""

    scope: str
    changes: bool


def _reads(scope: str) -> Rule:
    return Rule(scope, changes=False)


def _changes(scope: str) -> Rule:
    return Rule(scope, changes=True)


MESSAGES_SEND = "messages:send"
MESSAGES_READ = "messages:read"
CONVERSATIONS_WRITE = "conversations:write"
MODERATION_WRITE = "moderation:write"
# Whatever a key may be given. A word that is not here is a slip of the pen, and makes the file of keys faulty.
ALL = frozenset({MESSAGES_SEND, MESSAGES_READ, CONVERSATIONS_WRITE, MODERATION_WRITE})

# gRPC service → method → rule. Only services of Access.SERVER stand here.
SCOPES: Mapping[str, Mapping[str, Rule]] = {
    "parley.messaging.v1.ServerMessagingService": {
        "SendMessage": _changes(MESSAGES_SEND),
        "CreateConversation": _changes(CONVERSATIONS_WRITE),
        "AddMembers": _changes(CONVERSATIONS_WRITE),
        "RemoveMembers": _changes(CONVERSATIONS_WRITE),
        "GetConversation": _reads(MESSAGES_READ),
        "ListMessages": _reads(MESSAGES_READ),
        "TakeDownMessage": _changes(MODERATION_WRITE),
        "FreezeConversation": _changes(MODERATION_WRITE),
        "UnfreezeConversation": _changes(MODERATION_WRITE),
        "RestrictAccount": _changes(MODERATION_WRITE),
        "LiftRestriction": _changes(MODERATION_WRITE),
    },
}


def may_call(scopes: Collection[str], service: str, method: str) -> bool:
    """Whether one of the scopes has the method of the gRPC service (full name)."""
    rule = SCOPES.get(service, {}).get(method)
    return rule is not None and rule.scope in scopes


def is_change(service: str, method: str) -> bool:
    """Whether the method changes something; what has no row is taken for one that does."""
    rule = SCOPES.get(service, {}).get(method)
    return rule is None or rule.changes


def require_rows(services: Iterable[str]) -> None:
    """Raises RuntimeError for a service (full name) of which a method has no row, a row no method, or one streams."""
    for name in services:
        methods = descriptor_pool.Default().FindServiceByName(name).methods
        if {method.name for method in methods} != set(SCOPES.get(name, {})):
            raise RuntimeError(f"the table of scopes does not fit {name}")
        if any(method.client_streaming or method.server_streaming for method in methods):
            raise RuntimeError(f"{name} has a stream, of which there would be no audit record")
