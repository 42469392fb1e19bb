"""Calls of people who are deleted, and of devices that are signed out."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.runtime.errors import StoreUnavailable
from services.runtime.identity.accounts import Standing
from services.signaling.accounts.core import IsRevoked
from services.signaling.accounts.ports import OwnCall
from services.signaling.accounts.service import AccountLifecycle
from services.signaling.core.model import Call, CallId, CallState, EndReason, LegState, UserId
from tests.support.cut_off import cut_off
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, GROUP_TALK, LAPTOP, PHONE, TABLET, WORKER, FakeMembers, World
from tests.unit.signaling.meeting import EVE, FAY, Meeting


@dataclass
class FakeAccounts:
    """See accounts.ports.AccountStore: only the calls that run."""

    world: World
    noted: dict[UserId, bool] = field(default_factory=dict)

    async def list_running(self, user_id: UserId) -> Sequence[Call]:
        running = self.world.store.running()
        return [call for call in running if any(leg.user_id == user_id for leg in call.legs)]

    async def note_deletion(self, user_id: UserId, *, is_last: bool) -> None:
        self.noted[user_id] = self.noted.get(user_id, False) or is_last

    async def erase(self, user_id: UserId, limit: int) -> bool:
        return False

    async def finish_deletion(self, user_id: UserId) -> bool:
        return False

    async def list_deletions(self, limit: int) -> Sequence[UserId]:
        return list(self.noted)

    async def read_rows(self, user_id: UserId) -> Sequence[tuple[str, dict[str, Any]]]:
        return []

    async def read_calls(self, user_id: UserId, after: CallId | None, limit: int) -> Sequence[OwnCall]:
        return []


@dataclass
class FakePublishedKeys:
    """See accounts.ports.PublishedKeys; notes who was asked about."""

    asked: list[UserId] = field(default_factory=list)

    async def remove_revoked(self, user_id: UserId, is_revoked: IsRevoked) -> None:
        self.asked.append(user_id)


@pytest.fixture
def world() -> World:
    world = World(FakeMembers())
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL]
    return world


@pytest.fixture
def lifecycle(world: World) -> AccountLifecycle:
    return AccountLifecycle(FakeAccounts(world), world.changes, FakePublishedKeys())


@pytest.mark.parametrize("gone", [ALICE, BOB])
async def test_a_call_that_rings_ends_as_missed_so_that_nobody_learns_why(
    world: World, lifecycle: AccountLifecycle, gone: UserId
) -> None:
    call = await world.start()
    await lifecycle.note(gone, Standing(deleted=True))
    ended = await world.store.find(call.call_id)
    assert ended is not None
    assert (ended.state, ended.end_reason) == (CallState.ENDED, EndReason.MISSED)


@pytest.mark.parametrize("gone", [ALICE, BOB])
async def test_a_call_of_two_ends_with_the_account(world: World, lifecycle: AccountLifecycle, gone: UserId) -> None:
    call = await world.answered()
    await lifecycle.note(gone, Standing(deleted=True))
    ended = await world.store.find(call.call_id)
    assert ended is not None
    assert ended.end_reason is EndReason.HUNG_UP
    assert world.closer.closed == [(WORKER, call.call_id)]
    # Told again, nothing more happens.
    await lifecycle.note(gone, Standing(deleted=True, erased=True))
    assert await world.store.find(call.call_id) == ended


async def test_of_a_groups_call_only_the_person_goes(world: World, lifecycle: AccountLifecycle) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.join_call(call.call_id, BOB, TABLET)
    await lifecycle.note(ALICE, Standing(deleted=True))
    # She who is only rung is not rung any more.
    await lifecycle.note(CAROL, Standing(deleted=True))
    left = await world.store.find(call.call_id)
    assert left is not None
    assert left.state is CallState.ACTIVE
    assert [leg.user_id for leg in left.joined] == [BOB]
    assert not left.rings
    assert world.closer.removed == [(WORKER, ALICE, PHONE)]


def before(world: World, *device_ids: str) -> Standing:
    """All tokens until now are revoked, or those of some devices."""
    time = world.clock.now().timestamp() + 1
    return Standing(devices=dict.fromkeys(device_ids, time)) if device_ids else Standing(valid_from=time)


async def test_a_device_that_is_signed_out_is_out_of_its_call(world: World, lifecycle: AccountLifecycle) -> None:
    call = await world.answered()
    await lifecycle.note(BOB, before(world, LAPTOP))
    assert (await world.service.get_call(call.call_id, ALICE)).state is CallState.ACTIVE
    await lifecycle.note(BOB, before(world, TABLET))
    assert (await world.service.get_call(call.call_id, ALICE)).end_reason is EndReason.HUNG_UP


async def test_all_devices_signed_out_means_the_one_in_the_call_and_not_one_that_came_later(
    world: World, lifecycle: AccountLifecycle
) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.join_call(call.call_id, BOB, TABLET)
    standing = before(world)
    await lifecycle.note(BOB, standing)
    assert world.closer.removed == [(WORKER, BOB, TABLET)]
    world.clock.advance(2)
    # Logged in anew; an old record that comes again takes nobody out.
    await world.service.join_call(call.call_id, BOB, LAPTOP)
    await lifecycle.note(BOB, standing)
    # Nor does one about another device, which tells the older one too.
    later = world.clock.now().timestamp() + 1
    await lifecycle.note(BOB, Standing(valid_from=standing.valid_from, devices={"tablet-1": later}))
    now = await world.store.find(call.call_id)
    assert now is not None
    assert now.has_device(BOB, LAPTOP)


async def test_the_device_that_signed_the_others_out_stays_in_its_call(
    world: World, lifecycle: AccountLifecycle
) -> None:
    call = await world.answered()
    time = world.clock.now().timestamp() + 1
    await lifecycle.note(BOB, Standing(valid_from=time, kept_device=TABLET))
    await lifecycle.note(ALICE, Standing(valid_from=time, kept_device=LAPTOP))
    assert (await world.service.get_call(call.call_id, BOB)).end_reason is EndReason.HUNG_UP
    assert world.closer.closed == [(WORKER, call.call_id)]


@pytest.mark.parametrize(
    ("error", "goes_on"), [(cut_off(), True), (ValueError("a bug"), True), (cut_off(others_pass=False), False)]
)
async def test_somebody_who_cannot_be_erased_does_not_keep_the_others(
    world: World, error: Exception, goes_on: bool
) -> None:
    erased: list[UserId] = []

    class Accounts(FakeAccounts):
        async def erase(self, user_id: UserId, limit: int) -> bool:
            if user_id == ALICE:
                raise error
            erased.append(user_id)
            return False

    lifecycle = AccountLifecycle(Accounts(world, {ALICE: True, BOB: True}), world.changes, FakePublishedKeys())
    with nullcontext() if goes_on else pytest.raises(StoreUnavailable):
        await lifecycle.sweep()
    assert erased == ([BOB] if goes_on else [])


async def test_who_waits_in_a_lobby_waits_no_more_and_a_guest_leaves() -> None:
    meeting = Meeting()
    await meeting.begin()
    lifecycle = AccountLifecycle(FakeAccounts(meeting), meeting.changes, FakePublishedKeys())
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    _, secret = await meeting.link()
    await meeting.lobby.open_link(secret, FAY)
    for user in (EVE, FAY):
        await lifecycle.note(user, Standing(deleted=True))
    assert (await meeting.state_of(EVE), await meeting.state_of(FAY)) == (LegState.NOT_IN_CALL, LegState.WITHDRAWN)
    assert meeting.closer.removed == [(WORKER, EVE, LAPTOP)]
