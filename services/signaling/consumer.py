"""What comes from Kafka: workers announce themselves and report of calls' media, and people leave conversations."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import inf
from uuid import UUID

import structlog
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls_events
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime.clock import Clock
from services.runtime.env import is_address
from services.runtime.kafka.bus import Incoming, PoisonRecord, TransientFailure, require_key
from services.signaling.core.errors import CallNotFound, Contended, MembersUnavailable, WorkerNotOfCall
from services.signaling.core.inputs import MediaConnected, MediaDisconnected, MediaSilent
from services.signaling.core.model import CallId, ConversationId, DeviceId, UserId, Worker, WorkerId
from services.signaling.core.placement import WorkerAnnouncement, WorkerTable
from services.signaling.core.quality import Direction, QualityKey, QualityReport, interval, is_plausible
from services.signaling.metrics import ANNOUNCEMENTS_PASSED_OVER
from services.signaling.ports import Store
from services.signaling.roster import Roster
from services.signaling.service import CallsService

log = structlog.get_logger()

NODES_TOPIC = "sfu.nodes.v1"
MEDIA_TOPIC = "media.events.v1"
QUALITY_TOPIC = "media.quality.v1"
MESSAGING_TOPIC = "messaging.events.v1"
ACCOUNTS_TOPIC = "accounts.events.v1"
MEDIA_GROUP = "signaling-media"
# Measurements, members and accounts.
BACKGROUND_GROUP = "signaling-background"


class WorkerConsumer:
    """Keeps the table of workers; every replica reads all of it, from the start."""

    def __init__(self, workers: WorkerTable, wake: Callable[[], None], clock: Clock) -> None:
        """`wake` is called when some worker's calls must be looked at."""
        self._workers = workers
        self._clock = clock
        self._wake = wake

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent: an older announcement changes nothing. One that has no meaning is passed over."""
        for record in records:
            if record.value is None:
                self._workers.remove(WorkerId(record.key.decode(errors="replace")))
                self._wake()
                continue
            announcement = _decode_announcement(record)
            if announcement is None:
                # Not parked: each replica reads it at each start, and the worker announces itself again in 2 s.
                ANNOUNCEMENTS_PASSED_OVER.inc()
                log.warning("announcement_unreadable", offset=record.offset)
            elif self._workers.announce(announcement, self._clock.now()):
                self._wake()


class MediaConsumer:
    """Gives the workers' reports to the calls; other events are passed over.

    A report counts if it names the worker that carries the call (the core checks). The broker cannot tell which worker
    wrote it, since all workers are one Kafka user. Parked is what no honest worker writes: an event under another
    call's key, about a call that was never placed on the worker, or of a kind that workers may not write.
    """

    def __init__(self, service: CallsService) -> None:
        self._service = service

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent. Raises PoisonRecord, TransientFailure for a contended call."""
        for record in records:
            call_id, report = _decode_report(record)
            if report is None:
                continue
            try:
                await self._service.note_media(call_id, report)
            except WorkerNotOfCall as error:
                raise PoisonRecord("the call was never placed on this worker") from error
            except Contended as error:
                raise TransientFailure("the call changes too often") from error
            log.info("media_reported", call_id=call_id, report=type(report).__name__, device_id=report.device_id)


class QualityConsumer:
    """Adds the workers' measurements to the sums of each call."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent. Raises PoisonRecord for bytes that are no report, StoreUnavailable."""
        await self._store.add_quality([_decode_quality(record) for record in records])


class MembersConsumer:
    """Brings the members of calls in line with conversations, and ends the call of two who may not talk any more."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent: asks who is in it now. Raises PoisonRecord, TransientFailure, StoreUnavailable."""
        for kind, conversation_id in dict.fromkeys(_conversation_event(record) for record in records):
            try:
                if kind == "conversation_changed":
                    await self._roster.sync_call_of_group(conversation_id)
                elif kind == "pair_closed":
                    await self._roster.end_closed_pair(conversation_id)
            except CallNotFound:
                continue
            except MembersUnavailable as error:
                raise TransientFailure(str(error), error.others_pass) from error
            except Contended as error:
                raise TransientFailure("the call changes too often") from error


