"""W3C trace context (https://www.w3.org/TR/trace-context/): read, continued and passed on, over gRPC and Kafka."""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

HEADER = "traceparent"
_FORM = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")


@dataclass(frozen=True)
class TraceContext:
    """One span's place in a trace: ids in lower-case hex."""

    trace_id: str
    span_id: str
    flags: str = "01"

    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[TraceContext | None] = ContextVar("parley_trace", default=None)


def parse(header: str | None) -> TraceContext | None:
    """The context that a header carries; None when it is missing or malformed, as the standard has it."""
    found = _FORM.match(header or "")
    if found is None or header is None or header.startswith("ff"):
        return None
    trace_id, span_id, flags, _ = found.groups()
    if set(trace_id) == {"0"} or set(span_id) == {"0"}:
        return None
    return TraceContext(trace_id, span_id, flags)


def enter(header: str | None) -> TraceContext:
    """Continue the caller's trace with a span of our own, or begin one, and bind it to the logs."""
    parent = parse(header)
    span_id = secrets.token_hex(8)
    context = (
        TraceContext(parent.trace_id, span_id, parent.flags) if parent else TraceContext(secrets.token_hex(16), span_id)
    )
    _current.set(context)
    structlog.contextvars.bind_contextvars(trace_id=context.trace_id)
    return context


def current_header() -> str | None:
    """The `traceparent` to pass on, or None outside of any trace."""
    context = _current.get()
    return context.header() if context else None
