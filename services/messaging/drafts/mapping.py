"""Drafts as the protobufs of the API, and what their writer's devices are told."""

from parley.gateway.v1 import messages_pb2 as gateway
from parley.messaging.v1 import messages_pb2

from services.messaging.drafts.core import KeptDraft
from services.messaging.wire.deliveries import own_delivery
from services.messaging.wire.values import to_timestamp


def draft_message(draft: KeptDraft) -> messages_pb2.Draft:
    """The API's form of it."""
    return messages_pb2.Draft(
        conversation_id=str(draft.conversation_id),
        text=draft.text,
        reply_to_seq=draft.reply_to_seq,
        revision=draft.revision,
        change_time=to_timestamp(draft.changed_at),
        expire_time=to_timestamp(draft.expires_at) if draft.expires_at else None,
    )


def draft_delivery(draft: KeptDraft) -> bytes:
    """What the writer's own devices are told."""
    return own_delivery(draft.user_id, gateway.DeviceEvent(draft=draft_message(draft)), draft.changed_at)
