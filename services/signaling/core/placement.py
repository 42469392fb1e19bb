"""Which SFU worker takes a call: what the workers announce, and a choice by headroom."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.signaling.core.model import Worker, WorkerId


@dataclass(frozen=True)
class PlacementPolicy:
    """How workers are judged."""

    # Higher: calls go to dead workers for longer. Lower: a busy worker that announces late counts as lost.
    lost_after_s: float = 5.0
    # How long a placement counts against a worker. Higher: calls that never bring media keep others away.
    # Lower: a burst of calls all lands on one worker before its announcements show it.
    recent_s: float = 10.0
    # Higher: dead calls last longer after an outage of the broker. Lower: calls end before the good news of the
    # outage have been read.
    settle_s: float = 10.0
    # Higher: workers run hot and packets wait. Lower: room is left unused.
    max_cpu_ratio: float = 0.85


@dataclass(frozen=True)
class Node:
    """A worker as it announces itself."""

    worker: Worker
    region: str
    announce_time: datetime
    participants: int
    max_participants: int
    # Busy share of the worker's core, 0 to 1.
    cpu_ratio: float
    # Takes no new participants.
    draining: bool


@dataclass
class NodeTable:
    """The workers known now. The caller gives the time; the hosts' clocks must agree within a second or two."""

    policy: PlacementPolicy = field(default_factory=PlacementPolicy)
    _nodes: dict[WorkerId, Node] = field(default_factory=dict)
    _steady_since: dict[WorkerId, datetime] = field(default_factory=dict)
    _recent: dict[WorkerId, list[tuple[datetime, int]]] = field(default_factory=dict)

    def announce(self, node: Node) -> None:
        """Take in an announcement. One that is older than what is known changes nothing."""
        worker_id = node.worker.worker_id
        known = self._nodes.get(worker_id)
        if known and node.announce_time < known.announce_time:
            return
        gap = timedelta(seconds=self.policy.lost_after_s)
        if known is None or node.announce_time - known.announce_time > gap:
            self._steady_since[worker_id] = node.announce_time
        self._nodes[worker_id] = node

    def remove(self, worker_id: WorkerId) -> None:
        """Forget a worker that went in order."""
        self._nodes.pop(worker_id, None)
        self._recent.pop(worker_id, None)
        self._steady_since.pop(worker_id, None)

    def live(self, now: datetime) -> list[Node]:
        """The workers heard of lately, draining ones too, by id. Forgets those long gone."""
        lost_after = timedelta(seconds=self.policy.lost_after_s)
        for worker_id in [key for key, node in self._nodes.items() if now - node.announce_time > 20 * lost_after]:
            self.remove(worker_id)
        alive = (node for node in self._nodes.values() if now - node.announce_time <= lost_after)
        return sorted(alive, key=lambda node: node.worker.worker_id)

    def is_live(self, worker_id: WorkerId, now: datetime) -> bool:
        """Whether the worker was heard of lately."""
        return any(node.worker.worker_id == worker_id for node in self.live(now))

    def is_steady(self, worker_id: WorkerId, now: datetime) -> bool:
        """Whether the worker has been heard of without a gap for so long that its other events must have come too."""
        since = self._steady_since.get(worker_id)
        settled = timedelta(seconds=self.policy.settle_s)
        return self.is_live(worker_id, now) and since is not None and now - since >= settled

    def current(self, worker: Worker) -> Worker:
        """The worker with the address that it announced last; as given when it is not known."""
        node = self._nodes.get(worker.worker_id)
        return node.worker if node else worker

    def choose(self, seats: int, now: datetime) -> Worker | None:
        """The worker with the most headroom after taking `seats` more participants; None when none has room."""
        ranked = [(self._headroom(node, seats, now), node) for node in self.live(now) if not node.draining]
        fitting = [(headroom, node) for headroom, node in ranked if headroom is not None]
        if not fitting:
            return None
        return max(fitting, key=lambda entry: entry[0])[1].worker

    def note_placement(self, worker_id: WorkerId, seats: int, now: datetime) -> None:
        """Count seats against a worker until its announcements can show them."""
        self._recent.setdefault(worker_id, []).append((now, seats))

    def _headroom(self, node: Node, seats: int, now: datetime) -> float | None:
        """0 to 1: the share of the scarcer of seats and processor that stays free; None when there is no room."""
        taken = node.participants + self._recent_seats(node.worker.worker_id, now) + seats
        if taken > node.max_participants or node.cpu_ratio >= self.policy.max_cpu_ratio:
            return None
        return min(1 - taken / node.max_participants, 1 - node.cpu_ratio)

    def _recent_seats(self, worker_id: WorkerId, now: datetime) -> int:
        cutoff = now - timedelta(seconds=self.policy.recent_s)
        kept = [(at, seats) for at, seats in self._recent.get(worker_id, []) if at > cutoff]
        self._recent[worker_id] = kept
        return sum(seats for _, seats in kept)
