"""Which people may call which admin method, by role: the one table of the whole system. What has no row is nobody's."""

from collections.abc import Iterable

from services.runtime.identity import method_rules
from services.runtime.identity.method_rules import Table, changes, reads

# Who reads reports and closes them; who looks after what runs; who answers people's wishes about their own data.
MODERATOR, OPERATOR, PRIVACY = "moderator", "operator", "privacy"

# gRPC service → method → rule. Only services of Access.ADMIN stand here.
ROLES: Table = {
    "parley.messaging.v1.ModerationService": {
        "ListReports": reads(MODERATOR),
        "GetReport": reads(MODERATOR),
        "ResolveReport": changes(MODERATOR),
    },
    "parley.messaging.v1.AccountAdminService": {
        "DeleteUser": changes(PRIVACY),
        # It makes files of what a person has said.
        "ExportUser": changes(PRIVACY),
        "GetUserJob": reads(PRIVACY),
        "SignOutUser": changes(PRIVACY),
        "ListDeletedUsers": reads(PRIVACY),
    },
    "parley.presence.v1.PresenceAdminService": {"DescribeReplica": reads(OPERATOR)},
    "parley.gateway.v1.GatewayAdminService": {
        "DescribeGateway": reads(OPERATOR),
        "ListSlowestDevices": reads(OPERATOR),
        "FindDevices": reads(OPERATOR),
    },
    "parley.webhooks.v1.WebhookAdminService": {
        "ListEndpoints": reads(OPERATOR),
        "EnableEndpoint": changes(OPERATOR),
        "ListDeadLetters": reads(OPERATOR),
        "ReplayDeliveries": changes(OPERATOR),
    },
    "parley.notifications.v1.NotificationsAdminService": {
        "ListDeadLetters": reads(OPERATOR),
        "ReplayDeadLetters": changes(OPERATOR),
    },
    "parley.calls.v1.CallOperationsService": {
        "MoveCall": changes(OPERATOR),
        "LocateCall": reads(OPERATOR),
        "DrainWorker": changes(OPERATOR),
    },
}


def may_call(roles: Iterable[str], service: str, method: str) -> bool:
    """Whether one of the roles has the method of the gRPC service (full name)."""
    return method_rules.may_call(ROLES, roles, service, method)


def is_change(service: str, method: str) -> bool:
    """Whether the method changes something; what has no row is taken for one that does."""
    return method_rules.is_change(ROLES, service, method)


def require_rows(services: Iterable[str]) -> None:
    """Raises RuntimeError for a service (full name) of which a method has no row, a row no method, or one streams."""
    method_rules.require_rows(ROLES, "roles", services)
