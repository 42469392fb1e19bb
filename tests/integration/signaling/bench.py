"""What the store's tests share: calls to store, and a store with what was committed beside them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

from services.signaling.core.calls import CallAttempt, handle, ring
from services.signaling.core.inputs import Input
from services.signaling.core.model import Call, CallId, LegState, UserId
from services.signaling.ports import IdempotencyKey, Record, Store
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, GROUP_TALK, PHONE, START, TALK, TIMEOUTS, WORKER

NEWS = [Record("topic", "key", b"news")]


def new_call(caller: UserId = ALICE, callee: UserId = BOB) -> Call:
    placed = CallAttempt(CallId(str(uuid4())), TALK, caller, PHONE, {callee: LegState.RINGING}, video=True)
    return ring(placed, WORKER, START, TIMEOUTS)


def group_call(others: Mapping[UserId, LegState] | None = None, number: int | None = None) -> Call:
    """Alice's, with Bob and Carol rung; `number` names it, where it is not to be a new one each time."""
    call_id = CallId(str(UUID(int=number) if number else uuid4()))
    rung = others or {BOB: LegState.RINGING, CAROL: LegState.RINGING}
    placed = CallAttempt(call_id, GROUP_TALK, ALICE, PHONE, rung, True, group=True, capacity=4, trace="00-trace")
    return ring(placed, WORKER, START, TIMEOUTS)


def step(call: Call, given: Input) -> Call:
    return handle(call, given, START, TIMEOUTS).call


def key(user_id: UserId = ALICE, client_call_id: str = "first") -> IdempotencyKey:
    return IdempotencyKey(user_id, client_call_id)


@dataclass
class Bench:
    """A store, and the events that were committed with the calls."""

    store: Store
    read_records: Callable[[], Awaitable[list[Record]]]
