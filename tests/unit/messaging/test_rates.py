"""How fast one person may write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import SendRate
from services.messaging.kernel.model import UserId
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.runtime.ids import new_id, new_secret
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, World, send

CAROL = UserId("carol")


def wait_s(rates: SendRates, user: UserId, now_s: float) -> float:
    """0 when it was taken."""
    try:
        rates.take(user, now_s)
    except SendRate as error:
        return error.retry_delay_s
    return 0.0


def takes(rates: SendRates, user: UserId, now_s: float) -> bool:
    return wait_s(rates, user, now_s) == 0


def test_a_burst_is_taken_at_once_and_then_the_rate() -> None:
    rates = SendRates(per_s=2, burst=3)
    assert [takes(rates, ALICE, 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [takes(rates, ALICE, 100.5) for _ in range(2)] == [True, False]
    assert [takes(rates, ALICE, 110.0) for _ in range(4)] == [True, True, True, False]
    assert takes(rates, BOB, 110.0)


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(1, 50), st.integers(1, 20))
def test_who_is_refused_is_taken_after_the_time_that_was_named_and_not_long_before(
    pauses: list[float], per_s: float, burst: int
) -> None:
    rates, now_s = SendRates(per_s, burst), 0.0
    for count, pause in enumerate(pauses, start=1):
        now_s += pause
        if delay_s := wait_s(rates, ALICE, now_s):
            assert delay_s <= 1 / per_s + 1e-6
            # Half of less than that is lost in the rounding of the moment itself.
            assert delay_s < 1e-6 or not takes(rates, ALICE, now_s + delay_s * 0.5)
            now_s += delay_s + 1e-6
            assert takes(rates, ALICE, now_s)
        assert count <= burst + now_s * per_s + 1e-3


def test_of_too_many_people_who_wrote_as_much_the_earliest_are_forgotten() -> None:
    rates = SendRates(per_s=1, burst=1, people=2)
    for user in (ALICE, BOB, CAROL):
        assert takes(rates, user, 0.0)
    assert not takes(rates, CAROL, 0.1)
    assert not takes(rates, BOB, 0.1)
    assert takes(rates, ALICE, 0.1)


def limited(world: World, burst: int) -> tuple[Cases, Groups]:
    rates = SendRates(per_s=1, burst=burst)
    cases = Cases(world.store, world.sends, rates, world.clock, new_id, MessageLimits(text_chars=20))
    groups = Groups(
        *(world.store, world.store, world.store, world.store.relations, world.store.relations, rates, world.clock),
        *(new_id, new_secret, GroupLimits()),
    )
    return cases, groups


async def test_sends_edits_reactions_and_groups_all_count(world: World) -> None:
    conversation = await world.conversation()
    cases, groups = limited(world, 4)
    await cases.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))
    await cases.changing.edit_message(ALICE, conversation, 1, Text("hello!"))
    await cases.changing.set_reaction(ALICE, conversation, 1, "👍", present=True)
    await groups.create_group(ALICE, GroupRequest("g", "Trip", [BOB], "", False))
    for refused in (
        cases.sending.send(ALICE, conversation, TextRequest("l", Text("hello"))),
        cases.changing.edit_message(ALICE, conversation, 1, Text("hello?")),
        cases.changing.set_reaction(ALICE, conversation, 1, "❤", present=True),
        groups.create_group(ALICE, GroupRequest("h", "Trip", [BOB], "", False)),
    ):
        with pytest.raises(SendRate) as refusal:
            await refused
        assert refusal.value.retry_delay_s == pytest.approx(1)
    await cases.sending.send(BOB, conversation, TextRequest("k", Text("hi")))
    world.clock.advance(1)
    await cases.sending.send(ALICE, conversation, TextRequest("l", Text("hello")))


async def test_retries_get_their_first_results_at_any_rate_as_often_as_one_may_write(world: World) -> None:
    conversation = await world.conversation()
    cases, groups = limited(world, 4)
    first = await cases.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))
    edited = await cases.changing.edit_message(ALICE, conversation, 1, Text("hello!"))
    reacted = await cases.changing.set_reaction(ALICE, conversation, 1, "👍", present=True)
    founded = await groups.create_group(ALICE, GroupRequest("g", "Trip", [BOB], "", False))
    assert (await cases.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))).id == first.id
    assert (await cases.changing.edit_message(ALICE, conversation, 1, Text("hello!"))).content == edited.content
    assert await cases.changing.set_reaction(ALICE, conversation, 1, "👍", present=True) == reacted
    assert (await groups.create_group(ALICE, GroupRequest("g", "Trip", [BOB], "", False))).id == founded.id
    # The looks have a rate of their own: a flood of retries makes no more work than a flood of sends.
    with pytest.raises(SendRate):
        await cases.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))
    world.clock.advance(1)
    assert (await cases.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))).id == first.id


async def test_by_default_a_person_writes_faster_than_anybody_types(world: World) -> None:
    conversation = await world.conversation()
    for number in range(100):
        await send(world, ALICE, conversation, str(number), "x")
