"""Blocks, and the events of the network's graph."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId


class Source(Enum):
    """Where a block was made, and is taken back."""

    PARLEY = "parley"
    NETWORK = "network"


class GraphEventKind(Enum):
    FOLLOWS = "follows"
    BLOCKS = "blocks"
    # Of one person alone.
    VERIFIED = "verified"


@dataclass(frozen=True)
class GraphEvent:
    """An edge of the network's graph was added (`stands`) or removed at a time. `other_id` is empty for VERIFIED."""

    kind: GraphEventKind
    user_id: UserId
    other_id: UserId
    stands: bool
    time: datetime

    @property
    def key(self) -> tuple[GraphEventKind, UserId, UserId]:
        """What it is about."""
        return self.kind, self.user_id, self.other_id


@dataclass(frozen=True)
class Block:
    """Whom a user blocked, in Parley or in the network, and since when."""

    user_id: UserId
    time: datetime


def newest(events: Iterable[GraphEvent]) -> list[GraphEvent]:
    """Of the events with one key the latest, and the first of those of one time; in the order of the keys."""
    latest: dict[tuple[GraphEventKind, UserId, UserId], GraphEvent] = {}
    for event in events:
        known = latest.get(event.key)
        if known is None or event.time > known.time:
            latest[event.key] = event
    return sorted(latest.values(), key=lambda event: (event.kind.value, event.user_id, event.other_id))


def check_other(field_name: str, user: UserId, other: UserId) -> UserId:
    """The other person. Raises InvalidField when it is the user."""
    if user == other:
        raise InvalidField(field_name, "is yourself")
    return other
