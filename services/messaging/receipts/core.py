"""Which places a device names when it says up to where messages reached it."""

from collections.abc import Sequence

from services.messaging.kernel.checks import check_seq, check_uuid
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import ConversationId

MAX_PLACES = 100


def check_places(cursors: Sequence[tuple[str, int]]) -> dict[ConversationId, int]:
    """The highest seq named for each conversation. Raises InvalidField."""
    if len(cursors) > MAX_PLACES:
        raise InvalidField("cursors", f"has {len(cursors)} entries; at most {MAX_PLACES} are allowed")
    places: dict[ConversationId, int] = {}
    for id_, seq in cursors:
        conversation_id = ConversationId(check_uuid("cursors.conversation_id", id_))
        places[conversation_id] = max(check_seq("cursors.seq", seq), places.get(conversation_id, 0))
    return places
