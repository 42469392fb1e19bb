"""`python -m deploy.k8s.topics > deploy/k8s/base/topics.yaml`: the Strimzi topics, from deploy/kafka/topics.yaml."""

from __future__ import annotations

import sys

import yaml

from deploy.embedded.topics import Topic, load_topics

HEAD = (
    "# Written by `python -m deploy.k8s.topics` from deploy/kafka/topics.yaml.\n"
    "# Replication is the brokers' default.\n"
)


def manifest(topic: Topic) -> dict[str, object]:
    """The KafkaTopic of a topic."""
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": topic.name, "namespace": "parley", "labels": {"strimzi.io/cluster": "parley"}},
        "spec": {"partitions": topic.partitions, "config": topic.config()},
    }


def render() -> str:
    """The whole file."""
    return HEAD + yaml.safe_dump_all([manifest(topic) for topic in load_topics()], sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(render())
