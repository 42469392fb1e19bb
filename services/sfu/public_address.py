"""`python -m services.sfu.public_address host:port > file`: the address as which a STUN server sees this machine.

For workers on machines whose public address stands on no interface (the 1:1 NAT of most clouds): an init container
writes it to a file that PARLEY_SFU_PUBLIC_IP_FILE names. The server must be outside of that NAT. RFC 8489, section 5.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Any

from aioice import stun

from services.runtime.env import is_address

DEADLINE_S = 20.0
# Datagrams get lost, so the server is asked again after this. Raising it is slower on a bad network; lowering it asks
# more often than needed.
ASK_AGAIN_S = 0.5

LookUp = Callable[..., Sequence[tuple[Any, ...]]]


def ask(host: str, port: int, deadline_s: float = DEADLINE_S, look_up: LookUp = socket.getaddrinfo) -> str:
    """Our address, as the server sees it. Raises TimeoutError, or the OSError that remained at the end.

    A name that is not known is looked up again, and a refusal asked again: a pod runs before its network policies do.
    """
    ends = monotonic() + deadline_s
    while True:
        try:
            family, kind, _, _, server = look_up(host, port, type=socket.SOCK_DGRAM)[0]
            return _ask_at(server, family, kind, ends)
        except OSError:
            if monotonic() + ASK_AGAIN_S > ends:
                raise
        sleep(ASK_AGAIN_S)


def _ask_at(server: Any, family: int, kind: int, ends: float) -> str:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with socket.socket(family, kind) as sock:
        sock.settimeout(ASK_AGAIN_S)
        # Only what comes from the server is received then.
        sock.connect(server)
        while monotonic() < ends:
            sock.send(bytes(request))
            try:
                found = _mapped(sock.recv(2048), request.transaction_id)
            except TimeoutError:
                continue
            if found:
                return found
    raise TimeoutError(f"{server} did not answer in time")


def _mapped(datagram: bytes, transaction_id: bytes) -> str | None:
    try:
        response = stun.parse_message(datagram)
    except ValueError:
        return None
    if response.transaction_id != transaction_id or response.message_class != stun.Class.RESPONSE:
        return None
    address = response.attributes.get("XOR-MAPPED-ADDRESS")
    return str(address[0]) if address else None


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the address was found, 1 when not, 2 for arguments to mend."""
    if len(arguments) != 1 or not is_address(arguments[0]):
        sys.stderr.write("usage: python -m services.sfu.public_address host:port\n")
        return 2
    host, _, port = arguments[0].rpartition(":")
    try:
        sys.stdout.write(f"{ask(host, int(port))}\n")
    except OSError as error:
        sys.stderr.write(f"public_address: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
