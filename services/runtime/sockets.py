"""TCP connections whose peer may be gone though nobody says so: its host is lost, or somebody between forgot them.

Without this the kernel believes in an idle one for ever, and sends again what nobody acknowledges for a quarter of an
hour. gRPC finds dead peers by its own means (grpc/channels.py); this is for clients that have none.
"""

import socket
from asyncio import BaseTransport

# Of a connection on which nothing comes: the pause before the first question, the one between two, and how many stay
# without an answer until it is given up. Raising them finds a dead peer later; lowering them asks more often, and gives
# up one that a bad network merely holds up.
IDLE_S = 5
INTERVAL_S = 2
QUESTIONS = 3
# Of what was sent and is not acknowledged: as long.
UNACKNOWLEDGED_MS = (IDLE_S + INTERVAL_S * QUESTIONS) * 1000

# By the kernel's names: not each kernel has all of them.
_OPTIONS = {
    "TCP_KEEPIDLE": IDLE_S,
    "TCP_KEEPINTVL": INTERVAL_S,
    "TCP_KEEPCNT": QUESTIONS,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MS,
}


def find_dead_peer(transport: BaseTransport) -> None:
    """Ends the connection of a transport, with an error, once its peer is gone. Others than TCP's are left as they are.

    After 11 s, whether something is under way or nothing.
    """
    its = transport.get_extra_info("socket")
    if its is None or its.family not in (socket.AF_INET, socket.AF_INET6):
        return
    its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        if hasattr(socket, name):
            its.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
