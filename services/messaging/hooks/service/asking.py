"""Asking the hook: a turn, a deadline, and no question to one that does not answer."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from services.messaging import metrics
from services.messaging.hooks.core import breaker
from services.messaging.hooks.core.breaker import Breaker, Input
from services.messaging.hooks.core.verdicts import (
    Hold,
    Question,
    Refuse,
    Surface,
    UnfitVerdict,
    Verdict,
    content_after,
)
from services.messaging.hooks.ports import MessageHook, NoAnswer, Problem
from services.messaging.hooks.service.turns import NoTurn, Turns
from services.messaging.kernel.content import Content
from services.runtime.clock import Clock
from services.runtime.limits import concurrency

log = structlog.get_logger()

# Questions about one sender at once. Raising it lets one whose messages are slow to judge take more of all turns;
# lowering it makes a busy sender wait.
AT_ONCE_A_SENDER = 4
# Beyond those. Raising it holds more of a flood; lowering it leaves more of a burst without an answer.
WAITING_A_SENDER = 32
# Of a deadline whose time is nearly over. Raising it lets who waited for a turn wait longer; lowering it asks in vain.
MIN_S = 0.001
_RANKS = {surface: rank for rank, surface in enumerate(Surface)}
_IN_VAIN = (Problem.TIMEOUT, Problem.UNREACHABLE)


class Asking:
    """One hook, and how it does.

    Who waits here holds nothing that others need: no lock, no connection, no place in a commit.
    """

    def __init__(self, hook: MessageHook, clock: Clock, timeout_s: float, at_once: int, text_chars: int) -> None:
        self._hook = hook
        self._clock = clock
        self._timeout_s = timeout_s
        self._text_chars = text_chars
        self._turns = Turns(at_once)
        self._senders = concurrency.Turns(AT_ONCE_A_SENDER, WAITING_A_SENDER)
        self._breaker = Breaker()
        metrics.HOOK_GIVEN_UP.set(0)

    async def judge(self, question: Question) -> Content | Hold | Refuse:
        """What is to be stored of what was written, or why nothing is. Raises NoAnswer, within the deadline."""
        began = self._clock.monotonic()
        surface = question.surface.value
        try:
            verdict = await self._answer(question, began)
            judged = verdict if isinstance(verdict, Hold | Refuse) else self._stored(question, verdict)
        except NoAnswer as error:
            metrics.HOOK_CHECKS.labels(surface, error.problem.value).inc()
            if error.problem is not Problem.GIVEN_UP:
                log.warning("hook_gave_no_answer", problem=error.problem.value, detail=str(error)[:200])
            raise
        metrics.HOOK_CHECKS.labels(surface, type(verdict).__name__.lower()).inc()
        return judged

    def _stored(self, question: Question, verdict: Verdict) -> Content:
        assert not isinstance(verdict, Hold | Refuse)
        try:
            return content_after(question, verdict, self._text_chars)
        except UnfitVerdict as error:
            raise NoAnswer(Problem.UNFIT, str(error)) from error

    async def _answer(self, question: Question, began: float) -> Verdict:
        if not breaker.may_ask(self._breaker, began):
            raise NoAnswer(Problem.GIVEN_UP)
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await turns.enter_async_context(self._senders.turn(question.sender_id))
                    await turns.enter_async_context(self._turns.turn(_RANKS[question.surface]))
            except (TimeoutError, concurrency.TooManyWaiting, NoTurn):
                raise NoAnswer(Problem.BUSY) from None
            return await self._ask(question, began)

    async def _ask(self, question: Question, began: float) -> Verdict:
        now = self._clock.monotonic()
        if not breaker.may_ask(self._breaker, now):
            raise NoAnswer(Problem.GIVEN_UP)
        self._note(Input.WANTED, question)
        told = Input.LEFT
        try:
            verdict = await self._hook.ask(question, max(began + self._timeout_s - now, MIN_S))
            told = Input.ANSWERED
            return verdict
        except NoAnswer as error:
            told = Input.UNANSWERED if error.problem in _IN_VAIN else Input.ANSWERED
            raise
        finally:
            self._note(told, question)
            metrics.HOOK_SECONDS.observe(self._clock.monotonic() - now)

    def _note(self, happened: Input, question: Question) -> None:
        before = self._breaker
        self._breaker = breaker.step(before, happened, self._clock.monotonic(), question.sender_id)
        if self._breaker.is_giving_up is not before.is_giving_up:
            metrics.HOOK_GIVEN_UP.set(self._breaker.is_giving_up)
            log.warning("hook_given_up" if self._breaker.is_giving_up else "hook_is_back")
