"""Messages that wait for their time, as the protobufs of the API, and what their writer's devices are told."""

from datetime import datetime

from parley.gateway.v1 import messages_pb2 as gateway
from parley.messaging.v1 import scheduled_pb2 as api
from parley.messaging.v1 import service_pb2

from services.messaging.kernel.model import DraftKey
from services.messaging.scheduling.core import Scheduled, ScheduledState
from services.messaging.wire.api import attachment_message
from services.messaging.wire.contents import put_content
from services.messaging.wire.deliveries import own_delivery
from services.messaging.wire.values import to_timestamp

_STATES = {
    ScheduledState.WAITING: api.SCHEDULED_STATE_WAITING,
    ScheduledState.SENDING: api.SCHEDULED_STATE_SENDING,
    ScheduledState.REFUSED: api.SCHEDULED_STATE_REFUSED,
    ScheduledState.HELD: api.SCHEDULED_STATE_HELD,
    ScheduledState.CANCELLED: api.SCHEDULED_STATE_GONE,
}


def scheduled_message(scheduled: Scheduled) -> api.ScheduledMessage:
    """The API's form of it; of what was cancelled, that it is gone."""
    if scheduled.state is ScheduledState.CANCELLED:
        return gone_message(scheduled.key, scheduled.revision)
    key = scheduled.key
    request = service_pb2.SendMessageRequest(
        conversation_id=str(key.conversation_id),
        client_message_id=key.client_message_id,
        reply_to_seq=scheduled.reply_to_seq,
        attachment_ids=[str(file.id) for file in scheduled.attachments],
    )
    put_content(request, scheduled.content)
    return api.ScheduledMessage(
        message=request,
        attachments=[attachment_message(file) for file in scheduled.attachments],
        send_time=to_timestamp(scheduled.send_at),
        create_time=to_timestamp(scheduled.created_at),
        revision=scheduled.revision,
        state=_STATES[scheduled.state],
        refusal_reason=scheduled.refusal if scheduled.state is ScheduledState.REFUSED else "",
    )


def gone_message(key: DraftKey, revision: int) -> api.ScheduledMessage:
    """That it is there no more."""
    named = service_pb2.SendMessageRequest(
        conversation_id=str(key.conversation_id), client_message_id=key.client_message_id
    )
    return api.ScheduledMessage(message=named, revision=revision, state=api.SCHEDULED_STATE_GONE)


def changed_delivery(scheduled: Scheduled, time: datetime) -> bytes:
    """What the writer's own devices are told of how it stands now."""
    return _delivery(scheduled_message(scheduled), scheduled.key, time)


def gone_delivery(key: DraftKey, revision: int, time: datetime) -> bytes:
    """What the writer's own devices are told of one that is there no more."""
    return _delivery(gone_message(key, revision), key, time)


def _delivery(message: api.ScheduledMessage, key: DraftKey, time: datetime) -> bytes:
    return own_delivery(key.sender_id, gateway.DeviceEvent(scheduled_message=message), time)
