"""Asking the hook: who has a turn, who waits, and what counts as no answer."""

import asyncio
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from services.messaging.hooks.core.breaker import GIVE_UP_AFTER, PAUSE_S
from services.messaging.hooks.core.verdicts import Allow, Question, Replace, Surface, Writing
from services.messaging.hooks.ports import NoAnswer, Problem
from services.messaging.hooks.service.asking import AT_ONCE_A_SENDER, Asking
from services.messaging.hooks.service.turns import WAITING_FOR_EACH, NoTurn, Turns
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import UserId
from tests.support.clock import ManualClock
from tests.support.hooks import FakeHook
from tests.support.waiting import PATIENCE_S, until

TIMEOUT_S = 1.0


def question(sender: str = "alice", surface: Surface = Surface.DIRECT) -> Question:
    return Question(UUID(int=1), Writing.MESSAGE, surface, UserId(sender), Text("hello"), ManualClock().now())


def asking_of(
    hook: FakeHook, clock: ManualClock | None = None, at_once: int = 64, timeout_s: float = TIMEOUT_S
) -> Asking:
    return Asking(hook, clock or ManualClock(), timeout_s, at_once, 100)


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("messaging_hook_checks_total", {"surface": "direct", "result": result}) or 0.0


async def problem_of(asking: Asking, sender: str = "alice") -> Problem:
    with pytest.raises(NoAnswer) as refused:
        await asking.judge(question(sender))
    return refused.value.problem


async def test_the_hook_has_what_is_left_of_the_time() -> None:
    hook, clock = FakeHook(), ManualClock()
    await asking_of(hook, clock).judge(question())
    assert hook.timeouts_s == [TIMEOUT_S]


async def test_a_verdict_that_does_not_fit_is_no_answer_and_counted() -> None:
    hook = FakeHook()
    hook.says = lambda _: Replace(Text(""))
    before = counted("unfit")
    assert await problem_of(asking_of(hook)) is Problem.UNFIT
    assert counted("unfit") == before + 1


async def test_a_dead_hook_is_asked_by_few_and_then_by_nobody_until_it_is_tried_again() -> None:
    hook, clock = FakeHook(), ManualClock()
    hook.says = lambda _: NoAnswer(Problem.TIMEOUT)
    asking = asking_of(hook, clock)
    for number in range(GIVE_UP_AFTER):
        assert await problem_of(asking, f"user-{number}") is Problem.TIMEOUT
    assert REGISTRY.get_sample_value("messaging_hook_given_up") == 1
    for number in range(20):
        assert await problem_of(asking, f"user-{number}") is Problem.GIVEN_UP
    assert len(hook.asked) == GIVE_UP_AFTER
    clock.advance(PAUSE_S)
    hook.says = lambda _: Allow()
    assert await asking.judge(question()) == Text("hello")
    assert REGISTRY.get_sample_value("messaging_hook_given_up") == 0


async def test_while_one_tries_a_hook_again_nobody_else_waits_for_it() -> None:
    hook, clock = FakeHook(), ManualClock()
    hook.says = lambda _: NoAnswer(Problem.UNREACHABLE)
    asking = asking_of(hook, clock)
    for number in range(GIVE_UP_AFTER):
        await problem_of(asking, f"user-{number}")
    clock.advance(PAUSE_S)
    hook.says = lambda _: Allow()
    hook.gate.clear()
    trying = asyncio.create_task(asking.judge(question("one")))
    await until(lambda: len(hook.asked) == GIVE_UP_AFTER + 1, what="the one who tries")
    assert await problem_of(asking, "other") is Problem.GIVEN_UP
    # The one who tries goes away: the next one may.
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    hook.gate.set()
    assert await asking.judge(question("next")) == Text("hello")


@pytest.mark.parametrize("problem", [Problem.FAILED, Problem.UNREADABLE])
async def test_a_hook_that_answers_wrongly_costs_no_wait_and_is_asked_on(problem: Problem) -> None:
    hook = FakeHook()
    hook.says = lambda _: NoAnswer(problem)
    asking = asking_of(hook)
    for number in range(3 * GIVE_UP_AFTER):
        assert await problem_of(asking, f"user-{number}") is problem


async def test_a_sender_whose_messages_take_long_leaves_turns_to_the_others() -> None:
    hook = FakeHook()
    hook.gate.clear()
    asking = asking_of(hook, at_once=AT_ONCE_A_SENDER + 1, timeout_s=PATIENCE_S)
    slow = [asyncio.create_task(asking.judge(question("slow"))) for _ in range(3 * AT_ONCE_A_SENDER)]
    await until(lambda: len(hook.asked) == AT_ONCE_A_SENDER, what="as many as one may have")
    other = asyncio.create_task(asking.judge(question("other")))
    await until(lambda: hook.asked[-1].sender_id == "other", what="the other's question")
    hook.gate.set()
    await asyncio.gather(other, *slow)


async def test_who_gets_no_turn_in_time_is_not_judged_and_the_hook_is_not_blamed() -> None:
    hook = FakeHook()
    hook.gate.clear()
    asking = asking_of(hook, at_once=1, timeout_s=0.01)
    first = asyncio.create_task(asking.judge(question("first")))
    await until(lambda: hook.asked, what="the first question")
    for number in range(2 * GIVE_UP_AFTER):
        assert await problem_of(asking, f"user-{number}") is Problem.BUSY
    assert REGISTRY.get_sample_value("messaging_hook_given_up") == 0
    hook.gate.set()
    await first
    assert await asking.judge(question("later")) == Text("hello")


async def test_strangers_messages_have_the_next_turn() -> None:
    turns, order = Turns(1), []
    held = asyncio.Event()

    async def hold(name: str, rank: int) -> None:
        async with turns.turn(rank):
            order.append(name)
            await held.wait()

    tasks = [asyncio.create_task(hold(name, rank)) for name, rank in (("first", 2), ("group", 2), ("stranger", 0))]
    await until(lambda: order, what="the first turn")
    held.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "stranger", "group"]


async def test_a_turn_given_up_goes_to_the_next_one_and_none_is_lost() -> None:
    turns, running = Turns(1), asyncio.Event()

    async def hold() -> None:
        async with turns.turn(0):
            running.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(hold())
    await running.wait()
    waiting = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0)
    running.clear()
    # One who waits goes away in the very moment in which it would have had its turn.
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    waiting[0].cancel()
    await running.wait()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with turns.turn(0):
        pass


async def test_as_many_wait_as_may() -> None:
    turns = Turns(1)
    async with turns.turn(0):
        waiting = [asyncio.create_task(_once(turns)) for _ in range(WAITING_FOR_EACH)]
        await asyncio.sleep(0)
        with pytest.raises(NoTurn):
            await _once(turns)
        # Those who went away count no more.
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        late = asyncio.create_task(_once(turns))
    await asyncio.gather(*waiting[1:], late)


async def _once(turns: Turns) -> None:
    async with turns.turn(0):
        pass
