"""The topics as deploy/kafka/topics.yaml declares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

TOPICS_FILE = Path(__file__).parent.parent / "kafka" / "topics.yaml"
DEAD_LETTER_SUFFIX = ".dlq"


@dataclass(frozen=True)
class Topic:
    """One topic. `cleanup` is `delete` or `compact`."""

    name: str
    partitions: int
    cleanup: str
    retention_ms: int

    def config(self) -> dict[str, str]:
        """The topic's settings under Kafka's own names."""
        key = "delete.retention.ms" if self.cleanup == "compact" else "retention.ms"
        return {"cleanup.policy": self.cleanup, key: str(self.retention_ms)}


def load_topics(path: Path = TOPICS_FILE) -> list[Topic]:
    """All topics, each followed by its dead-letter topic."""
    document = yaml.safe_load(path.read_text())
    topics = []
    for row in document["topics"]:
        topics.append(Topic(**row))
        topics.append(Topic(name=row["name"] + DEAD_LETTER_SUFFIX, **document["dead_letter"]))
    return topics
