"""Calls between real peers."""

import asyncio
from functools import partial

import aioice.ice
import pytest
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.sfu.core.errors import SdpError
from services.sfu.core.ids import CallId
from tests.integration.sfu.conftest import Client, RunningWorker, key_of
from tests.integration.sfu.relay import Relay
from tests.support.waiting import until


async def join_two(worker: RunningWorker) -> tuple[Client, Client]:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    await ann.join(worker)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    return ann, bob


async def close(worker: RunningWorker, *clients: Client) -> None:
    await asyncio.gather(*(client.close() for client in clients))
    await until(lambda: worker.services.media.open_resources == 0, what="the worker has forgotten them")


def disconnects(worker: RunningWorker) -> list[tuple[str, int]]:
    return [
        (event.media_disconnected.user_id, event.media_disconnected.reason)
        for event in worker.publisher.call_events()
        if event.WhichOneof("event") == "media_disconnected"
    ]


async def test_two_peers_see_and_hear_each_other(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    await until(lambda: ann.hears() and bob.hears(), what="both hear the other's tone")
    connected = [event.media_connected.user_id for event in worker.publisher.call_events()]
    assert sorted(connected) == ["ann", "bob"]
    await close(worker, ann, bob)
    reason = calls_events.MEDIA_DISCONNECT_REASON_CLOSED
    assert sorted(disconnects(worker)) == [("ann", reason), ("bob", reason)]


async def test_slot_map_names_the_publisher_and_follows_mute(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    await until(lambda: ann.publishers() == {"2": "bob", "4": "bob"}, what="ann's map names bob")
    bob.mute(audio=False, video=True)
    await until(lambda: ann.muted() == {"4"}, what="ann is told that bob's camera is off")
    bob.mute(audio=True, video=False)
    await until(lambda: ann.muted() == {"2"}, what="ann is told that bob's microphone is off")
    await bob.close()
    await until(lambda: ann.publishers() == {}, what="ann's slots are free again")
    await close(worker, ann)


async def test_rejoin_of_a_device_replaces_it_and_brings_media_again(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    again = Client("bob", grey=20)
    await again.join(worker)
    await until(lambda: again.sees(60) and ann.sees(20), what="both see each other again")
    assert (("bob", calls_events.MEDIA_DISCONNECT_REASON_REPLACED)) in disconnects(worker)
    assert worker.services.sfu.participant_count == 2
    await close(worker, ann, bob, again)


async def test_third_participant_takes_the_second_slots(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    cid = Client("cid", grey=20)
    await cid.join(worker)
    await until(lambda: ann.sees(20) and bob.sees(20) and cid.sees(60) and cid.sees(200), what="all see all")
    assert ann.publishers() == {"2": "bob", "3": "cid", "4": "bob", "5": "cid"}
    await close(worker, ann, bob, cid)


async def test_two_devices_of_one_user_see_each_other_but_never_themselves(worker: RunningWorker) -> None:
    phone, desk = Client("ann", grey=60, device="phone"), Client("ann", grey=200, device="desk")
    await phone.join(worker)
    await desk.join(worker)
    await until(lambda: phone.sees(200) and desk.sees(60), what="the devices see each other")
    assert not phone.sees(60)
    await close(worker, phone, desk)


async def test_listener_without_own_media_is_connected_and_sees(worker: RunningWorker) -> None:
    ann, bob = Client("ann", grey=60, sends=""), Client("bob", sends="audio")
    await ann.join(worker)
    await bob.join(worker)
    await until(ann.hears, what="ann hears bob")
    await until(lambda: len(worker.publisher.call_events()) == 2, what="both count as connected")
    await close(worker, ann, bob)


async def test_calls_are_apart(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    eve = Client("eve", grey=20)
    await eve.join(worker, call="call-2")
    await until(lambda: len(worker.publisher.call_events()) == 3, what="eve is in")
    assert eve.publishers() == {}
    assert not ann.sees(20)
    await close(worker, ann, bob, eve)


async def test_removed_and_ended_participants_are_told(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    await worker.services.sfu.remove(key_of("bob"))
    await worker.services.sfu.remove(key_of("bob"))
    await until(lambda: bob.pc.connectionState == "closed", what="bob's connection is closed")
    await worker.services.sfu.end_call(CallId("call-1"))
    await worker.services.sfu.end_call(CallId("call-1"))
    await until(lambda: worker.services.media.open_resources == 0, what="the worker has forgotten both")
    reason = calls_events.MEDIA_DISCONNECT_REASON_REMOVED
    assert disconnects(worker) == [("bob", reason), ("ann", reason)]
    await asyncio.gather(ann.close(), bob.close())


async def test_pictures_go_on_at_five_percent_loss_each_way(worker: RunningWorker) -> None:
    relays = [Relay(worker.services.media.address, seed=seed) for seed in (1, 2)]
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    await ann.join(worker, relay=relays[0])
    await bob.join(worker, relay=relays[1])
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    for relay in relays:
        relay.loss = 0.05
    before = ann.frames(), bob.frames()
    await until(
        lambda: min(ann.frames() - before[0], bob.frames() - before[1]) >= 80,
        what="80 more pictures each",
    )
    for relay in relays:
        relay.loss = 0.0
    await close(worker, ann, bob)
    for relay in relays:
        relay.close()


async def test_client_that_moves_to_another_address_keeps_its_media(
    worker: RunningWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Until its next check the client cannot be told from a stranger, and aiortc's receiver stalls on gaps over 128: at
    # ten pictures a second a slow machine has 13 s for it.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 1)
    relay = Relay(worker.services.media.address)
    ann, bob = Client("ann", grey=60, every=3), Client("bob", grey=200, every=3)
    await ann.join(worker, relay=relay)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
    await relay.move()
    before = ann.frames(), bob.frames()

    def since() -> tuple[int, ...]:
        return tuple(min(30, now - then) for now, then in zip((ann.frames(), bob.frames()), before, strict=True))

    await until(lambda: since() == (30, 30), what="pictures go on both ways", progress=since)
    await close(worker, ann, bob)
    relay.close()


async def test_quality_is_reported_for_each_participant(worker: RunningWorker) -> None:
    ann, bob = await join_two(worker)
    await until(lambda: len(worker.publisher.of("media.quality.v1")) >= 2, what="a report each")
    record = worker.publisher.of("media.quality.v1")[0]
    report = sfu_events.QualityReport.FromString(record.value or b"")
    assert record.key == b"call-1"
    assert report.user_id == "ann"
    assert report.uplink.packets > 0
    assert report.downlink.packets > 0
    assert report.uplink.loss_ratio == 0
    assert 0 < report.downlink.rtt_ms < 1000
    await close(worker, ann, bob)


async def test_many_joins_and_leaves_leave_nothing_behind(worker: RunningWorker) -> None:
    ann = Client("ann", grey=60)
    await ann.join(worker)
    for turn in range(6):
        bob = Client("bob", grey=200, device=f"d{turn % 2}", slots=1)
        await bob.join(worker)
        await until(partial(bob.sees, 60), what="bob sees ann")
        await bob.close()
    for turn in range(20):
        await worker.join(await Client("cid", device=f"d{turn}").offer(), "cid", device=f"d{turn}")
        await worker.services.sfu.remove(key_of("cid", f"d{turn}"))
    await until(lambda: worker.services.sfu.participant_count == 1, what="only ann is left")
    await close(worker, ann)


async def test_answer_names_no_address_but_the_workers(worker: RunningWorker) -> None:
    ann, bob = Client("ann"), Client("bob")
    await ann.join(worker)
    offer = (await bob.offer()).replace("127.0.0.1", "203.0.113.7")
    answer = await worker.join(offer, "bob")
    addresses = {line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate")}
    assert addresses == {"127.0.0.1"}
    assert "203.0.113.7" not in answer
    # aioice, closed while it connects, begins its checks of consent afterwards, and nobody ends them.
    await until(lambda: ann.pc.connectionState == "connected", what="ann is connected")
    await bob.close()
    await worker.services.sfu.end_call(CallId("call-1"))
    await ann.close()


async def test_faulty_offer_is_refused_by_name_and_leaves_nothing(worker: RunningWorker) -> None:
    client = Client("ann")
    offer = (await client.offer()).replace("a=rtcp-mux\r\n", "", 1)
    with pytest.raises(SdpError, match="mid 0: a=rtcp-mux is missing"):
        await worker.join(offer, "ann")
    assert worker.services.media.open_resources == 0
    await client.close()
