"""W3C trace context (https://www.w3.org/TR/trace-context/): read, continued and passed on, over gRPC and Kafka.

Ids travel and stand in the logs always. Spans are kept only where `telemetry.py` has set a recorder, and only of
sampled traces; without one, `begin`, `kept` and `exemplar` cost a look at a variable.
"""

import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import structlog

HEADER = "traceparent"
SAMPLED, UNSAMPLED = "01", "00"
_FORM = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")


@dataclass(frozen=True)
class TraceContext:
    """One span's place in a trace: ids in lower-case hex."""

    trace_id: str
    span_id: str
    flags: str = SAMPLED

    def header(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace wants it kept (bit 0 of the flags)."""
        return bool(int(self.flags, 16) & 1)


class Kind(Enum):
    """Which side of which exchange a span is, as OpenTelemetry has it."""

    INTERNAL = "internal"
    SERVER = "server"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass
class Span:
    """What one process did for a trace. Times are Unix nanoseconds; a `failure` is a short word, never a text."""

    name: str
    kind: Kind
    context: TraceContext
    parent_id: str
    began_ns: int
    ended_ns: int = 0
    attributes: dict[str, str | int] = field(default_factory=dict)
    failure: str = ""


class Recorder(Protocol):
    """Keeps finished spans. Returns at once; what cannot be kept is dropped."""

    def record(self, span: Span) -> None: ...

    def wants(self, trace_id: str) -> bool:
        """Whether a trace that begins here is to be kept; the same for the same id."""


_current: ContextVar[TraceContext | None] = ContextVar("parley_trace", default=None)
_recorder: Recorder | None = None


def use(recorder: Recorder | None) -> None:
    """Set or remove this process's recorder."""
    global _recorder
    _recorder = recorder


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
    return _bind(_child(parse(header)))


def resampled(header: str | None) -> str | None:
    """The header of somebody who has no say in what is kept, such as a user's device: the ids are theirs."""
    context = parse(header)
    if context is None or _recorder is None:
        return header
    return replace(context, flags=SAMPLED if _recorder.wants(context.trace_id) else UNSAMPLED).header()


def current_header() -> str | None:
    """The `traceparent` to pass on, or None outside of any trace."""
    context = _current.get()
    return context.header() if context else None


def kept(header: str | None) -> str:
    """The header where its trace is kept, to be passed on by hand; else empty. See `begin`, which reads it."""
    parent = parse(header) if _recorder else None
    return header or "" if parent and parent.is_sampled else ""


def exemplar() -> dict[str, str] | None:
    """What ties a metric's sample to the trace that is kept; None when none is."""
    context = _current.get() if _recorder else None
    return {"trace_id": context.trace_id} if context and context.is_sampled else None


def begin(name: str, kind: Kind, header: str | None, attributes: Mapping[str, str | int] | None = None) -> Span | None:
    """A span that continues a header's trace beside the current one; None when nobody would keep it. See `end`."""
    parent = parse(header) if _recorder else None
    if parent is None or not parent.is_sampled:
        return None
    return Span(name, kind, _child(parent), parent.span_id, time.time_ns(), attributes=dict(attributes or {}))


def end(span: Span | None, failure: str = "") -> None:
    """Give a span to the recorder. None is passed over."""
    if span is not None and _recorder is not None:
        span.ended_ns = time.time_ns()
        span.failure = failure or span.failure
        _recorder.record(span)


@contextmanager
def span(name: str, header: str | None, kind: Kind = Kind.INTERNAL) -> Iterator[Span]:
    """Continue the header's trace, or begin one, for the length of the block, and keep what happens in it as a span.

    The block may add attributes and a failure; an exception that leaves it is one.
    """
    parent = parse(header)
    context = _child(parent)
    opened = Span(name, kind, context, parent.span_id if parent else "", time.time_ns())
    former = _current.get()
    _bind(context)
    try:
        yield opened
    except BaseException as error:
        opened.failure = opened.failure or type(error).__name__
        raise
    finally:
        if former is not None:
            _bind(former)
        if context.is_sampled:
            end(opened)


def adopt(span: Span) -> None:
    """Make a span that `begin` gave the current one, and bind it to the logs."""
    _bind(span.context)


def _child(parent: TraceContext | None) -> TraceContext:
    span_id = secrets.token_hex(8)
    if parent:
        return TraceContext(parent.trace_id, span_id, parent.flags)
    trace_id = secrets.token_hex(16)
    return TraceContext(trace_id, span_id, SAMPLED if _recorder is None or _recorder.wants(trace_id) else UNSAMPLED)


def _bind(context: TraceContext) -> TraceContext:
    _current.set(context)
    structlog.contextvars.bind_contextvars(trace_id=context.trace_id)
    return context
