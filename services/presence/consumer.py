"""delivery.v1 → the gateways."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from parley.presence.v1 import events_pb2

from services.presence.core.model import UserId
from services.presence.core.states import CallActivity
from services.presence.service import Presence
from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key
from services.runtime.observability import tracing

TOPIC = "delivery.v1"
# accounts/consumer.py
ACCOUNTS_TOPIC = "accounts.events.v1"
ACCOUNTS_GROUP = "presence-accounts"


class Deliveries:
    """Routes each delivery, without opening its frame. A repeated record is delivered again; devices drop it."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Route a batch, in order. Errors: PoisonRecord, before anything of a single record is done."""
        for record in records:
            try:
                delivery = events_pb2.Delivery.FromString(record.value or b"")
            except DecodeError as error:
                raise PoisonRecord("not a Delivery") from error
            require_key(record, delivery.user_id, "user_id")
            self._handle(UserId(delivery.user_id), delivery, tracing.kept(record.trace))

    def _handle(self, user_id: UserId, delivery: events_pb2.Delivery, trace: str) -> None:
        router = self._presence.router
        if delivery.frame:
            self._presence.deliver(user_id, delivery.frame, trace)
        if delivery.relations_changed:
            self._presence.apply(router.relations_changed(user_id))
        if delivery.HasField("call_activity"):
            call = delivery.call_activity
            activity = CallActivity(call.call_id, call.version, call.in_call)
            self._presence.apply(router.note_call(user_id, activity, self._presence.now()))
        if delivery.user_deleted:
            self._presence.apply(router.delete_user(user_id))
