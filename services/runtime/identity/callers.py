"""Which service may call which method: the one table of the whole system. What has no row is called by nobody.

People are no callers of this table: their roles stand in roles.py.
"""

from collections.abc import Iterable, Mapping

from google.protobuf import descriptor_pool

GATEWAY, MESSAGING, SIGNALING = frozenset({"gateway"}), frozenset({"messaging"}), frozenset({"signaling"})
PUSH = frozenset({"push"})

# gRPC service → method → callers. Only services of Access.SERVICE stand here.
CALLERS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "parley.messaging.v1.MembershipService": {
        "GetMembers": GATEWAY | SIGNALING,
        "FilterContacts": GATEWAY,
        "GetCallees": SIGNALING,
        "FilterBlocked": SIGNALING,
    },
    "parley.messaging.v1.NoticeFactsService": {"GetNoticeFacts": PUSH},
    # Of whoever holds something of people: what an export takes along.
    "parley.accounts.v1.AccountDataService": {"ReadAccount": MESSAGING},
    "parley.presence.v1.RouterService": {
        "Attach": GATEWAY,
        "Deliver": MESSAGING | SIGNALING,
        "GetDeviceStream": SIGNALING,
    },
    "parley.sfu.v1.SfuService": {
        "Join": SIGNALING,
        "Remove": SIGNALING,
        "EndCall": SIGNALING,
        "SetRelays": SIGNALING,
        "ListParticipants": SIGNALING,
        "SetDraining": SIGNALING,
    },
}

# Whoever has a private key. presence and sfu call nobody, so they have none.
IDENTITIES = tuple(sorted({caller for rows in CALLERS.values() for callers in rows.values() for caller in callers}))


def may_call(caller: str, service: str, method: str) -> bool:
    """Whether the table has the caller at the method of the gRPC service (full name)."""
    return caller in CALLERS.get(service, {}).get(method, frozenset())


def require_rows(services: Iterable[str]) -> None:
    """Raises RuntimeError for a service (full name) of which a method has no row, or a row no method."""
    for name in services:
        methods = {method.name for method in descriptor_pool.Default().FindServiceByName(name).methods}
        if methods != set(CALLERS.get(name, {})):
            raise RuntimeError(f"the table of callers does not fit {name}")
