"""The relays of calls in memory: rounds, and workers that know who has joined."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.signaling.core.errors import MediaUnavailable
from services.signaling.core.model import Call, CallId, CallState, DeviceId, UserId, Worker, WorkerId
from services.signaling.relays.core import Carrier, Joined, Relays, Round
from tests.unit.signaling.fake_store import FakeStore

SECRET = b"s" * 32


@dataclass
class _Kept:
    """What stands in a call's row."""

    secret: bytes
    revision: int = 0
    look_time: datetime | None = None
    settled_version: int | None = None


class FakeRelayStore:
    """relays.ports.RelayStore in memory, beside the calls."""

    def __init__(self, calls: FakeStore) -> None:
        self._calls = calls
        self._kept: dict[CallId, _Kept] = {}

    async def begin(self, call_id: CallId, secret: bytes, now: datetime) -> Round | None:
        call = await self._calls.find(call_id)
        if call is None or not call.spread or call.state is CallState.ENDED:
            return None
        kept = self._kept.setdefault(call_id, _Kept(secret))
        kept.revision += 1
        kept.look_time = now
        return Round(kept.revision, kept.secret)

    async def settle(self, call_id: CallId, revision: int, version: int) -> None:
        call = await self._calls.find(call_id)
        kept = self._kept[call_id]
        if call and (kept.revision, call.version) == (revision, version):
            kept.settled_version = version

    async def claim(self, now: datetime, before: datetime, limit: int) -> Sequence[CallId]:
        due = [call.call_id for call in self._calls.running() if call.spread and self._is_due(call, before)]
        for call_id in due[:limit]:
            self._kept.setdefault(call_id, _Kept(SECRET)).look_time = now
        return due[:limit]

    async def count(self) -> int:
        return sum(any(leg.worker for leg in call.joined) for call in self._calls.running())

    def _is_due(self, call: Call, before: datetime) -> bool:
        kept = self._kept.get(call.call_id)
        if kept is None:
            return True
        is_looked_at = kept.look_time is not None and kept.look_time > before
        return kept.settled_version != call.version and not is_looked_at


@dataclass
class FakeRelayWorkers:
    """relays.ports.RelayWorkers: who has joined where, and what each was told last."""

    joined: dict[WorkerId, list[Joined]] = field(default_factory=dict)
    told: dict[WorkerId, Relays] = field(default_factory=dict)
    silent: set[WorkerId] = field(default_factory=set)

    def join(self, worker: Worker, user_id: UserId, device_id: DeviceId) -> None:
        """A device joins there."""
        here = self.joined.setdefault(worker.worker_id, [])
        here.append(Joined(user_id, device_id, len(here) + 1, f"offer of {user_id}"))

    def remove(self, worker: Worker, user_id: UserId) -> None:
        here = self.joined[worker.worker_id]
        self.joined[worker.worker_id] = [joined for joined in here if joined.user_id != user_id]

    def remotes(self, worker: Worker) -> dict[UserId, WorkerId]:
        """Who is remote there by what was said last, and where they are."""
        return {remote.joined.user_id: remote.worker_id for remote in self.told[worker.worker_id].remotes}

    async def list_joined(self, worker: Worker, call_id: CallId) -> Carrier:
        self._check(worker)
        address = f"10.0.0.1:{worker.address.rpartition(':')[2]}"
        return Carrier(worker, address, tuple(self.joined.get(worker.worker_id, ())))

    async def set_relays(self, worker: Worker, relays: Relays) -> None:
        self._check(worker)
        last = self.told.get(worker.worker_id)
        if last is None or relays.revision > last.revision:
            self.told[worker.worker_id] = relays

    def _check(self, worker: Worker) -> None:
        if worker.worker_id in self.silent:
            raise MediaUnavailable("silent")
