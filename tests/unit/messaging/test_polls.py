"""Polls: what may be sent as one, who votes how, and what becomes of the votes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from services.messaging.kernel.content import Expired, Poll, Text, Unsent
from services.messaging.kernel.errors import (
    AccountRestricted,
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
    NotAllowed,
    NotEditable,
    RequestPending,
    SendRate,
)
from services.messaging.kernel.model import Message, UserId, Votes
from services.messaging.kernel.weighing import weigh_message
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import VoteChange
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import SendRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.wire import api
from services.messaging.wire.storage import from_columns, to_columns
from services.runtime.ids import new_id
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, send

CAROL = UserId("carol")
LUNCH = Poll("Where do we eat?", ("Tapas", "Ramen", "At home"))
SEVERAL = replace(LUNCH, multiple=True)


async def ask(world: World, conversation: str, poll: Poll = LUNCH, key: str = "k") -> Message:
    return await world.sending.send(ALICE, conversation, SendRequest(key, poll))


async def vote(world: World, user: UserId, conversation: str, seq: int, *options: int) -> tuple[Votes, ...]:
    return (await world.changing.vote_poll(user, conversation, seq, options)).votes


async def test_a_poll_is_shown_as_it_was_sent_and_nobody_has_voted(world: World) -> None:
    conversation = await world.conversation()
    sent = await ask(world, conversation)
    (shown,), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert shown == sent
    assert (shown.content, shown.votes, shown.revision) == (LUNCH, (), 0)
    # What would be refused today was taken before.
    assert await ask(world, conversation, replace(LUNCH, options=())) == sent


@pytest.mark.parametrize(
    ("field", "poll"),
    [
        ("poll.question", replace(LUNCH, question="")),
        ("poll.question", replace(LUNCH, question=" \u200b\n")),
        ("poll.question", replace(LUNCH, question="x" * 301)),
        ("poll.question", replace(LUNCH, question="a\x00b")),
        ("poll.options", replace(LUNCH, options=())),
        ("poll.options", replace(LUNCH, options=("one",))),
        ("poll.options", replace(LUNCH, options=tuple(str(number) for number in range(11)))),
        ("poll.options", replace(LUNCH, options=("one", ""))),
        ("poll.options", replace(LUNCH, options=("one", "x" * 101))),
        ("poll.options", replace(LUNCH, options=("one", "\ud800"))),
        ("poll.options", replace(LUNCH, options=("one", " one\t"))),
    ],
)
async def test_what_is_beyond_the_bounds_is_refused_by_the_name_of_the_field(
    world: World, field: str, poll: Poll
) -> None:
    with pytest.raises(InvalidField) as refused:
        await ask(world, await world.conversation(), poll)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "poll", [Poll("?", ("a", "A")), Poll("€" * 300, tuple(f"{number}{'€' * 99}" for number in range(10)), True)]
)
async def test_the_bounds_themselves_are_taken(world: World, poll: Poll) -> None:
    assert (await ask(world, await world.conversation(), poll)).content == poll


async def test_no_file_goes_with_it(world: World) -> None:
    conversation = await world.conversation()
    request = SendRequest("k", LUNCH, attachment_ids=["0190f000-0000-7000-8000-000000000001"])
    with pytest.raises(InvalidField) as refused:
        await world.sending.send(ALICE, conversation, request)
    assert refused.value.field == "attachment_ids"


async def test_a_vote_is_replaced_and_taken_back(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)
    assert await vote(world, BOB, conversation, 1, 2) == (Votes(2, (BOB,)),)
    assert await vote(world, ALICE, conversation, 1, 2) == (Votes(2, (BOB, ALICE)),)
    assert await vote(world, BOB, conversation, 1, 0) == (Votes(0, (BOB,)), Votes(2, (ALICE,)))
    after = await world.changing.vote_poll(BOB, conversation, 1, [])
    assert (after.votes, after.revision, after.content) == ((Votes(2, (ALICE,)),), 4, LUNCH)
    told = api.message_message(after).poll_votes
    assert [(each.option_index, list(each.user_ids)) for each in told] == [(2, [ALICE])]


async def test_where_several_may_be_chosen_they_are_and_elsewhere_one(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)
    await ask(world, conversation, SEVERAL, "l")
    with pytest.raises(InvalidField) as refused:
        await vote(world, BOB, conversation, 1, 0, 1)
    assert refused.value.field == "option_indexes"
    # The same one twice is one.
    assert await vote(world, BOB, conversation, 1, 1, 1) == (Votes(1, (BOB,)),)
    assert await vote(world, BOB, conversation, 2, 2, 0) == (Votes(0, (BOB,)), Votes(2, (BOB,)))
    assert await vote(world, BOB, conversation, 2, 1, 2) == (Votes(1, (BOB,)), Votes(2, (BOB,)))


@pytest.mark.parametrize("options", [[3], [-1], [0] * 11, [2**31 - 1]])
async def test_an_option_that_is_not_there_is_refused(world: World, options: Sequence[int]) -> None:
    conversation = await world.conversation()
    await ask(world, conversation, SEVERAL)
    with pytest.raises(InvalidField) as refused:
        await vote(world, BOB, conversation, 1, *options)
    assert refused.value.field == "option_indexes"


async def test_a_retry_changes_and_tells_nothing(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation, SEVERAL)
    first = await world.changing.vote_poll(BOB, conversation, 1, [1, 0])
    told = len(world.store.events)
    assert await world.changing.vote_poll(BOB, conversation, 1, [0, 1]) == first
    assert (await world.changing.vote_poll(ALICE, conversation, 1, [])).revision == first.revision
    assert len(world.store.events) == told


async def test_only_a_poll_that_is_there_and_seen_takes_votes(world: World) -> None:
    conversation = await world.conversation()
    await send(world, ALICE, conversation, "t", "Where?")
    with pytest.raises(NotEditable):
        await vote(world, BOB, conversation, 1, 0)
    with pytest.raises(MessageNotFound):
        await vote(world, BOB, conversation, 2, 0)
    with pytest.raises(ConversationNotFound):
        await vote(world, MALLORY, conversation, 1, 0)
    await ask(world, conversation)
    await world.changing.unsend_message(ALICE, conversation, 2)
    for options in ([0], []):
        with pytest.raises(NotEditable):
            await vote(world, BOB, conversation, 2, *options)


async def test_under_a_block_nobody_votes_and_what_stands_is_answered(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)
    first = await world.changing.vote_poll(BOB, conversation, 1, [0])
    await world.relations.block_user(ALICE, BOB)
    for user, options in ((BOB, [1]), (BOB, []), (ALICE, [0])):
        with pytest.raises(NotAllowed):
            await world.changing.vote_poll(user, conversation, 1, options)
    assert await world.changing.vote_poll(BOB, conversation, 1, [0]) == first


async def test_who_was_removed_votes_no_more_and_the_vote_stays(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    await ask(world, trip)
    await vote(world, BOB, trip, 2, 1)
    await world.groups.remove_member(ALICE, trip, BOB)
    with pytest.raises(ConversationNotFound):
        await vote(world, BOB, trip, 2, 0)
    assert await vote(world, CAROL, trip, 2, 1) == (Votes(1, (BOB, CAROL)),)


async def test_before_anybody_lets_it_in_nobody_votes(world: World) -> None:
    nobody = SettingsChange(Audience.FOLLOWED, None, None)
    await world.store.relations.change_settings(BOB, nobody, world.clock.now())
    conversation = await world.conversation()
    await ask(world, conversation)
    with pytest.raises(RequestPending):
        await vote(world, ALICE, conversation, 1, 0)


async def test_votes_count_as_sends_and_a_retry_gets_what_stands(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)
    await send(world, BOB, conversation, "t", "hm")
    slow = Cases(world.store, world.sends, SendRates(per_s=0.001, burst=1), world.clock, new_id).changing
    first = await slow.vote_poll(BOB, conversation, 1, [1])
    assert await slow.vote_poll(BOB, conversation, 1, [1]) == first
    world.clock.advance(1_000)
    await slow.vote_poll(BOB, conversation, 1, [1])
    for seq, options in ((1, [2]), (2, [])):
        with pytest.raises(SendRate):
            await slow.vote_poll(BOB, conversation, seq, options)


async def test_a_restricted_account_does_not_vote(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)

    def refuse(*_: object) -> None:
        raise AccountRestricted(world.clock.now())

    world.rates.take = refuse  # type: ignore[method-assign]
    with pytest.raises(AccountRestricted):
        await vote(world, BOB, conversation, 1, 0)


async def test_it_is_taken_back_with_its_votes_and_not_edited(world: World) -> None:
    conversation = await world.conversation()
    await ask(world, conversation)
    await vote(world, BOB, conversation, 1, 0)
    with pytest.raises(NotEditable):
        await world.changing.edit_message(ALICE, conversation, 1, Text("no"))
    unsent = await world.changing.unsend_message(ALICE, conversation, 1)
    assert (unsent.content, unsent.votes) == (Unsent(), ())


async def test_its_votes_vanish_with_it(world: World) -> None:
    conversation = await world.conversation()
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(hours=1))
    poll = await ask(world, conversation)
    assert await vote(world, BOB, conversation, poll.seq, 0)
    world.clock.advance(3_600)
    with pytest.raises(NotEditable):
        await vote(world, BOB, conversation, poll.seq, 1)
    (shown, _), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert (shown.id, shown.content, shown.votes) == (poll.id, Expired(), ())


async def test_it_is_forwarded_as_a_new_poll_without_votes(world: World) -> None:
    conversation, trip = await world.conversation(), await group(world, BOB)
    await ask(world, conversation)
    await vote(world, BOB, conversation, 1, 0)
    (copy,) = await world.forwarding.forward(BOB, conversation, 1, [(trip, "f")])
    assert isinstance(copy, Message)
    assert (copy.content, copy.votes, copy.forwarded) == (LUNCH, (), True)
    assert await vote(world, ALICE, trip, copy.seq, 2) == (Votes(2, (ALICE,)),)


def test_it_is_found_by_its_question_and_its_options() -> None:
    columns = to_columns(SEVERAL)
    assert (columns.kind, columns.body) == ("poll", "Where do we eat?\nTapas\nRamen\nAt home")
    assert from_columns(columns._asdict()) == SEVERAL


async def test_votes_weigh_what_they_take(world: World) -> None:
    sent = await ask(world, await world.conversation(), SEVERAL)
    people = tuple(UserId(f"person-{number:057}") for number in range(256))
    full = replace(sent, votes=tuple(Votes(index, people) for index in range(10)))
    assert api.message_message(full).ByteSize() <= 2 * weigh_message(full)


CHANGES: dict[str, tuple[Callable[[], tuple[Votes, ...]], tuple[Votes, ...]]] = {
    "who stays keeps the place": (
        lambda: changes.apply_vote((Votes(0, (BOB, ALICE)),), VoteChange(BOB, frozenset({0, 1}))),
        (Votes(0, (BOB, ALICE)), Votes(1, (BOB,))),
    ),
    "who comes again comes last": (
        lambda: changes.apply_vote(
            changes.apply_vote((Votes(0, (BOB, ALICE)),), VoteChange(BOB, frozenset())), VoteChange(BOB, frozenset({0}))
        ),
        (Votes(0, (ALICE, BOB)),),
    ),
    "in the order in which they were cast": (
        lambda: changes.gather_votes([(2, BOB), (0, ALICE), (2, ALICE)]),
        (Votes(0, (ALICE,)), Votes(2, (BOB, ALICE))),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_votes_are_by_option_and_in_the_order_of_voting(case: str) -> None:
    found, expected = CHANGES[case]
    assert found() == expected
