"""Streams of accounts that were deleted, and of tokens that were revoked."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.gateway.core.model import Unregister
from services.runtime.errors import AccountDeleted, Unauthenticated
from services.runtime.identity.accounts import Accounts, Standing
from services.runtime.identity.auth import UserId, UserToken
from tests.support.waiting import until
from tests.unit.gateway.world import FakeDevice, GatewayWorld


class World(GatewayWorld):
    """A gateway that knows accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = Accounts(self.clock, 86_400)

    def subscribe(self, device_id: str, after: FakeDevice | None = None, *, bound: bool = True) -> FakeDevice:
        """Alice's device comes with a token of now."""
        device, now = FakeDevice(), self.clock.now().timestamp()
        token = UserToken(UserId("alice"), now + 3600, now, device_id if bound else "", self.accounts)
        resume_token, position = (after.ready.resume_token, after.position) if after else ("", 0)
        call = self.gateway.subscribe(
            "alice",
            device_id,
            token.expires_at,
            resume_token,
            position,
            device.write,
            check=lambda: token.require_device(device_id),
        )
        device.task = asyncio.create_task(call)
        self._devices.append(device)
        return device

    async def online(self, device_id: str, *, bound: bool = True) -> FakeDevice:
        """A device with its stream ready."""
        device = self.subscribe(device_id, bound=bound)
        await until(lambda: device.of("ready"), what="Ready")
        return device

    def learn(self, standing: Standing) -> None:
        """The topic says so."""
        self.accounts.note("alice", standing)
        self.gateway.streams.account_changed("alice")

    def revoke(self, *device_ids: str) -> None:
        """All tokens until now, or those of some devices."""
        time = self.clock.now().timestamp() + 1
        self.learn(Standing(devices=dict.fromkeys(device_ids, time)) if device_ids else Standing(valid_from=time))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def test_all_streams_of_a_deleted_account_end_at_once_and_others_go_on(world: World) -> None:
    devices = [await world.online("phone-01"), await world.online("tablet-1", bound=False)]
    bob = await world.connect("bob", "bobs-phone")
    world.learn(Standing(deleted=True))
    for device in devices:
        assert isinstance(await device.ended(), AccountDeleted)
    assert world.session_ids("alice") == []
    assert bob.task
    assert not bob.task.done()
    assert world.presence.of(Unregister)
    assert isinstance(await world.subscribe("phone-01").ended(), AccountDeleted)


async def test_the_stream_of_a_device_that_was_signed_out_ends_and_cannot_be_resumed(world: World) -> None:
    phone, tablet = await world.online("phone-01"), await world.online("tablet-1")
    world.revoke("phone-01")
    ended = await phone.ended()
    assert isinstance(ended, Unauthenticated)
    assert ended.reason == "TOKEN_REVOKED"
    assert tablet.task
    assert not tablet.task.done()
    await world.tick(2)
    # With a new token of its own it begins afresh: what was kept for it is gone.
    back = world.subscribe("phone-01", after=phone)
    await until(lambda: back.of("ready"), what="Ready")
    assert not back.ready.resumed


async def test_a_broken_stream_that_waits_to_be_resumed_is_given_up(world: World) -> None:
    phone = await world.online("phone-01")
    await phone.break_off()
    assert len(world.session_ids("alice")) == 1
    world.revoke()
    assert world.session_ids("alice") == []


async def test_nothing_that_waits_is_written_to_a_device_that_was_signed_out(world: World) -> None:
    phone = await world.online("phone-01")
    phone.reads.clear()
    for seq in range(1, 5):
        world.tell("alice", seq)
    await world.tick()
    world.revoke()
    world.tell("alice", 5)
    phone.reads.set()
    assert isinstance(await phone.ended(), Unauthenticated)
    # The one whose write was under way when it was signed out.
    assert phone.seqs == [1]


async def test_a_device_that_does_not_read_is_cut_off_all_the_same(world: World) -> None:
    phone = await world.online("phone-01")
    phone.reads.clear()
    world.tell("alice", 1)
    await world.tick()
    world.revoke()
    await world.tick(10)
    assert isinstance(await phone.ended(), Unauthenticated)
    assert world.session_ids("alice") == []


async def test_a_token_that_was_revoked_while_it_was_looked_at_opens_nothing(world: World) -> None:
    phone = world.subscribe("phone-01")
    # Verified, and not yet running.
    world.revoke()
    assert isinstance(await phone.ended(), Unauthenticated)
    assert world.session_ids("alice") == []


async def test_a_newer_token_keeps_its_stream_when_older_ones_are_revoked_again(world: World) -> None:
    world.revoke()
    world.clock.advance(2)
    phone = await world.online("phone-01")
    world.gateway.streams.account_changed("alice")
    await world.tick()
    assert phone.task
    assert not phone.task.done()
