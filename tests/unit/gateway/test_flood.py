"""One account, or one address, opens streams without end: the others come in as if it were not there."""

import asyncio
from contextlib import suppress

import pytest

from services.gateway.core.errors import TooManyDevices, TooManyStreams
from tests.unit.gateway.world import GatewayWorld


def refused(world: GatewayWorld, user: str, address: str = "") -> float:
    """0 for a stream that is let in, and gone at once; else the seconds to wait."""
    try:
        world.admission.depart(world.admission.admit(user, address))
    except TooManyStreams as error:
        return error.retry_delay_s
    return 0


async def test_a_user_who_floods_keeps_nobody_out_and_makes_nobody_wait() -> None:
    world = GatewayWorld(per_s=500, user_per_s=2)
    came_in, flooded = 0, 0
    for step in range(30 * 2000):
        world.clock.advance(1 / 2000)
        flooded += not refused(world, "flooding")
        if step % 20 == 0:
            came_in += not refused(world, f"honest-{step}")
    assert came_in == 30 * 100
    assert flooded <= 100 + 2 * 30 + 1


async def test_who_floods_is_told_the_time_of_their_own_bucket() -> None:
    world = GatewayWorld(per_s=1e6, user_per_s=2)
    told = [refused(world, "flooding") for _ in range(1_000)]
    assert max(told) == pytest.approx(0.5)
    world.clock.advance(0.5)
    assert not refused(world, "flooding")


async def test_an_address_holds_its_share_of_a_gateway_and_gets_it_back() -> None:
    world = GatewayWorld(per_address=2)
    writers = []

    async def write(frame: bytes) -> None:
        pass

    def subscribe(user: str, address: str) -> "asyncio.Task[None]":
        expires_at = world.clock.now().timestamp() + 3600
        return asyncio.create_task(world.gateway.subscribe(user, "phone-01", expires_at, "", 0, write, address))

    writers = [subscribe(f"user-{number}", "203.0.113.7") for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyDevices):
        await subscribe("user-3", "203.0.113.7")
    other = subscribe("user-4", "203.0.113.8")
    await asyncio.sleep(0)
    assert not other.done()
    writers[0].cancel()
    with suppress(asyncio.CancelledError):
        await writers[0]
    again = subscribe("user-5", "203.0.113.7")
    await asyncio.sleep(0)
    assert not again.done()
    for task in (writers[1], other, again):
        task.cancel()
    await asyncio.wait([writers[1], other, again])


async def test_a_stream_that_all_together_may_not_open_takes_no_share_of_its_address() -> None:
    world = GatewayWorld(per_s=1, per_address=1)
    while not refused(world, "first", "203.0.113.8"):
        pass
    for number in range(10):
        assert refused(world, f"user-{number}", "203.0.113.7")
    world.clock.advance(1)
    assert not refused(world, "user-0", "203.0.113.7")
