"""The declared topics."""

from __future__ import annotations

from deploy.embedded.topics import load_topics

DESIGNED = {
    "messaging.events.v1",
    "delivery.v1",
    "calls.events.v1",
    "media.events.v1",
    "media.quality.v1",
    "presence.events.v1",
    "sfu.nodes.v1",
    "graph.events.v1",
}


def test_every_topic_of_the_design_is_declared_with_its_dead_letters() -> None:
    assert {topic.name for topic in load_topics()} == DESIGNED | {f"{name}.dlq" for name in DESIGNED}


def test_topics_that_carry_messages_have_many_partitions() -> None:
    partitions = {topic.name: topic.partitions for topic in load_topics()}
    assert partitions["delivery.v1"] == 16
    assert partitions["messaging.events.v1"] == 16


def test_topics_that_hold_a_state_are_compacted_and_dead_letters_are_not() -> None:
    cleanup = {topic.name: topic.config()["cleanup.policy"] for topic in load_topics()}
    assert {name for name, policy in cleanup.items() if policy == "compact"} == {"presence.events.v1", "sfu.nodes.v1"}
