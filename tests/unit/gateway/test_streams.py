"""Streams of devices, from Ready to their end, with a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from parley.gateway.v1 import messages_pb2 as events

from services.gateway.core.errors import (
    DeviceLimit,
    Draining,
    Replaced,
    RouterUnavailable,
    SlowConsumer,
    TooManyDevices,
    TooManyStreams,
)
from services.gateway.core.model import Detached, Unregister, Watch
from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.errors import Unauthenticated
from tests.support.spans import kept_spans
from tests.support.waiting import until
from tests.unit.gateway.world import FakeDevice, GatewayWorld, with_policy


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., GatewayWorld]]:
    """Makes worlds whose devices all go away in the end."""
    made: list[GatewayWorld] = []

    def make(*arguments: Any, **more: Any) -> GatewayWorld:
        made.append(GatewayWorld(*arguments, **more))
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(make_world: Callable[..., GatewayWorld]) -> AsyncIterator[GatewayWorld]:
    async with asyncio.TaskGroup() as group:
        made = make_world()
        watching = group.create_task(made.gateway.watch_lists.run())
        yield made
        watching.cancel()


async def has(device: FakeDevice, *seqs: int) -> None:
    await until(lambda: device.seqs == list(seqs), what=f"messages {seqs}")


async def test_a_stream_that_broke_goes_on_with_what_it_missed(world: GatewayWorld) -> None:
    first = await world.connect()
    world.tell("alice", 1)
    await has(first, 1)
    await first.break_off()
    world.tell("alice", 2)
    second = await world.connect(after=first)
    assert second.ready.resumed
    await has(second, 2)
    assert second.position == 2


async def test_what_was_written_and_never_arrived_is_written_again(world: GatewayWorld) -> None:
    first = await world.connect()
    world.tell("alice", 1)
    await has(first, 1)
    world.tell("alice", 2)
    await has(first, 1, 2)
    await first.break_off()
    first.got.pop()
    await has(await world.connect(after=first), 2)


async def test_a_resume_with_a_current_position_asks_nobody_and_writes_ready_alone(world: GatewayWorld) -> None:
    first = await world.connect()
    await world.gateway.watch_presence("alice", "phone-01", ["bob"])
    await until(lambda: world.membership.asked == 1, what="the watch list")
    await first.break_off()
    second = await world.connect(after=first)
    assert second.ready.resumed
    assert len(second.got) == 1
    assert world.membership.asked == 1


async def test_a_resumed_stream_has_its_watch_list_and_asks_for_snapshots(world: GatewayWorld) -> None:
    first = await world.connect()
    await world.gateway.watch_presence("alice", "phone-01", ["bob"])
    await until(lambda: world.presence.of(Watch), what="the watch list")
    await first.break_off()
    await world.connect(after=first)
    session_id = world.session_ids("alice")[0]
    assert world.presence.of(Watch)[-1] == Watch(1, session_id, ("bob",))  # type: ignore[arg-type]
    assert world.presence.of(Detached) == [Detached((session_id,), True), Detached((session_id,), False)]


async def test_a_newer_connection_takes_the_stream_over_from_one_that_looks_alive(world: GatewayWorld) -> None:
    dead = await world.connect()
    dead.reads.clear()
    world.tell("alice", 1)
    second = await world.connect(after=dead)
    assert second.ready.resumed
    await has(second, 1)
    assert isinstance(await dead.ended(), Replaced)
    assert len(world.session_ids("alice")) == 1


async def test_without_a_token_a_newer_stream_replaces_the_older_and_starts_afresh(world: GatewayWorld) -> None:
    first = await world.connect()
    second = await world.connect()
    assert not second.ready.resumed
    assert isinstance(await first.ended(), Replaced)
    assert len(world.session_ids("alice")) == 1


@pytest.mark.parametrize(("user_id", "device_id"), [("mallory", "phone-01"), ("alice", "laptop-1")])
async def test_anothers_token_is_a_fresh_start_and_leaves_the_other_alone(
    world: GatewayWorld, user_id: str, device_id: str
) -> None:
    alice = await world.connect()
    await alice.break_off()
    thief = await world.connect(user_id, device_id, token=alice.ready.resume_token)
    assert not thief.ready.resumed
    world.tell("alice", 1)
    assert (await world.connect(after=alice)).ready.resumed


@pytest.mark.parametrize("token", ["x", "A" * 64, "A" * 10_000, "\x00", "ümlaut"])
async def test_a_forged_token_is_a_fresh_start(world: GatewayWorld, token: str) -> None:
    assert not (await world.connect(token=token)).ready.resumed


async def test_after_the_window_a_device_starts_afresh(world: GatewayWorld) -> None:
    first = await world.connect()
    await first.break_off()
    await world.tick(61)
    assert world.session_ids("alice") == []
    assert world.presence.of(Unregister)
    assert not (await world.connect(after=first)).ready.resumed


async def test_a_device_that_missed_too_much_goes_on_and_is_told_where_it_is_behind(world: GatewayWorld) -> None:
    first = await world.connect()
    await first.break_off()
    for seq in range(1, 20):
        world.tell("alice", seq, f"c{seq % 2}")
    second = await world.connect(after=first)
    await until(lambda: second.of("resync"), what="the resync")
    resync = second.of("resync")[0].event.resync
    assert resync.reason == events.RESYNC_REASON_MISSED
    assert list(resync.conversation_ids) == ["c0", "c1"]
    world.tell("alice", 20)
    await has(second, 20)


async def test_a_position_that_is_not_kept_any_more_is_a_fresh_start(world: GatewayWorld) -> None:
    first = await world.connect()
    early = FakeDevice()
    early.got = list(first.got)
    for seq in range(1, 8):
        world.tell("alice", seq)
    await has(first, *range(1, 8))
    await first.break_off()
    assert not (await world.connect(after=early)).ready.resumed


async def test_a_device_that_never_reads_is_ended_and_what_it_holds_is_bounded(world: GatewayWorld) -> None:
    device = await world.connect()
    device.reads.clear()
    for seq in range(1, 1_000):
        world.tell("alice", seq, text="x" * 100)
        queue = world.streams.by_session[world.session_ids("alice")[0]].queue
        assert len(queue) <= 8
        assert queue.bytes_waiting <= 1 << 16
    await world.tick(7)
    assert isinstance(await device.ended(), SlowConsumer)
    again = await world.connect(after=device)
    await until(lambda: again.of("resync"), what="the resync")
    assert again.of("resync")[0].event.resync.conversation_ids == ["c1"]


async def test_a_slow_device_that_reads_again_is_told_why_it_was_ended(world: GatewayWorld) -> None:
    device = await world.connect()
    device.reads.clear()
    for seq in range(1, 20):
        world.tell("alice", seq)
    device.reads.set()
    assert isinstance(await device.ended(), SlowConsumer)
    assert device.of("resync")[-1].event.resync.reason == events.RESYNC_REASON_SLOW_CONSUMER


async def test_a_write_that_nobody_reads_for_long_ends_the_stream_though_the_queue_has_room(
    world: GatewayWorld,
) -> None:
    device = await world.connect()
    device.reads.clear()
    world.tell("alice", 1)
    await world.tick(30)
    assert isinstance(await device.ended(), SlowConsumer)


async def test_a_gateway_that_gets_no_cpu_takes_no_device_for_stuck(world: GatewayWorld) -> None:
    device = await world.connect()
    device.reads.clear()
    world.tell("alice", 1)
    for _ in range(10):
        world.clock.advance(30)
        await world.tick()
    device.reads.set()
    await has(device, 1)
    assert device.task
    assert not device.task.done()


async def test_heartbeats_come_once_in_their_interval(world: GatewayWorld) -> None:
    device = await world.connect()
    await world.tick(40)
    await until(lambda: len(device.of("heartbeat")) == 4, what="four heartbeats")


async def test_a_stream_ends_with_its_token_and_the_next_goes_on(world: GatewayWorld) -> None:
    device = world.begin("alice", "phone-01", ttl_s=5)
    await until(lambda: device.of("ready"), what="Ready")
    await world.tick(5 + CLOCK_SKEW_S)
    assert isinstance(await device.ended(), Unauthenticated)
    assert (await world.connect(after=device)).ready.resumed


@pytest.mark.parametrize("by_s", [-3600, 3600])
async def test_a_wall_clock_that_is_set_ends_no_stream_and_keeps_none(world: GatewayWorld, by_s: int) -> None:
    device = world.begin("alice", "phone-01", ttl_s=60)
    await until(lambda: device.of("ready"), what="Ready")
    world.clock.step(by_s)
    await world.tick(10)
    assert len(world.session_ids("alice")) == 1
    await world.tick(50 + CLOCK_SKEW_S)
    assert isinstance(await device.ended(), Unauthenticated)


async def test_a_device_that_is_not_routed_in_time_is_told_to_come_again(world: GatewayWorld) -> None:
    world.presence.acknowledges = False
    device = world.begin("alice", "phone-01")
    await asyncio.sleep(0)
    await world.tick(17)
    assert isinstance(await device.ended(), RouterUnavailable)
    assert world.session_ids("alice") == []


async def test_of_too_many_devices_the_oldest_is_told_and_ended(make_world: Callable[..., GatewayWorld]) -> None:
    world = make_world(devices_per_user=2)
    oldest, newer = await world.connect(device_id="device-1"), await world.connect(device_id="device-2")
    await world.connect(device_id="device-3")
    assert isinstance(await oldest.ended(), DeviceLimit)
    assert newer.task
    assert not newer.task.done()


async def test_a_full_gateway_and_a_herd_are_refused_for_now(make_world: Callable[..., GatewayWorld]) -> None:
    world = make_world(with_policy(max_devices=1))
    await world.connect()
    assert isinstance(await world.begin("bob", "phone-01").ended(), TooManyDevices)
    herd = make_world(with_policy(max_devices=1_000), per_s=1.0)
    for number in range(100):
        herd.begin(f"user-{number}", "phone-01")
    refused = await herd.begin("late", "phone-01").ended()
    assert isinstance(refused, TooManyStreams)
    assert refused.retry_delay_s > 0


async def test_a_drain_tells_each_device_its_own_delay(make_world: Callable[..., GatewayWorld]) -> None:
    world = make_world(with_policy(drain_spread_s=20, drain_within_s=0))
    devices = [await world.connect(f"user-{number}") for number in range(10)]
    world.streams.drain()
    refusals = [await device.ended() for device in devices]
    delays = [refusal.retry_delay_s for refusal in refusals if isinstance(refusal, Draining)]
    assert delays == [pytest.approx(0.1 + 2 * number + 1) for number in range(10)]
    assert isinstance(await world.begin("late", "phone-01").ended(), Draining)


async def test_who_may_not_be_seen_is_left_out_of_the_list_without_a_word(world: GatewayWorld) -> None:
    world.membership.hidden = {frozenset(("alice", "bob"))}
    device = await world.connect()
    await world.gateway.watch_presence("alice", "phone-01", ["bob", "carol"])
    await until(lambda: world.presence.of(Watch), what="the watch list")
    assert world.presence.of(Watch)[-1] == Watch(1, world.session_ids("alice")[0], ("carol",))  # type: ignore[arg-type]
    assert device.of("presence") == []


async def test_when_relations_change_the_list_is_asked_for_anew_at_once(world: GatewayWorld) -> None:
    device = await world.connect()
    await world.gateway.watch_presence("alice", "phone-01", ["bob", "carol"])
    await until(lambda: world.presence.of(Watch), what="the watch list")
    world.membership.hidden = {frozenset(("alice", "bob"))}
    world.gateway.relations_changed(world.session_ids("alice"), "")
    await until(lambda: device.of("presence"), what="bob's going")
    assert world.membership.forgotten == ["alice"]
    changed = device.of("presence")[0].event.presence
    assert (changed.user_id, changed.state) == ("bob", events.PRESENCE_STATE_OFFLINE)
    assert not changed.HasField("last_seen_time")
    world.membership.hidden = set()
    world.gateway.relations_changed(world.session_ids("alice"), "")
    session_id = world.session_ids("alice")[0]
    both = Watch(1, session_id, ("bob", "carol"))  # type: ignore[arg-type]
    await until(lambda: world.presence.of(Watch)[-1] == both, what="bob's return")


async def test_when_one_person_hides_only_their_watchers_are_asked_about(world: GatewayWorld) -> None:
    alice, carol = await world.connect("alice"), await world.connect("carol")
    for user_id in ("alice", "carol"):
        await world.gateway.watch_presence(user_id, "phone-01", ["bob"])
    await until(lambda: len(world.presence.of(Watch)) == 2, what="the watch lists")
    world.membership.hidden = {frozenset(("alice", "bob"))}
    asked = world.membership.asked
    world.gateway.relations_changed([*world.session_ids("alice"), *world.session_ids("carol")], "bob")
    await until(lambda: len(alice.of("presence")) == 1, what="bob's going")
    assert world.membership.asked == asked + 1
    assert carol.of("presence") == []


async def test_a_list_waits_until_messaging_is_back(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.watch_lists.RETRY_S", 0.01)
    world.membership.away = True
    await world.connect()
    await world.gateway.watch_presence("alice", "phone-01", ["bob"])
    await until(lambda: world.membership.asked > 1, what="another attempt")
    world.membership.away = False
    await until(lambda: world.presence.of(Watch), what="the watch list")


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_the_span_of_a_delivery_ends_when_the_device_takes_it_and_each_device_has_its_own(
    world: GatewayWorld,
) -> None:
    phone, slow = await world.connect(), await world.connect(device_id="laptop-1")
    slow.reads.clear()
    with kept_spans() as kept:
        world.tell("alice", 1, trace=TRACE)
        world.tell("alice", 2)
        await has(phone, 1, 2)
        assert [(span.name, span.parent_id, span.failure) for span in kept.spans] == [
            ("deliver", "00f067aa0ba902b7", "")
        ]
        slow.reads.set()
        await has(slow, 1, 2)
        assert len(kept.spans) == 2
    assert {span.context.trace_id for span in kept.spans} == {"4bf92f3577b34da6a3ce929d0e0e4736"}


async def test_what_a_device_reads_too_slowly_for_is_a_delivery_that_failed(world: GatewayWorld) -> None:
    device = await world.connect()
    device.reads.clear()
    with kept_spans() as kept:
        for seq in range(1, 11):
            world.tell("alice", seq, trace=TRACE)
        await until(lambda: kept.spans, what="the spans")
        assert {span.failure for span in kept.spans} == {"lost"}


async def test_without_a_recorder_a_trace_leaves_nothing_and_the_message_comes(world: GatewayWorld) -> None:
    device = await world.connect()
    world.tell("alice", 1, trace=TRACE)
    await has(device, 1)
    with kept_spans() as kept:
        world.tell("alice", 2)
        await has(device, 1, 2)
    assert kept.spans == []
