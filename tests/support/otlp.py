"""A collector that keeps in memory what services export over OTLP/gRPC."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.support.stack import LOGS

SPANS = LOGS / "spans.log"
# A stack that is told this ratio keeps the traces of `kept_trace_id`, and next to none besides.
KEPT_RATIO = 1e-6


def kept_trace_id() -> str:
    """Of a new trace that is kept whatever the ratio: its last 8 bytes decide, and are as small as can be."""
    return f"{secrets.token_hex(8)}{1:016x}"


@dataclass(frozen=True)
class Received:
    """A span as it came; ids in hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    failed: bool


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Answers exports; `address` is what services are told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Received] = []
        self.address = ""

    def trace(self, trace_id: str) -> list[Received]:
        """The spans of a trace that have come, in order of their beginnings."""
        with self._lock:
            return sorted((span for span in self._spans if span.trace_id == trace_id), key=lambda span: span.began_ns)

    def _keep(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        """All of it, attributes and events too, where canary.py looks."""
        SPANS.parent.mkdir(parents=True, exist_ok=True)
        with SPANS.open("a") as kept:
            kept.write(str(request))

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        with self._lock:
            self._keep(request)
            for group in request.resource_spans:
                names = {item.key: item.value.string_value for item in group.resource.attributes}
                for scope in group.scope_spans:
                    self._spans += [
                        Received(
                            names["service.name"],
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            span.status.code == 2,
                        )
                        for span in scope.spans
                    ]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port of the loopback."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)
