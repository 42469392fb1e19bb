"""delivery.v1 → the gateways."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from parley.presence.v1 import events_pb2

from services.presence.delivery_ways import DeliveryWays
from services.presence.mapping import decode_delivery
from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key

TOPIC = "delivery.v1"
# accounts/consumer.py
ACCOUNTS_TOPIC = "accounts.events.v1"
ACCOUNTS_GROUP = "presence-accounts"


class Deliveries:
    """Routes each delivery, without opening its frame. A record that came before, by either way, is dropped as far as
    that is remembered; else devices drop it."""

    def __init__(self, ways: DeliveryWays) -> None:
        self._ways = ways

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Route a batch, in order. Errors: PoisonRecord, before anything of a single record is done."""
        for record in records:
            try:
                delivery = events_pb2.Delivery.FromString(record.value or b"")
            except DecodeError as error:
                raise PoisonRecord("not a Delivery") from error
            require_key(record, delivery.user_id, "user_id")
            self._ways.take_logged(decode_delivery(delivery, record.trace))
