"""How much of an answer something takes, near enough: answers are bounded in bytes, and clients of gRPC take 4 MiB."""

from collections.abc import Iterable

from services.messaging.kernel.content import PART_BYTES, weight_of
from services.messaging.kernel.model import Conversation, Delta, Message

# Raising it makes fewer requests; lowering it sends less at once to devices on bad networks. With one conversation more
# it must stay below 4 MiB.
MAX_ANSWER_BYTES = 1024 * 1024
# Of the new messages of one conversation, and of its changed ones.
MAX_DELTA_BYTES = 512 * 1024
_MESSAGE_BYTES = 256
_CONVERSATION_BYTES = 1024
_MEMBER_BYTES = 48
_PIN_BYTES = 24
_ATTACHMENT_BYTES = 128


def weigh_message(message: Message) -> int:
    """Bytes."""
    named = [each.user_ids for each in message.reactions] + [each.user_ids for each in message.votes]
    named += [message.opened_by] if message.opened_by else []
    people = sum(PART_BYTES + sum(len(user) + 4 for user in users) for users in named)
    files = sum(_ATTACHMENT_BYTES + len(each.file_name.encode()) for each in message.attachments)
    return _MESSAGE_BYTES + weight_of(message.content) + people + files


def weigh_delta(delta: Delta) -> int:
    """Bytes."""
    messages = sum(weigh_message(message) for message in (*delta.messages, *delta.changed))
    return messages + weigh_conversation(delta.conversation)


def weigh_conversation(conversation: Conversation) -> int:
    """Bytes."""
    members = sum(_MEMBER_BYTES + len(member.user_id) for member in conversation.members)
    return _CONVERSATION_BYTES + members + _PIN_BYTES * len(conversation.pins)


def fitting(weights: Iterable[int], max_bytes: int) -> int:
    """How many of these fit, from the first on; at least one where there is one."""
    total, count = 0, 0
    for weight in weights:
        total += weight
        if count and total > max_bytes:
            break
        count += 1
    return count
