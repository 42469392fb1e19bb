"""Which people may call which admin method, by role: the one table of the whole system. What has no row is nobody's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf import descriptor_pool


@dataclass(frozen=True)
class Rule:
    """The role that a method takes. One that `changes` something runs only when its audit row was written."""

    role: str
    changes: bool


def _reads(role: str) -> Rule:
    return Rule(role, changes=False)


def _changes(role: str) -> Rule:
    return Rule(role, changes=True)


# Who reads reports and closes them; who looks after what runs; who answers people's wishes about their own data.
MODERATOR, OPERATOR, PRIVACY = "moderator", "operator", "privacy"

# gRPC service → method → rule. Only services of Access.ADMIN stand here.
ROLES: Mapping[str, Mapping[str, Rule]] = {
    "parley.messaging.v1.ModerationService": {
        "ListReports": _reads(MODERATOR),
        "GetReport": _reads(MODERATOR),
        "ResolveReport": _changes(MODERATOR),
    },
    "parley.messaging.v1.AccountAdminService": {
        "DeleteUser": _changes(PRIVACY),
        # It makes files of what a person has said.
        "ExportUser": _changes(PRIVACY),
        "GetUserJob": _reads(PRIVACY),
        "SignOutUser": _changes(PRIVACY),
        "ListDeletedUsers": _reads(PRIVACY),
    },
    "parley.presence.v1.PresenceAdminService": {"DescribeReplica": _reads(OPERATOR)},
    "parley.gateway.v1.GatewayAdminService": {
        "DescribeGateway": _reads(OPERATOR),
        "ListSlowestDevices": _reads(OPERATOR),
        "FindDevices": _reads(OPERATOR),
    },
    "parley.webhooks.v1.WebhookAdminService": {
        "ListEndpoints": _reads(OPERATOR),
        "EnableEndpoint": _changes(OPERATOR),
        "ListDeadLetters": _reads(OPERATOR),
        "ReplayDeliveries": _changes(OPERATOR),
    },
    "parley.calls.v1.CallOperationsService": {
        "MoveCall": _changes(OPERATOR),
        "LocateCall": _reads(OPERATOR),
        "DrainWorker": _changes(OPERATOR),
    },
}


def may_call(roles: Iterable[str], service: str, method: str) -> bool:
    """Whether one of the roles has the method of the gRPC service (full name)."""
    rule = ROLES.get(service, {}).get(method)
    return rule is not None and rule.role in frozenset(roles)


def is_change(service: str, method: str) -> bool:
    """Whether the method changes something; what has no row is taken for one that does."""
    rule = ROLES.get(service, {}).get(method)
    return rule is None or rule.changes


def require_rows(services: Iterable[str]) -> None:
    """Raises RuntimeError for a service (full name) of which a method has no row, a row no method, or one streams."""
    for name in services:
        methods = descriptor_pool.Default().FindServiceByName(name).methods
        if {method.name for method in methods} != set(ROLES.get(name, {})):
            raise RuntimeError(f"the table of roles does not fit {name}")
        if any(method.client_streaming or method.server_streaming for method in methods):
            raise RuntimeError(f"{name} has a stream, of which there would be no audit record")
