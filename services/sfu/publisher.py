"""Events to Kafka, behind a bounded queue: neither the broker nor its loss ever holds media up."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import BusUnavailable
from services.runtime.ids import NewId
from services.runtime.kafka.bus import Outgoing, Publisher
from services.runtime.observability.failures import describe
from services.sfu.config import Node
from services.sfu.core.ids import ParticipantKey, WorkerId
from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.quality import Leg, Quality, ReceivedVideo
from services.sfu.metrics import EVENTS_DROPPED

log = structlog.get_logger()

# Apart from what signaling says: a worker that was taken over cannot ring a phone (deploy/k8s/base/kafka-users.yaml).
MEDIA_TOPIC = "media.events.v1"
QUALITY_TOPIC = "media.quality.v1"
NODES_TOPIC = "sfu.nodes.v1"

# Events that wait for the broker. Raising it loses nothing in a longer outage; lowering it takes less memory.
MAX_QUEUE = 10_000
MAX_BATCH = 200
RETRY_S = 0.5
# What the stop waits for the last events.
FLUSH_TIMEOUT_S = 2.0
ANNOUNCE_INTERVAL_S = 2.0

_REASONS = {
    LeaveReason.REMOVED: calls_events.MEDIA_DISCONNECT_REASON_REMOVED,
    LeaveReason.REPLACED: calls_events.MEDIA_DISCONNECT_REASON_REPLACED,
    LeaveReason.CONSENT_EXPIRED: calls_events.MEDIA_DISCONNECT_REASON_CONSENT_EXPIRED,
    LeaveReason.CLOSED: calls_events.MEDIA_DISCONNECT_REASON_CLOSED,
    LeaveReason.NEVER_CONNECTED: calls_events.MEDIA_DISCONNECT_REASON_NEVER_CONNECTED,
    LeaveReason.WORKER_STOPPED: calls_events.MEDIA_DISCONNECT_REASON_WORKER_STOPPED,
}


class KafkaEvents:
    """See ports.Events. Keeps the order of one call's events; tries again until the broker takes them."""

    name = "media-events"

    def __init__(self, publisher: Publisher, worker_id: WorkerId, clock: Clock, new_id: NewId) -> None:
        self._publisher = publisher
        self._worker_id = worker_id
        self._time = _SteadyTime(clock)
        self._new_id = new_id
        self._queue: asyncio.Queue[Outgoing] = asyncio.Queue(MAX_QUEUE)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to publish."""
        self._task = tasks.keep("media-events", self._run)

    async def stop(self) -> None:
        """Publish what waits, for a short while, then end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._queue.join()
        await tasks.stop(self._task)

    def media_connected(self, key: ParticipantKey) -> None:
        """See ports.Events."""
        event = self._event(key)
        event.media_connected.user_id = key.user_id
        event.media_connected.device_id = key.device_id
        event.media_connected.worker_id = self._worker_id
        self._put("media_connected", Outgoing(MEDIA_TOPIC, key.call_id.encode(), event.SerializeToString()))

    def media_silent(self, key: ParticipantKey, silence_s: float) -> None:
        """See ports.Events."""
        event = self._event(key)
        event.media_silent.user_id = key.user_id
        event.media_silent.device_id = key.device_id
        event.media_silent.worker_id = self._worker_id
        event.media_silent.heard_time.CopyFrom(_to_timestamp(self._time.now() - timedelta(seconds=silence_s)))
        self._put("media_silent", Outgoing(MEDIA_TOPIC, key.call_id.encode(), event.SerializeToString()))

    def media_disconnected(self, key: ParticipantKey, reason: LeaveReason) -> None:
        """See ports.Events."""
        event = self._event(key)
        event.media_disconnected.user_id = key.user_id
        event.media_disconnected.device_id = key.device_id
        event.media_disconnected.worker_id = self._worker_id
        event.media_disconnected.reason = _REASONS[reason]
        self._put("media_disconnected", Outgoing(MEDIA_TOPIC, key.call_id.encode(), event.SerializeToString()))

    def quality_measured(self, key: ParticipantKey, quality: Quality) -> None:
        """See ports.Events."""
        report = sfu_events.QualityReport(
            call_id=key.call_id,
            user_id=key.user_id,
            device_id=key.device_id,
            worker_id=self._worker_id,
            report_time=_to_timestamp(self._time.now()),
            interval_s=quality.interval_s,
            uplink=_leg(quality.uplink),
            downlink=_leg(quality.downlink),
            remote_mos=quality.remote_mos,
            downlink_estimate_bps=int(quality.estimate_bps),
            frozen_ratio=quality.receive.frozen_ratio,
            concealed_ratio=quality.receive.concealed_ratio,
            videos=map(_video, quality.videos),
            paused_rids=quality.paused_rids,
        )
        self._put("quality", Outgoing(QUALITY_TOPIC, key.call_id.encode(), report.SerializeToString()))

    def _event(self, key: ParticipantKey) -> calls_events.CallEvent:
        now = self._time.now()
        return calls_events.CallEvent(
            event_id=str(self._new_id(now)), call_id=key.call_id, event_time=_to_timestamp(now)
        )

    def _put(self, kind: str, record: Outgoing) -> None:
        try:
            self._queue.put_nowait(record)
        except asyncio.QueueFull:
            EVENTS_DROPPED.labels(kind).inc()

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._publish(batch)
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _publish(self, batch: list[Outgoing]) -> None:
        while True:
            try:
                return await self._publisher.publish(batch)
            except BusUnavailable as error:
                log.warning("media_events_waiting", waiting=self._queue.qsize(), error=describe(error))
                await asyncio.sleep(RETRY_S)


