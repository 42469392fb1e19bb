"""The audit record of calls by people and by servers of the back office: who asked what of whom, and how it ended;
never what a request says."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from services.runtime.errors import StoreUnavailable
from services.runtime.identity import roles, scopes
from services.runtime.reasons import MAX_REASON_CHARS

# A logger of its own: PARLEY_LOG_LEVEL does not silence it, and a site can keep these lines apart by `audit`.
log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), audit=True)

AUDITED = frozenset(roles.ROLES) | frozenset(scopes.SCOPES)
# Fields of a request that name whom it is about, and as whom. All others may hold what people wrote.
_TARGETS = (
    *("user_id", "call_id", "worker_id", "report_id", "job_id", "endpoint", "held_id", "link_id"),
    *("as_user_id", "peer_user_id", "conversation_id", "seq"),
)
# The request of a user that a server's holds.
_INNER = ("message", "direct", "group")
# Whom several things are done to at once. Raising the number makes larger rows; lowering it forgets some of them.
_PEOPLE, _MAX_PEOPLE = "user_ids", 100
# Why something is done to somebody, in the office's own words, which may quote others': for the row alone, and not for
# the log.
_REASON = "reason"
# For a row that nothing waits for. Raising it makes callers wait for a slow database; lowering it loses rows.
_ROW_WITHIN_S = 2.0


@dataclass(frozen=True)
class Entry:
    """One line of the record. `outcome` is empty before the call runs, and a gRPC status when it has ended."""

    request_id: str
    api: str
    method: str
    # The token's subject, and the roles that it says; of a server, the scopes of its key. Empty when the caller was not
    # authenticated.
    caller: str = ""
    roles: tuple[str, ...] = ()
    outcome: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)


class Trail(Protocol):
    """Where entries are kept, and never changed again."""

    async def append(self, entry: Entry) -> None:
        """Raises StoreUnavailable."""


class AuditedCall:
    """The record of one call. Without a trail it is lines of the log only."""

    def __init__(self, request_id: str, api: str, method: str, trail: Trail | None) -> None:
        self._entry = Entry(request_id, api, method)
        self._trail = trail

    def by(self, caller: str, roles: Iterable[str]) -> None:
        """The caller is authenticated; whether it is authorized is not known yet."""
        self._entry = replace(self._entry, caller=caller, roles=tuple(sorted(roles)))

    async def begin(self, request: Any) -> None:
        """Before the call runs, so that one whose process dies is known too.

        Raises StoreUnavailable when the row of a call that changes something cannot be written.
        """
        entry = replace(self._entry, targets=_targets(request))
        self._log("admin_call_begun", entry)
        if not self._trail:
            return
        if not _is_change(entry.api, entry.method):
            await self._append_if_possible(self._trail, entry)
            return
        try:
            await self._trail.append(entry)
        except Exception as error:
            log.error("audit_row_refused", request_id=entry.request_id, error=type(error).__name__)
            raise StoreUnavailable("the audit record cannot be written now") from error

    async def end(self, outcome: str) -> None:
        """After the call, also one that was refused before it ran."""
        entry = replace(self._entry, outcome=outcome)
        self._log("admin_call_ended", entry)
        # Callers without a token could fill the table.
        if self._trail and entry.caller:
            await self._append_if_possible(self._trail, entry)

    def _log(self, event: str, entry: Entry) -> None:
        what = {"request_id": entry.request_id, "api": entry.api, "method": entry.method, "roles": list(entry.roles)}
        outcome = {"outcome": entry.outcome} if entry.outcome else {}
        targets = {name: value for name, value in entry.targets.items() if name != _REASON}
        log.info(event, caller=entry.caller, **what, **outcome, **targets)

    async def _append_if_possible(self, trail: Trail, entry: Entry) -> None:
        try:
            async with asyncio.timeout(_ROW_WITHIN_S):
                await trail.append(entry)
        # The log has it; what was read, or has been done, is not undone by a refusal.
        except Exception as error:
            log.error("audit_row_missing", request_id=entry.request_id, error=type(error).__name__)


def _is_change(api: str, method: str) -> bool:
    return scopes.is_change(api, method) if api in scopes.SCOPES else roles.is_change(api, method)


def _targets(request: Any) -> dict[str, str]:
    """The targets that the request names, cut to the length of an id."""
    found: dict[str, str] = {}
    for part in (request, *(getattr(request, name, None) for name in _INNER)):
        named = {name: getattr(part, name, "") for name in _TARGETS}
        found |= {name: str(value)[:64] for name, value in named.items() if isinstance(value, str | int) and value}
        if people := getattr(part, _PEOPLE, ()):
            found[_PEOPLE] = " ".join(person[:64] for person in people[:_MAX_PEOPLE])
    reason = getattr(request, _REASON, "")
    if isinstance(reason, str) and reason:
        found[_REASON] = reason[:MAX_REASON_CHARS]
    return found
