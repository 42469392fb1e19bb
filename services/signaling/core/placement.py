"""Which SFU worker takes a call: what the workers announce, and a choice by headroom."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.signaling.core.inputs import Entry, Input
from services.signaling.core.model import Call, CallId, Worker, WorkerId

# What is read so soon after the first announcement of a worker may have been said long ago. Raising it makes a new
# replica slower to believe a worker whose clock is behind; at the interval of announcements it would take two of them.
REPLAY_S = 1.0
# Workers that one call may be on, and devices in a call that is on several: what a worker is told of others has bounds
# (MAX_PEERS, MAX_REMOTE_PARTICIPANTS of the SFU; a test compares).
MAX_WORKERS = 16
MAX_SPREAD_DEVICES = 64


@dataclass(frozen=True)
class PlacementPolicy:
    """How workers are judged."""

    # After this silence a worker counts as lost. Raising it sends calls to dead workers for longer; lowering it gives
    # up busy workers that announce themselves late.
    lost_after_s: float = 5.0
    # How long a placement counts against a worker. Raising it lets calls that never bring media keep others away;
    # lowering it puts a burst of calls on one worker before its announcements show them.
    recent_s: float = 10.0
    # How long a worker must be heard of before missing media is believed. Raising it makes dead calls last longer after
    # an outage of the broker; lowering it ends calls before the good news of the outage have been read.
    steady_after_s: float = 10.0
    # The load above which a worker gets no new calls. Raising it runs workers hot, and packets wait; lowering it leaves
    # capacity unused.
    max_cpu_ratio: float = 0.85
    # Where this replica is, and with it the clients that are led to it: workers there come first, others only when
    # those are full. Empty: all regions are alike.
    region: str = ""
    # Whether a group's call that has no room on its worker may go on on others, too. They send each other media over
    # their media ports, and drop what an address translation in between has changed: false where there is one.
    spreads_calls: bool = True


@dataclass(frozen=True)
class WorkerAnnouncement:
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
    # While draining: when what is left of its media ends.
    drain_deadline: datetime | None = None
    # Where other workers reach its media. Empty of one that cannot share a call with others.
    media_address: str = ""


@dataclass
class WorkerTable:
    """The workers known now. The caller gives the time, always by one clock; the workers' own clocks may be wrong.

    A worker is live as long as it is heard of here. Its own times only order its announcements. When none is heard of,
    the silence is the broker's: then those that answer when they are asked themselves take calls, as they were last.
    """

    policy: PlacementPolicy = field(default_factory=PlacementPolicy)
    # When this replica began to read the workers' other events; None: long ago.
    began: datetime | None = None
    _announcements: dict[WorkerId, WorkerAnnouncement] = field(default_factory=dict)
    # When each was first and last heard of, by the caller's clock.
    _first_heard: dict[WorkerId, datetime] = field(default_factory=dict)
    _heard: dict[WorkerId, datetime] = field(default_factory=dict)
    _answered: dict[WorkerId, datetime] = field(default_factory=dict)
    # Heard of only by announcements that may be old.
    _suspected: set[WorkerId] = field(default_factory=set)
    _steady_since: dict[WorkerId, datetime] = field(default_factory=dict)
    _recent: dict[WorkerId, list[tuple[datetime, int, CallId | None]]] = field(default_factory=dict)

    def announce(self, announcement: WorkerAnnouncement, now: datetime | None = None) -> bool:
        """Take in an announcement that is read now. One that is older than what is known changes nothing.

        Announcements are read again from the start of the topic. The first one of a worker, and what is read right
        after it, may be of long ago: when it looks so, it counts only once the worker is heard of again, later.

        True when its calls must be looked at: the worker began to drain, or is another process than before.
        """
        worker_id = announcement.worker.worker_id
        known = self._announcements.get(worker_id)
        now = now or announcement.announce_time
        is_older = known is not None and announcement.announce_time < known.announce_time
        # One that was silent may have come back on a host whose clock was set back.
        if is_older and now - self._heard[worker_id] <= timedelta(seconds=self.policy.lost_after_s):
            return False
        is_other = known is None or not known.worker.is_same_process(announcement.worker)
        self._announcements[worker_id] = announcement
        if is_other or not known or known.announce_time != announcement.announce_time:
            self._note_heard(worker_id, announcement.announce_time, now, is_other)
        return is_other or (announcement.draining and not (known and known.draining))

    def _note_heard(self, worker_id: WorkerId, announce_time: datetime, now: datetime, is_other: bool) -> None:
        gap = timedelta(seconds=self.policy.lost_after_s)
        last = self._heard.get(worker_id)
        if last is None or is_other or now - last > gap:
            self._steady_since[worker_id] = now
        if last is not None and now - last > gap:
            self._first_heard[worker_id] = now
        first = self._first_heard.setdefault(worker_id, now)
        if now - announce_time > gap and now - first < timedelta(seconds=REPLAY_S):
            self._suspected.add(worker_id)
        else:
            self._suspected.discard(worker_id)
        self._heard[worker_id] = now

    def remove(self, worker_id: WorkerId) -> None:
        """Forget a worker that stopped in order."""
        self._announcements.pop(worker_id, None)
        self._recent.pop(worker_id, None)
        self._steady_since.pop(worker_id, None)
        self._heard.pop(worker_id, None)
        self._answered.pop(worker_id, None)
        self._suspected.discard(worker_id)
        self._first_heard.pop(worker_id, None)

    def note_answered(self, worker: Worker, now: datetime) -> None:
        """The worker answers. Tells nothing of its other events, which come by the broker."""
        known = self._announcements.get(worker.worker_id)
        if known is not None and known.worker.is_same_process(worker):
            self._answered[worker.worker_id] = now

    def live(self, now: datetime) -> list[WorkerAnnouncement]:
        """The workers heard of lately, draining ones too, by id. Forgets those long gone."""
        lost_after = timedelta(seconds=self.policy.lost_after_s)
        for worker_id in [key for key, heard in self._heard.items() if now - heard > 20 * lost_after]:
            if not self._has_answered(worker_id, now):
                self.remove(worker_id)
        return [
            announcement
            for worker_id, announcement in sorted(self._announcements.items())
            if now - self._heard[worker_id] <= lost_after and worker_id not in self._suspected
        ]

    def present(self, now: datetime) -> list[WorkerAnnouncement]:
        """Those that take calls, or drain: the live ones; when there are none, those that answered lately."""
        answering = (one for key, one in sorted(self._announcements.items()) if self._has_answered(key, now))
        return self.live(now) or list(answering)

    def _has_answered(self, worker_id: WorkerId, now: datetime) -> bool:
        answered = self._answered.get(worker_id)
        return answered is not None and now - answered <= timedelta(seconds=self.policy.lost_after_s)

    def is_live(self, worker_id: WorkerId, now: datetime) -> bool:
        """Whether the worker was heard of lately."""
        return self.find(worker_id, now) is not None

    def is_steady(self, worker_id: WorkerId, now: datetime) -> bool:
        """Whether the worker has been heard of without a gap for so long that its other events must have come too.

        Announcements from before this replica began do not count.
        """
        since = self._steady_since.get(worker_id)
        if since is None or not self.is_live(worker_id, now):
            return False
        return now - max(since, self.began or since) >= timedelta(seconds=self.policy.steady_after_s)

    def find(self, worker_id: WorkerId, now: datetime) -> WorkerAnnouncement | None:
        """The worker, if it was heard of lately."""
        return next(
            (announcement for announcement in self.live(now) if announcement.worker.worker_id == worker_id), None
        )

    def current(self, worker: Worker) -> Worker:
        """The worker with the address that it announced last; as given when it is not known."""
        announcement = self._announcements.get(worker.worker_id)
        return announcement.worker if announcement else worker

    def choose(self, participants: int, now: datetime, exclude: Worker | None = None) -> Worker | None:
        """The worker with the most headroom after taking `participants` more participants; None when none has capacity.

        Those of our own region come first. `exclude`: a process that is not to be chosen.
        """
        ranked = [
            (announcement.region == self.policy.region, headroom, announcement.worker)
            for announcement in self.present(now)
            if not announcement.draining
            and not announcement.worker.is_same_process(exclude)
            and (headroom := self._headroom(announcement, participants, now)) is not None
        ]
        return max(ranked, key=lambda entry: entry[:2])[2] if ranked else None

    def choose_for_entry(self, call: Call, now: datetime) -> Worker | None:
        """The worker for one more device of a call, where that is not the call's own: when this has no room, or is in
        another region than we are, and one that is here has room.

        None as well when no other one has room either: then the call's own worker says what it says.
        """
        # A call of two is never spread.
        if not self.policy.spreads_calls or not call.group or call.worker is None:
            return None
        own = self.find(call.worker.worker_id, now)
        # One that nobody heard of lately may have room.
        if own is None or not own.worker.is_same_process(call.worker) or not own.media_address:
            return None
        if len(call.joined) >= MAX_SPREAD_DEVICES:
            return None
        chosen = self.choose_among(call, 1, now, near_first=bool(self.policy.region))
        return None if chosen is None or chosen.is_same_process(call.worker) else chosen

    def choose_among(
        self,
        call: Call,
        participants: int,
        now: datetime,
        exclude: Worker | None = None,
        *,
        near_first: bool = False,
    ) -> Worker | None:
        """The worker for some devices of a call that may be on several: its own if that has room, else one that it is
        on, else the one with the most headroom. `near_first`: above all one of our own region, where those are whom
        we serve."""
        carriers = [worker for worker in call.workers if any(call.is_on(leg, worker) for leg in call.joined)]
        ranked = []
        for announcement in self.present(now):
            worker = announcement.worker
            is_own = worker.is_same_process(call.worker)
            is_carrier = any(worker.is_same_process(carrier) for carrier in carriers)
            if announcement.draining or worker.is_same_process(exclude):
                continue
            if not is_own and not (announcement.media_address and (is_carrier or len(carriers) < MAX_WORKERS)):
                continue
            headroom = self._headroom(announcement, participants, now, call)
            if headroom is not None:
                is_near = announcement.region == self.policy.region
                ranked.append(((near_first and is_near, is_own, is_carrier, is_near, headroom), worker))
        return max(ranked, key=lambda entry: entry[0])[1] if ranked else None

    def place(self, call: Call, given: Input, now: datetime) -> Input:
        """The input with the worker of the device that comes in by it, if one does."""
        if not isinstance(given, Entry) or call.has_device(given.user_id, given.device_id):
            return given
        return replace(given, worker=self.choose_for_entry(call, now))

    def note_placement(
        self, worker_id: WorkerId, participants: int, now: datetime, call_id: CallId | None = None
    ) -> None:
        """Count participants against a worker until its announcements can show them."""
        self._recent.setdefault(worker_id, []).append((now, participants, call_id))

    def _headroom(
        self, announcement: WorkerAnnouncement, participants: int, now: datetime, call: Call | None = None
    ) -> float | None:
        """0 to 1: the share of the scarcer of capacity and processor that stays free; None when it is full.

        `call`: the one whose participants these are. What was kept for it is for them.
        """
        known = announcement.participants
        if call:
            known = max(known, sum(call.is_on(leg, announcement.worker) for leg in call.joined))
        recent = self._recent_participants(announcement.worker.worker_id, now, call.call_id if call else None)
        taken = known + recent + participants
        if taken > announcement.max_participants or announcement.cpu_ratio >= self.policy.max_cpu_ratio:
            return None
        return min(1 - taken / announcement.max_participants, 1 - announcement.cpu_ratio)

    def _recent_participants(self, worker_id: WorkerId, now: datetime, apart_from: CallId | None = None) -> int:
        cutoff = now - timedelta(seconds=self.policy.recent_s)
        kept = [noted for noted in self._recent.get(worker_id, []) if noted[0] > cutoff]
        self._recent[worker_id] = kept
        return sum(count for _, count, call_id in kept if call_id is None or call_id != apart_from)