class _SteadyTime:
    """Orders what one process says: never goes back, even where the host's wall clock is set back."""

    def __init__(self, clock: Clock) -> None:
        # Also tells this process from the one before under the same id.
        self.start_time = clock.now()
        self._clock = clock
        self._started_at = clock.monotonic()

    def now(self) -> datetime:
        return self.start_time + timedelta(seconds=self._clock.monotonic() - self._started_at)


class Announcer:
    """Announces the worker on sfu.nodes.v1 until it stops, then leaves a tombstone."""

    name = "announcer"

    def __init__(
        self,
        publisher: Publisher,
        node: Node,
        clock: Clock,
        participant_count: Callable[[], int],
        is_draining: Callable[[], bool],
        drain_deadline: Callable[[], datetime | None],
        media_address: str = "",
    ) -> None:
        """`drain_deadline`: when what is left of the media ends; None while the worker does not stop. `media_address`:
        where other workers reach it."""
        self._publisher = publisher
        self._node = node
        self._clock = clock
        self._participant_count = participant_count
        self._is_draining = is_draining
        self._drain_deadline = drain_deadline
        self._media_address = media_address
        self._time = _SteadyTime(clock)
        self._task: asyncio.Task[None] | None = None
        self._busy_s, self._measured_at = time.process_time(), clock.monotonic()
        self._cpu_ratio = 0.0

    async def start(self) -> None:
        """Begin to announce."""
        self._task = tasks.keep("announcer", self._run)

    async def stop(self) -> None:
        """Say that the worker is gone in order."""
        await tasks.stop(self._task)
        with suppress(TimeoutError, BusUnavailable):
            record = Outgoing(NODES_TOPIC, self._node.worker_id.encode(), None)
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._publisher.publish([record])

    async def announce(self) -> bool:
        """Announce once, now; whether the broker took it. One that is away is left alone until the next time."""
        deadline = self._drain_deadline()
        announcement = sfu_events.NodeAnnouncement(
            worker_id=self._node.worker_id,
            grpc_address=self._node.grpc_address,
            region=self._node.region,
            announce_time=_to_timestamp(self._time.now()),
            participants=self._participant_count(),
            max_participants=self._node.max_participants,
            cpu_ratio=self._cpu_ratio,
            draining=self._is_draining(),
            start_time=_to_timestamp(self._time.start_time),
            drain_deadline_time=_to_timestamp(deadline) if deadline else None,
            media_address=self._media_address,
        )
        record = Outgoing(NODES_TOPIC, self._node.worker_id.encode(), announcement.SerializeToString())
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._publisher.publish([record])
        except (BusUnavailable, TimeoutError) as error:
            log.warning("announcement_lost", error=describe(error))
            return False
        return True

    async def _run(self) -> None:
        while True:
            if not await self.announce():
                # At the start the producer is still connecting, and a worker that was not heard of gets no calls.
                await asyncio.sleep(RETRY_S)
                continue
            await asyncio.sleep(ANNOUNCE_INTERVAL_S)
            # Only over a whole interval: over the first instants of a process, its start looks like full load.
            self._measure_cpu()

    def _measure_cpu(self) -> None:
        busy_s, now = time.process_time(), self._clock.monotonic()
        if now > self._measured_at:
            self._cpu_ratio = min((busy_s - self._busy_s) / (now - self._measured_at), 1.0)
        self._busy_s, self._measured_at = busy_s, now


def _to_timestamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _video(video: ReceivedVideo) -> sfu_events.ReceivedVideo:
    return sfu_events.ReceivedVideo(
        user_id=video.publisher.user_id,
        device_id=video.publisher.device_id,
        screen=video.is_screen,
        forwarded=video.rid is not None,
        rid=video.rid or "",
        height=video.height,
        switching=video.is_switching,
    )


def _leg(leg: Leg) -> sfu_events.LegQuality:
    return sfu_events.LegQuality(
        packets=leg.packets,
        bytes=leg.bytes,
        loss_ratio=leg.loss,
        jitter_ms=leg.jitter_s * 1000,
        rtt_ms=(leg.rtt_s or 0.0) * 1000,
        mos=leg.mos,
    )
