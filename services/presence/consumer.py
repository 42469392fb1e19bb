"""delivery.v1 → the gateways."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from parley.presence.v1 import events_pb2

from services.presence.core import UserId
from services.presence.service import Presence
from services.runtime.bus import Incoming, PoisonRecord

TOPIC = "delivery.v1"


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
            if delivery.user_id.encode() != record.key:
                raise PoisonRecord("the key is not the user_id, so the record is in the wrong partition")
            self._presence.deliver(UserId(delivery.user_id), delivery.frame)
