"""The topics: who reads them and how far, what was parked, and which deletions they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ops.core.tables import table

# The groups that read each topic, in the order of the pipeline; a test compares them with the services' subscriptions.
STAGES = (
    ("messaging.events.v1", "messaging-fanout"),
    ("messaging.events.v1", "messaging-search"),
    ("messaging.events.v1", "signaling-background"),
    ("delivery.v1", "presence"),
    ("calls.events.v1", "signaling-push"),
    ("calls.events.v1", "messaging-calls"),
    ("media.events.v1", "signaling-media"),
    ("media.quality.v1", "signaling-background"),
    ("graph.events.v1", "messaging-graph"),
    ("accounts.events.v1", "signaling-background"),
    ("accounts.events.v1", "presence-accounts"),
    ("messaging.events.v1", "webhooks"),
    ("calls.events.v1", "webhooks"),
    ("presence.events.v1", "webhooks"),
    ("accounts.events.v1", "webhooks"),
    ("delivery.v1", "push"),
    ("calls.events.v1", "push"),
    ("presence.events.v1", "push"),
    ("accounts.events.v1", "push"),
)
DEAD_LETTER_SUFFIX = ".dlq"


@dataclass(frozen=True)
class Stage:
    """What waits for a group that reads a topic; `oldest_s` is 0 when nothing does.

    A group that has never committed may not exist: push without a provider, or a stack that has just started.
    """

    topic: str
    group: str
    records: int
    oldest_s: float
    has_committed: bool


@dataclass(frozen=True)
class DeadLetter:
    """A record that a consumer could not handle, without its contents."""

    offset: int
    time: datetime
    key: str
    size: int
    reason: str


def lag(stages: Sequence[Stage]) -> list[str]:
    """The stages, each with its lag in seconds."""
    rows = [
        (
            stage.topic,
            stage.group,
            str(stage.records),
            f"{stage.oldest_s:.1f}",
            "reading" if stage.has_committed else "never committed",
        )
        for stage in stages
    ]
    return table(("TOPIC", "GROUP", "RECORDS", "LAG_S", "STATE"), rows)


def letters(found: Sequence[DeadLetter]) -> list[str]:
    """The dead letters of a topic, one a line."""
    rows = [
        (str(letter.offset), letter.time.isoformat(timespec="seconds"), letter.key, str(letter.size), letter.reason)
        for letter in found
    ]
    return table(("OFFSET", "TIME", "KEY", "BYTES", "REASON"), rows) if rows else ["no dead letters"]


def replayed(topic: str, offset: int, letter: DeadLetter | None) -> list[str]:
    """What became of the dead letter at this offset."""
    if letter is None:
        return [f"there is no dead letter {offset} of {topic}"]
    return [f"published to {topic} again: {letter.size} bytes with the key {letter.key}"]


def deleted_again(published: Sequence[str], known: Sequence[str]) -> list[str]:
    """What was asked of messaging: of the accounts of the topic, and of those that its database knew besides."""
    new = set(published) - set(known)
    return [
        f"{len(set(published) | set(known))} accounts are deleted again",
        f"{len(new)} of them were not known to messaging's database any more",
    ]
