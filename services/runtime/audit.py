"""The audit record of calls by people's tools: who asked what of whom, and how it ended; never what a request says."""

import logging
from typing import Any

import structlog

from services.runtime.callers import BACK_OFFICE, CALLERS, MODERATION, OPS

# A logger of its own: PARLEY_LOG_LEVEL does not silence it, and a site can keep these lines apart by `audit`.
log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), audit=True)

# gRPC services that only people's tools call.
AUDITED = frozenset(
    service for service, rows in CALLERS.items() if frozenset().union(*rows.values()) <= OPS | MODERATION | BACK_OFFICE
)
# Fields of a request that name whom it is about. All others may hold what people wrote.
_TARGETS = ("user_id", "call_id", "worker_id", "report_id", "job_id")


def begun(request_id: str, service: str, method: str, caller: str, request: Any) -> None:
    """Before the call runs, so that one whose process dies is known too."""
    log.info("admin_call_begun", request_id=request_id, api=service, method=method, caller=caller, **_of(request))


def ended(request_id: str, service: str, method: str, caller: str, code: str) -> None:
    """After the call, also one that was refused before it ran; `caller` is empty when it proved to be nobody."""
    log.info("admin_call_ended", request_id=request_id, api=service, method=method, caller=caller, outcome=code)


def _of(request: Any) -> dict[str, str]:
    """The targets that the request names, cut to the length of an id."""
    found = {name: getattr(request, name, "") for name in _TARGETS}
    return {name: value[:64] for name, value in found.items() if isinstance(value, str) and value}
