"""Positions of changes for the store in memory: what differs from the last look gets the number of this look."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.messaging.kernel.model import Conversation, ConversationId, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.sync.core.account import Snapshot

Place = tuple[UserId, ConversationId]
_EPOCH = UUID(int=7)


class Positions:
    """As the tables `inboxes` and `inbox_moves` hold them."""

    def __init__(self, large_above: int) -> None:
        self.large_above = large_above
        self.large: set[ConversationId] = set()
        # Of messages, changes, coming and going; and of cursors and own states.
        self.changed: dict[Place, int] = {}
        self.moved: dict[Place, int] = {}
        # Of cursors of others in large conversations.
        self.moved_large: dict[ConversationId, int] = {}
        self._seen: dict[object, object] = {}
        self._look = 0
        self._here: set[Place] = set()

    def snapshot(self) -> Snapshot:
        """Everything up to the last look is decided."""
        return Snapshot(_EPOCH, self._look + 1, self._look + 1)

    def look(self, conversations: Iterable[Conversation], own: Mapping[Place, object]) -> None:
        """Note what changed since the last look."""
        self._look += 1
        members: set[Place] = set()
        here: set[Place] = set()
        for conversation in conversations:
            if len(conversation.members) > self.large_above:
                self.large.add(conversation.id)
            cursors = tuple((member.user_id, member.read_seq, member.delivered_seq) for member in conversation.members)
            if self._is_new(("cursors", conversation.id), cursors) and conversation.id in self.large:
                self.moved_large[conversation.id] = self._look
            for member in conversation.members:
                place = (member.user_id, conversation.id)
                members.add(place)
                if member.request is not RequestState.DECLINED:
                    here.add(place)
                state = (
                    conversation.last_seq,
                    conversation.revision,
                    conversation.history_start_seq,
                    member.request,
                    member.joined_at,
                )
                if self._is_new(("changed", place), state):
                    self.changed[place] = self._look
                told = () if conversation.id in self.large else _told_to(member.user_id, cursors)
                if self._is_new(("moved", place), (told, own[place])):
                    self.moved[place] = self._look
        for place in self.changed.keys() - members:
            if self._is_new(("changed", place), None):
                self.changed[place] = self._look
        self._here = here

    def is_gone(self, place: Place) -> bool:
        """Whether the person is not in it, or declined it."""
        return place not in self._here

    def _is_new(self, key: object, value: object) -> bool:
        is_new = key not in self._seen or self._seen[key] != value
        self._seen[key] = value
        return is_new


def _told_to(user_id: UserId, cursors: Iterable[tuple[UserId, int, int]]) -> tuple[tuple[UserId, int, int], ...]:
    """Without how far one's own devices have got: nobody shows it to oneself, and it moves with every message."""
    return tuple((user, read, 0 if user == user_id else delivered) for user, read, delivered in cursors)
