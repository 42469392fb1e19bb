"""What the relays of calls need of the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.signaling.core.model import CallId, Worker
from services.signaling.relays.core import Carrier, Relays, Round


class RelayStore(Protocol):
    """What is kept of calls that are, or were, on several workers. Every method may raise StoreUnavailable."""

    async def begin(self, call_id: CallId, secret: bytes, now: datetime) -> Round | None:
        """A new round of a call, with the call's secret, which is this one if it has none yet; None for a call that has
        ended or never was on several workers."""

    async def settle(self, call_id: CallId, revision: int, version: int) -> None:
        """Note that the call at this version is on one worker, which was told so, unless another round has begun."""

    async def claim(self, now: datetime, before: datetime, limit: int) -> Sequence[CallId]:
        """Calls that are not settled and whose last round began before then, the longest ago first. Nobody else gets
        them until their next time."""

    async def count(self) -> int:
        """How many calls are on several workers now."""


class RelayWorkers(Protocol):
    """The workers' half."""

    async def list_joined(self, worker: Worker, call_id: CallId) -> Carrier:
        """Who has joined a call on the worker. Raises MediaUnavailable."""

    async def set_relays(self, worker: Worker, relays: Relays) -> None:
        """Tell it of the others. Idempotent, in any order. Raises MediaUnavailable."""
