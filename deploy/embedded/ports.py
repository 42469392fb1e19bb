"""The ports of the stack: two that people use, and internal ones that nobody needs to know."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Mapping

from deploy.embedded.errors import SettingsError

EDGE_PORT = 8080
MEDIA_PORT = 7882

# Below the kernel's range for outgoing connections (32768 and up on Linux), so that a service which is
# restarted finds its port again: no connection can have taken it meanwhile.
# In steps: a pod of several media workers takes the ports that follow its own.
FREE_PORT_RANGE = range(15_000, 31_000, 8)
ATTEMPTS = 200
# What this process has claimed, for as long as it lives: a port is the stack's also while its service restarts.
_claims: list[socket.socket] = []


class Ports:
    """Gives each part of the stack a port that nothing else uses.

    A part's port is what `PARLEY_PORT_<NAME>` says, or else its default; 0 means any free one.
    """

    def __init__(self, env: Mapping[str, str], *, host: str = "127.0.0.1", chance: random.Random | None = None) -> None:
        self._env = env
        self._host = host
        self._given: set[int] = set()
        # Not for secrets.
        self._random = chance or random.Random()  # noqa: S311

    def tcp(self, name: str, default: int = 0) -> int:
        """A TCP port for the named part. Raises SettingsError when the wanted one is taken."""
        return self._take(name, default, socket.SOCK_STREAM)

    def udp(self, name: str, default: int = 0) -> int:
        """A UDP port for the named part. Raises SettingsError when the wanted one is taken."""
        return self._take(name, default, socket.SOCK_DGRAM)

    def _take(self, name: str, default: int, kind: socket.SocketKind) -> int:
        variable = "PARLEY_PORT_" + name.upper().replace("-", "_")
        port = _number(variable, self._env.get(variable, str(default)))
        if port == 0:
            port = self._free(kind)
        elif port in self._given or not is_free(self._host, port, kind):
            raise SettingsError(f"Port {port} ({name}) is taken: set {variable} to another one, or to 0 for any.")
        self._given.add(port)
        return port

    def _free(self, kind: socket.SocketKind) -> int:
        for _ in range(ATTEMPTS):
            port = self._random.choice(FREE_PORT_RANGE)
            if port not in self._given and is_free(self._host, port, kind) and _claim(port):
                return port
        raise SettingsError(f"No free port between {FREE_PORT_RANGE.start} and {FREE_PORT_RANGE.stop}.")


def is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As servers do: a connection that lingers in TIME_WAIT does not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Keeps other stacks of this machine from choosing the port before anything listens there.

    By a name in the kernel's own space, which no file outlives.
    """
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0parley-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _number(variable: str, text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise SettingsError(f"{variable} must be a port between 0 and 65535, not {text!r}.")
    return int(text)


def from_environment() -> Ports:
    """The ports as the environment of this process asks for them."""
    return Ports(os.environ)
