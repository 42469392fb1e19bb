"""The topics as deploy/kafka/topics.yaml declares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.documents import read_yaml

TOPICS_FILE = Path(__file__).parent.parent / "kafka" / "topics.yaml"
DEAD_LETTER_SUFFIX = ".dlq"


@dataclass(frozen=True)
class Topic:
    """One topic. `cleanup` is `delete` or `compact`."""

    name: str
    partitions: int
    cleanup: str
    retention_ms: int
    # Of a compacted topic: how long a value may lie there that a newer one, or a tombstone, has taken the place of.
    compacted_within_ms: int = 0

    def config(self) -> dict[str, str]:
        """The topic's settings under Kafka's own names."""
        if self.cleanup != "compact":
            return {"cleanup.policy": self.cleanup, "retention.ms": str(self.retention_ms)}
        settings = {"cleanup.policy": self.cleanup, "delete.retention.ms": str(self.retention_ms)}
        if self.compacted_within_ms:
            settings["max.compaction.lag.ms"] = str(self.compacted_within_ms)
        return settings


def load_topics(path: Path = TOPICS_FILE) -> list[Topic]:
    """All topics, each followed by its dead-letter topic."""
    document = read_yaml(path.read_text())
    topics = []
    for row in document["topics"]:
        topics.append(Topic(**row))
        topics.append(Topic(name=row["name"] + DEAD_LETTER_SUFFIX, **document["dead_letter"]))
    return topics
