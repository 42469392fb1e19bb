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
    "accounts.events.v1",
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
    assert {name for name, policy in cleanup.items() if policy == "compact"} == {
        "presence.events.v1",
        "sfu.nodes.v1",
        "accounts.events.v1",
    }


# How long records about a person may lie in the broker after the person's deletion.
LONGEST_DAYS = 30
# A compacted topic keeps a value for good: whose, and what ends it.
COMPACTED = {
    "presence.events.v1": "a person's state: presence publishes a tombstone when the account is deleted",
    "accounts.events.v1": "that the account is deleted, and nothing else of it: each service must go on to know",
    "sfu.nodes.v1": "nobody's: media workers",
}
DAY_MS = 86_400_000


def test_every_topic_says_what_ends_the_records_of_a_deleted_person() -> None:
    for topic in load_topics():
        if topic.cleanup == "compact":
            assert topic.name in COMPACTED, f"{topic.name}: say what becomes of a deleted person's value"
        else:
            assert topic.retention_ms <= LONGEST_DAYS * DAY_MS, topic.name


def test_what_a_tombstone_stands_for_is_really_gone_in_time() -> None:
    """A broker compacts a topic of few records never, unless it is told how long it may wait."""
    for topic in load_topics():
        if topic.cleanup == "compact" and topic.name != "sfu.nodes.v1":
            assert 0 < int(topic.config()["max.compaction.lag.ms"]) + topic.retention_ms <= LONGEST_DAYS * DAY_MS
