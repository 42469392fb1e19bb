"""Who may reach whom: every combination of what a person's word depends on, against the sentences of the contract."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from services.messaging.kernel.errors import InvalidField, NotAllowed
from services.messaging.kernel.model import ConversationId, UserId, open_direct
from services.messaging.kernel.quotas import day_quota
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core import reach
from services.messaging.relations.core.graph import GraphEvent, GraphEventKind, check_other, newest
from services.messaging.relations.core.reach import CHOICES, Audience, Relationship, Settings, SettingsChange

NOW = datetime(2026, 1, 1, 23, 0, tzinfo=UTC)
ALICE, BOB = UserId("alice"), UserId("bob")
FLAGS = ("blocked", "follows", "verified", "let_in", "contacted")

# To whom each audience is open, beside any block: the sentences of Settings in relations.proto.
OPEN = {
    Audience.EVERYONE: "always",
    Audience.FOLLOWED: "follows",
    Audience.VERIFIED: "verified",
    Audience.NOBODY: "never",
    Audience.CONTACTED: "contacted",
}


def relationships(field: str, choices: frozenset[Audience]) -> Iterator[tuple[Audience, Relationship]]:
    """Every audience of a setting with every combination of facts."""
    for audience, flags in product(sorted(choices, key=lambda one: one.value), product((False, True), repeat=5)):
        yield audience, Relationship(replace(Settings(), **{field: audience}), **dict(zip(FLAGS, flags, strict=True)))


def is_open(audience: Audience, relationship: Relationship) -> bool:
    word = OPEN[audience]
    return word == "always" or (word != "never" and bool(getattr(relationship, word)))


def test_who_may_write_waits_or_cannot_in_every_combination() -> None:
    seen = set()
    for audience, relationship in relationships("messages", CHOICES["message_audience"]):
        if relationship.blocked or audience is Audience.NOBODY:
            expected = None
        elif is_open(audience, relationship) or relationship.let_in:
            expected = RequestState.ACCEPTED
        else:
            expected = RequestState.PENDING
        assert reach.admit(relationship) is expected, relationship
        seen.add(expected)
    assert seen == {None, RequestState.ACCEPTED, RequestState.PENDING}


def test_who_may_call_in_every_combination() -> None:
    for audience, relationship in relationships("calls", CHOICES["call_audience"]):
        assert reach.may_ring(relationship) is (is_open(audience, relationship) and not relationship.blocked), (
            relationship
        )


def test_who_sees_presence_in_every_combination_and_always_both_or_neither() -> None:
    every = list(relationships("presence", CHOICES["presence_audience"]))
    for (one_audience, one), (other_audience, other) in product(every, every):
        shown = is_open(one_audience, one) and is_open(other_audience, other)
        expected = shown and not one.blocked and not other.blocked
        assert reach.see_each_other(one, other) is reach.see_each_other(other, one) is expected


def test_a_brought_conversation_waits_with_the_other_and_stands_with_who_brings_it() -> None:
    fresh = open_direct(ConversationId(UUID(int=1)), ALICE, BOB, NOW)
    invited = reach.invite(fresh, ALICE, Relationship(Settings(messages=Audience.FOLLOWED)))
    assert {member.user_id: member.request for member in invited.members} == {
        ALICE: RequestState.ACCEPTED,
        BOB: RequestState.PENDING,
    }
    assert {member.user_id: member.added_by for member in invited.members} == {ALICE: "", BOB: ALICE}
    with pytest.raises(NotAllowed):
        reach.invite(fresh, ALICE, Relationship(Settings(messages=Audience.NOBODY)))


@pytest.mark.parametrize("audience", list(Audience))
@pytest.mark.parametrize("field", ["messages", "presence", "calls"])
def test_a_setting_takes_the_audiences_that_it_can_have_and_no_other(field: str, audience: Audience) -> None:
    name = {"messages": "message_audience", "presence": "presence_audience", "calls": "call_audience"}[field]
    change = SettingsChange(**{field: audience})
    if audience in CHOICES[name]:
        assert getattr(reach.apply_change(Settings(), reach.check_change(change)), field) is audience
    else:
        with pytest.raises(InvalidField):
            reach.check_change(change)


def test_what_a_change_does_not_name_stays() -> None:
    before = Settings(Audience.VERIFIED, Audience.NOBODY, Audience.CONTACTED, send_receipts=False)
    assert reach.apply_change(before, SettingsChange()) == before
    assert reach.apply_change(before, SettingsChange(send_receipts=True)) == replace(before, send_receipts=True)


def test_of_facts_about_the_same_the_latest_holds_in_any_order() -> None:
    def fact(stands: bool, hours: int, other: UserId = BOB) -> GraphEvent:
        return GraphEvent(GraphEventKind.FOLLOWS, ALICE, other, stands, NOW + timedelta(hours=hours))

    about_bob, about_carol = [fact(True, 1), fact(False, 3), fact(True, 2)], fact(True, 0, UserId("carol"))
    assert (
        newest([*about_bob, about_carol])
        == newest([about_carol, *reversed(about_bob)])
        == [fact(False, 3), about_carol]
    )


def test_nobody_blocks_oneself() -> None:
    with pytest.raises(InvalidField):
        check_other("user_id", ALICE, ALICE)


def test_a_quota_is_of_the_day_and_says_when_the_next_begins() -> None:
    quota = day_quota(ALICE, 5, NOW)
    assert quota.day_start == datetime(2026, 1, 1, tzinfo=UTC)
    assert quota.retry_delay_s == 3600
    assert day_quota(ALICE, 5, NOW + timedelta(hours=1)).day_start == datetime(2026, 1, 2, tzinfo=UTC)
