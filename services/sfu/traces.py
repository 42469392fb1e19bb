"""The trace of each join, kept until the participant's first media: how long it took, as a span of its own."""

from services.runtime.observability import tracing
from services.sfu.core.ids import ParticipantKey
from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.quality import Quality
from services.sfu.ports import Events


class TracedEvents:
    """See ports.Events; passes everything on. A join that is replaced or ends without media leaves no span."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: dict[ParticipantKey, tracing.Span] = {}

    def admitted(self, key: ParticipantKey) -> None:
        """A device was admitted by the RPC that is being served."""
        self._waiting.pop(key, None)
        span = tracing.begin("first media", tracing.Kind.INTERNAL, tracing.current_header())
        if span:
            self._waiting[key] = span

    def media_connected(self, key: ParticipantKey) -> None:
        """See ports.Events."""
        tracing.end(self._waiting.pop(key, None))
        self._events.media_connected(key)

    def media_silent(self, key: ParticipantKey, silence_s: float) -> None:
        """See ports.Events."""
        self._events.media_silent(key, silence_s)

    def media_disconnected(self, key: ParticipantKey, reason: LeaveReason) -> None:
        """See ports.Events."""
        self._waiting.pop(key, None)
        self._events.media_disconnected(key, reason)

    def quality_measured(self, key: ParticipantKey, quality: Quality) -> None:
        """See ports.Events."""
        self._events.quality_measured(key, quality)
