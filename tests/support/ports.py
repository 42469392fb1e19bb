"""A port for a server that a test starts later."""

from __future__ import annotations

from deploy.embedded.ports import Ports


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody else gets: below those that the kernel gives to outgoing connections, one of
    which might have it before anything listens, and claimed as those of stacks are."""
    return Ports({}).tcp("any")
