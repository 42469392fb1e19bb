"""The metrics port.

Not prometheus_client's own server: it looks twice a second whether it is to end, in a process that may have nothing
else to do.
"""

import socket
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app

# How often the thread looks whether it is to end, which it never is. Lowering it wakes an idle process.
_LOOK_S = 86_400.0


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class has it so
        """Log nothing: that we were scraped is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, host: str, port: int) -> None:
        self.address_family = family
        super().__init__((host, port), _SilentHandler)


def serve(address: str, registry: CollectorRegistry = REGISTRY) -> int:
    """Serve /metrics (OpenMetrics on request) from a daemon thread for the life of the process.

    `address` is `host:port`; with port 0 the kernel chooses. Returns the port. Raises OSError when it cannot listen.
    """
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]
    server = _Server(family, str(place[0]), int(port))
    server.set_app(make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="metrics", daemon=True).start()
    return server.server_port
