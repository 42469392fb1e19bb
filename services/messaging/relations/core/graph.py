"""Blocks, and the facts that the network tells of its graph."""

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


class FactKind(Enum):
    FOLLOWS = "follows"
    BLOCKS = "blocks"
    # Of one person alone.
    VERIFIED = "verified"


@dataclass(frozen=True)
class Fact:
    """Something of the network's graph began or ceased to be so at a time. `other_id` is empty for VERIFIED."""

    kind: FactKind
    user_id: UserId
    other_id: UserId
    stands: bool
    time: datetime

    @property
    def key(self) -> tuple[FactKind, UserId, UserId]:
        """What it is about."""
        return self.kind, self.user_id, self.other_id


@dataclass(frozen=True)
class Block:
    """Whom a user blocked, in Parley or in the network, and since when."""

    user_id: UserId
    time: datetime


def newest(facts: Iterable[Fact]) -> list[Fact]:
    """Of the facts about the same the latest, and the first of those of one time; in the order of what they are
    about."""
    latest: dict[tuple[FactKind, UserId, UserId], Fact] = {}
    for fact in facts:
        known = latest.get(fact.key)
        if known is None or fact.time > known.time:
            latest[fact.key] = fact
    return sorted(latest.values(), key=lambda fact: (fact.kind.value, fact.user_id, fact.other_id))


def check_other(field_name: str, user: UserId, other: UserId) -> UserId:
    """The other person. Raises InvalidField when it is the user."""
    if user == other:
        raise InvalidField(field_name, "is yourself")
    return other
