"""What reviewers are told, as the server API's protobufs."""

from parley.messaging.v1 import messages_pb2, server_pb2

from services.messaging.hooks.core.holding import Held
from services.messaging.wire.api import attachment_message
from services.messaging.wire.contents import put_content
from services.messaging.wire.values import to_timestamp


def held_message(held: Held) -> server_pb2.HeldMessage:
    """The server API's form of what is held."""
    message = messages_pb2.Message(
        conversation_id=str(held.key.conversation_id),
        seq=held.seq,
        sender_id=held.key.sender_id,
        client_message_id="" if held.seq else held.key.client_message_id,
        reply_to_seq=held.reply_to_seq,
        attachments=[attachment_message(attachment) for attachment in held.attachments],
    )
    put_content(message, held.content)
    return server_pb2.HeldMessage(
        held_id=str(held.id), message=message, hold_time=to_timestamp(held.held_at), hook_reason=held.hook_reason
    )
