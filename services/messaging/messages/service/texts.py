"""The checks of a text that somebody sends or edits, which look up who is in its conversation."""

from services.messaging.kernel import checks
from services.messaging.kernel.content import Mention, Text
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.ports import ConversationReader


async def checked_text(
    conversations: ConversationReader,
    user_id: UserId,
    conversation_id: ConversationId,
    text: Text,
    max_chars: int,
    *,
    may_be_empty: bool = False,
) -> Text:
    """The text as it is stored; `user_id` wrote it. Raises InvalidField."""
    checks.check_text(text.text, max_chars, may_be_empty=may_be_empty)
    checked = checks.check_preview(checks.check_entities(text.text, text.entities), text.preview)
    mentioned = {entity.user_id for entity in checked.entities if isinstance(entity, Mention)}
    if mentioned:
        recipients = (await conversations.recipients_of([conversation_id])).get(conversation_id, ())
        members = {recipient.user_id for recipient in recipients}
        # Who is no member is refused later, for the same reason whoever is in the conversation.
        if user_id in members and not mentioned <= members:
            raise InvalidField("text.entities.mention_user_id", "is not a member of the conversation")
    return checked
