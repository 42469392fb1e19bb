"""Who is let in at the admin port: people by role, and servers of the back office by scope; each call is audited."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from services.runtime.clock import Clock
from services.runtime.errors import CallerNotAllowed
from services.runtime.identity import roles, scopes
from services.runtime.identity.admin import set_current_admin
from services.runtime.identity.audit import AuditedCall, Trail
from services.runtime.identity.auth import UserTokens, bearer_token
from services.runtime.identity.server_keys import ServerTokens, set_current_server
from services.runtime.limits.server_limits import ServerLimits


@dataclass(frozen=True)
class Admins:
    """Who vouches for people, and where the audit record of their calls is kept besides the log."""

    tokens: UserTokens
    trail: Trail | None = None


@dataclass(frozen=True)
class Servers:
    """By which keys servers are known, how much each may ask, and where the record is kept besides the log."""

    tokens: ServerTokens
    limits: ServerLimits
    trail: Trail | None = None


def admins(tokens: UserTokens | None, trail: Trail | None = None) -> Admins | None:
    """None when nobody vouches for people."""
    return Admins(tokens, trail) if tokens else None


def servers(keys_file: str, clock: Clock, trail: Trail | None = None) -> Servers | None:
    """None when no file of keys is configured. Raises ConfigError."""
    return Servers(ServerTokens(keys_file, clock), ServerLimits(clock), trail) if keys_file else None


async def admit_person(
    known: Admins | None, metadata: Mapping[str, str], service: str, method: str, audited: AuditedCall | None
) -> None:
    """Let a person in. Raises Unauthenticated, KeysUnavailable, CallerNotAllowed."""
    if known is None or audited is None:
        raise RuntimeError(f"{service} takes people's tokens, but this server knows none")
    person = await known.tokens.verify(bearer_token(metadata))
    audited.by(person.user_id, person.roles)
    if not roles.may_call(person.roles, service, method):
        raise CallerNotAllowed(f"{method} takes the role {roles.ROLES[service][method].takes}")
    set_current_admin(person)


def admit_server(
    known: Servers | None, metadata: Mapping[str, str], service: str, method: str, audited: AuditedCall | None
) -> None:
    """Let a server in. Raises Unauthenticated, CallerNotAllowed, RateLimited."""
    if known is None or audited is None:
        raise RuntimeError(f"{service} takes servers' tokens, but this server knows none")
    server = known.tokens.verify(bearer_token(metadata), service)
    structlog.contextvars.bind_contextvars(server=server.name)
    # Before the record knows who calls: a program that runs wild fills no table. What is refused for its scope counts.
    known.limits.charge(server, service, method)
    audited.by(server.subject, server.scopes)
    if not scopes.may_call(server.scopes, service, method):
        raise CallerNotAllowed(f"{method} takes the scope {scopes.SCOPES[service][method].takes}")
    set_current_server(server)
