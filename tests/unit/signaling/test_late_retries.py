"""A retry that arrives after something else has happened undoes none of it: each request that another one may undo."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from services.signaling.core.errors import CallNotFound
from services.signaling.core.model import Call, CallId, ConversationId, UserId
from services.signaling.service import CallsService
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, GROUP_TALK, LAPTOP, PHONE, TABLET, FakeMembers, World

Act = Callable[[CallsService, CallId], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A request, what is done after it, and what must stand however late the request comes again."""

    request: Callable[[CallsService, CallId, str], Awaitable[Any]]
    then: tuple[Act, ...]
    # What has to be before it.
    before: tuple[Act, ...] = ()
    # Whether the same without the key of the first would be done.
    is_done_anew: bool = True


def by_bob(name: str, *args: object) -> Act:
    return lambda service, call_id: getattr(service, name)(call_id, BOB, *args)


def by_alice(name: str, *args: object) -> Act:
    return lambda service, call_id: getattr(service, name)(call_id, ALICE, *args)


CASES = {
    "taking over": Case(
        lambda service, call_id, key: service.take_over(call_id, BOB, LAPTOP, key),
        (by_bob("take_over", TABLET),),
        (by_bob("accept_call", TABLET),),
    ),
    "taking over, then back with a key": Case(
        lambda service, call_id, key: service.take_over(call_id, BOB, LAPTOP, key),
        (by_bob("take_over", TABLET, "another"),),
        (by_bob("accept_call", TABLET),),
    ),
    "answering": Case(
        lambda service, call_id, key: service.accept_call(call_id, BOB, TABLET, key), (by_bob("leave_call", TABLET),)
    ),
    "answering, then on the other device": Case(
        lambda service, call_id, key: service.accept_call(call_id, BOB, TABLET, key),
        (by_bob("take_over", LAPTOP),),
        is_done_anew=False,
    ),
    "joining": Case(
        lambda service, call_id, key: service.join_call(call_id, BOB, TABLET, key), (by_bob("leave_call", TABLET),)
    ),
    "hanging up": Case(
        lambda service, call_id, key: service.leave_call(call_id, BOB, TABLET, key),
        (by_bob("join_call", TABLET),),
        (by_bob("accept_call", TABLET),),
    ),
    "raising the hand": Case(
        lambda service, call_id, key: service.set_hand(call_id, BOB, True, key),
        (by_bob("set_hand", False),),
        (by_bob("accept_call", TABLET),),
    ),
    "lowering the hand": Case(
        lambda service, call_id, key: service.set_hand(call_id, BOB, False, key),
        (by_bob("set_hand", True),),
        (by_bob("accept_call", TABLET), by_bob("set_hand", True)),
    ),
    "locking": Case(
        lambda service, call_id, key: service.set_lock(call_id, ALICE, True, key), (by_alice("set_lock", False),)
    ),
    "opening": Case(
        lambda service, call_id, key: service.set_lock(call_id, ALICE, False, key), (by_alice("set_lock", True),)
    ),
    "asking for silence": Case(
        lambda service, call_id, key: service.request_mute(call_id, ALICE, BOB, key),
        (by_bob("leave_call", TABLET), by_bob("join_call", TABLET)),
        (by_bob("accept_call", TABLET),),
    ),
}


@pytest.fixture
async def world() -> World:
    world = World(FakeMembers())
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL]
    world.members.admins = {ALICE}
    return world


async def stands(world: World, call_id: CallId) -> Call:
    found = await world.store.find(call_id)
    assert found
    return found


@pytest.mark.parametrize("name", CASES)
async def test_a_late_retry_changes_nothing_any_more(world: World, name: str) -> None:
    case = CASES[name]
    call_id = (await world.start(talk=GROUP_TALK)).call_id
    for act in case.before:
        await act(world.service, call_id)
    await case.request(world.service, call_id, "k")
    # At once it is the same.
    first = await stands(world, call_id)
    await case.request(world.service, call_id, "k")
    assert await stands(world, call_id) == first
    for act in case.then:
        world.clock.advance(1)
        await act(world.service, call_id)
    then = await stands(world, call_id)
    assert then != first
    world.clock.advance(1)
    await case.request(world.service, call_id, "k")
    assert await stands(world, call_id) == then
    if case.is_done_anew:
        await case.request(world.service, call_id, "k2")
        assert await stands(world, call_id) != then


async def test_a_device_whose_retry_came_late_gets_no_grant(world: World) -> None:
    call_id = (await world.answered()).call_id
    _, grant = await world.service.take_over(call_id, BOB, LAPTOP, "k")
    assert grant
    await world.service.take_over(call_id, BOB, TABLET, "back")
    call, grant = await world.service.take_over(call_id, BOB, LAPTOP, "k")
    assert grant is None
    assert call.has_device(BOB, TABLET)


async def test_the_same_id_stands_for_one_request_of_one_person_in_one_call(world: World) -> None:
    call_id = (await world.start(talk=GROUP_TALK, key="k")).call_id
    # It is the id of a call as well, of another kind of request, of another person, and in another call.
    await world.service.accept_call(call_id, BOB, TABLET, "k")
    await world.service.take_over(call_id, BOB, LAPTOP, "k")
    await world.service.join_call(call_id, CAROL, PHONE, "k")
    found = await stands(world, call_id)
    assert [(leg.user_id, leg.device_id) for leg in found.joined] == [(ALICE, PHONE), (BOB, LAPTOP), (CAROL, PHONE)]
    other = ConversationId("0190f000-0000-7000-8000-00000000000f")
    world.members.conversations[other] = [UserId("dave"), BOB]
    await world.service.leave_call(call_id, BOB, LAPTOP)
    second = await world.start(UserId("dave"), key="k", talk=other)
    answered, _ = await world.service.accept_call(second.call_id, BOB, TABLET, "k")
    assert answered.has_device(BOB, TABLET)


async def test_a_retry_that_races_with_its_first_try_does_not_steal_the_call_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the call before the first try was written, and goes on after another device has taken over."""
    call_id = (await world.answered()).call_id
    find, happened = world.store.find, False

    async def find_then_wait(wanted: CallId) -> Call | None:
        nonlocal happened
        found = await find(wanted)
        if not happened:
            happened = True
            await world.service.take_over(call_id, BOB, LAPTOP, "k")
            await world.service.take_over(call_id, BOB, TABLET, "back")
        return found

    monkeypatch.setattr(world.store, "find", find_then_wait)
    call, grant = await world.service.take_over(call_id, BOB, LAPTOP, "k")
    assert grant is None
    assert call.has_device(BOB, TABLET)


async def test_who_has_left_the_group_since_is_answered_without_the_others(world: World) -> None:
    call_id = (await world.start(talk=GROUP_TALK)).call_id
    await world.service.join_call(call_id, BOB, TABLET, "k")
    world.members.conversations[GROUP_TALK] = [ALICE, CAROL]
    await world.service.roster.sync_call_of_group(GROUP_TALK)
    for retry in (world.service.join_call(call_id, BOB, TABLET, "k"),):
        call, grant = await retry
        assert grant is None
        assert call.user_ids == (BOB,)
    with pytest.raises(CallNotFound):
        await world.service.join_call(call_id, BOB, TABLET, "k2")
