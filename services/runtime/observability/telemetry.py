"""Finished spans to an OpenTelemetry collector, over OTLP/gRPC. Off unless PARLEY_OTLP_ENDPOINT is set."""

import threading

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services.runtime.config import TelemetryConfig
from services.runtime.observability.tracing import Kind, Span

_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}
# Spans that wait for the collector; what exceeds it is dropped. Raising it takes more memory while the collector is
# away; lowering it leaves gaps sooner.
QUEUE = 8_192
EXPORT_TIMEOUT_S = 5


class OtlpRecorder:
    """See tracing.Recorder. A thread of its own sends what waits; a collector that is away costs spans only."""

    def __init__(self, config: TelemetryConfig, service: str, timeout_s: float = EXPORT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._exporter = OTLPSpanExporter(
            endpoint=f"{'https' if config.tls else 'http'}://{config.endpoint}",
            insecure=not config.tls,
            timeout=timeout_s,
        )
        self._processor = BatchSpanProcessor(
            self._exporter, max_queue_size=QUEUE, schedule_delay_millis=config.interval_ms, max_export_batch_size=512
        )
        self._resource = Resource({"service.name": f"parley-{service}"})
        self._bound = TraceIdRatioBased(config.ratio).bound

    def wants(self, trace_id: str) -> bool:
        """See tracing.Recorder; by the id's last 8 bytes, as OpenTelemetry's own sampler does."""
        return int(trace_id[16:], 16) < self._bound

    def record(self, span: Span) -> None:
        """See tracing.Recorder."""
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.context.trace_id, span.context.span_id),
                parent=_context(span.context.trace_id, span.parent_id) if span.parent_id else None,
                resource=self._resource,
                attributes=span.attributes,
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR, span.failure) if span.failure else Status(),
                start_time=span.began_ns,
                end_time=span.ended_ns,
            )
        )

    def close(self) -> None:
        """Send what waits, and stop. Blocks for the timeout at most when the collector is away."""
        # The library's own flush ends when all is sent or given up, each batch for itself, whatever time it is given.
        flush = threading.Thread(target=self._processor.force_flush, name="otlp-flush", daemon=True)
        flush.start()
        flush.join(self._timeout_s)
        # First the exporter: what is under way ends with it, and what still waits is refused at once.
        self._exporter.shutdown()
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