def _conversation_event(record: Incoming) -> tuple[str | None, ConversationId]:
    try:
        event = messaging_events.ConversationEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise PoisonRecord("not a conversation event") from error
    require_key(record, event.conversation_id, "conversation_id")
    return event.WhichOneof("event"), ConversationId(event.conversation_id)


def _decode_quality(record: Incoming) -> QualityReport:
    try:
        report = sfu_events.QualityReport.FromString(record.value or b"")
        key = QualityKey(
            CallId(str(UUID(report.call_id))),
            UserId(report.user_id),
            DeviceId(report.device_id),
            WorkerId(report.worker_id),
        )
        report_time = report.report_time.ToDatetime(UTC)
    except (DecodeError, ValueError, OverflowError) as error:
        raise PoisonRecord(f"not a quality report: {type(error).__name__}") from error
    require_key(record, report.call_id, "call_id")
    sent = {Direction.UPLINK: report.uplink, Direction.DOWNLINK: report.downlink}
    legs = {
        direction: interval(report.interval_s, leg.packets, leg.bytes, leg.loss_ratio, leg.jitter_ms, leg.rtt_ms)
        for direction, leg in sent.items()
    }
    if not all(map(is_plausible, legs.values())):
        raise PoisonRecord("a figure that nobody measured")
    return QualityReport(key, report_time, legs)


def _decode_announcement(record: Incoming) -> WorkerAnnouncement | None:
    try:
        message = sfu_events.NodeAnnouncement.FromString(record.value or b"")
        announce_time = message.announce_time.ToDatetime(UTC)
        start_time = message.start_time.ToDatetime(UTC) if message.HasField("start_time") else None
        deadline = message.drain_deadline_time.ToDatetime(UTC) if message.HasField("drain_deadline_time") else None
    except (DecodeError, ValueError, OverflowError):
        return None
    if not message.worker_id or message.worker_id.encode() != record.key or not is_address(message.grpc_address):
        return None
    # A figure that is not a number would break comparisons.
    if message.max_participants <= 0 or message.participants < 0 or not 0 <= message.cpu_ratio < inf:
        return None
    return WorkerAnnouncement(
        worker=Worker(WorkerId(message.worker_id), message.grpc_address, start_time),
        region=message.region,
        announce_time=announce_time,
        participants=message.participants,
        max_participants=message.max_participants,
        cpu_ratio=message.cpu_ratio,
        draining=message.draining,
        drain_deadline=deadline,
        media_address=message.media_address,
    )


def _decode_report(record: Incoming) -> tuple[CallId, MediaConnected | MediaDisconnected | MediaSilent | None]:
    try:
        event = calls_events.CallEvent.FromString(record.value or b"")
        call_id = CallId(str(UUID(event.call_id)))
    except (DecodeError, ValueError) as error:
        raise PoisonRecord(f"not a call event: {type(error).__name__}") from error
    require_key(record, event.call_id, "call_id")
    match event.WhichOneof("event"):
        case "media_connected":
            connected = event.media_connected
            return call_id, MediaConnected(
                UserId(connected.user_id),
                DeviceId(connected.device_id),
                WorkerId(connected.worker_id),
                _report_time(event),
            )
        case "media_disconnected":
            gone = event.media_disconnected
            return call_id, MediaDisconnected(
                UserId(gone.user_id),
                DeviceId(gone.device_id),
                WorkerId(gone.worker_id),
                replaced=gone.reason == calls_events.MEDIA_DISCONNECT_REASON_REPLACED,
                closed=gone.reason == calls_events.MEDIA_DISCONNECT_REASON_CLOSED,
                report_time=_report_time(event),
            )
        case "media_silent":
            silent = event.media_silent
            return call_id, MediaSilent(
                UserId(silent.user_id),
                DeviceId(silent.device_id),
                WorkerId(silent.worker_id),
                _time(silent.heard_time),
            )
        case "call_changed" | "push_requested" if record.topic == MEDIA_TOPIC:
            raise PoisonRecord("a media worker says what only signaling may")
        case _:
            # Our own, or of a newer release.
            return call_id, None


def _report_time(event: calls_events.CallEvent) -> datetime | None:
    return _time(event.event_time) if event.HasField("event_time") else None


def _time(stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise PoisonRecord(f"not a time: {type(error).__name__}") from error
