"""One call on two workers: devices of each are seen and heard by those of the other, over their media ports."""

import secrets
import socket
from dataclasses import dataclass, field

import pytest
from aiortc import RTCSessionDescription

from services.sfu.core.errors import RelaysInvalid, SdpError
from services.sfu.core.ids import CallId, ParticipantNumber, WorkerId
from services.sfu.ports import CallRelays, RelayedDevice, RelayPeer
from tests.integration.sfu.conftest import Client, RunningWorker, dropped, key_of, run_worker
from tests.support.waiting import until

CALL = CallId("call-1")


@dataclass
class Joined:
    """A client, where it is at home, and by which number."""

    worker: int
    client: Client
    number: ParticipantNumber
    offer: str


@dataclass
class Pair:
    """Two workers, and what signaling would know of a call on both."""

    workers: list[RunningWorker]
    joined: dict[str, Joined] = field(default_factory=dict)
    revision: int = 0
    ids: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(8) for _ in range(2)])
    keys: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(16) for _ in range(2)])

    async def join(self, worker: int, client: Client) -> None:
        offer = await client.offer()
        admission = await self.workers[worker].admit(offer, client.user, client.device)
        self.joined[client.user] = Joined(worker, client, admission.number, offer)
        await self.tell()
        await client.play(RTCSessionDescription(admission.sdp_answer, "answer"))

    def peer(self, here: int) -> RelayPeer:
        """The other worker, as this one is told of it."""
        there = 1 - here
        host, port = self.workers[there].services.media.address
        return RelayPeer(
            worker_id=WorkerId(f"w{there}"),
            address=(host, port),
            send_leg_id=self.ids[here],
            receive_leg_id=self.ids[there],
            send_key=self.keys[here],
            receive_key=self.keys[there],
        )

    def relays(self, here: int) -> CallRelays:
        devices = tuple(
            RelayedDevice(key_of(user), WorkerId(f"w{joined.worker}"), joined.number, joined.offer)
            for user, joined in self.joined.items()
            if joined.worker != here
        )
        return CallRelays(CALL, self.revision, (self.peer(here),), devices)

    async def tell(self, *workers: int) -> None:
        self.revision += 1
        for here in workers or (0, 1):
            await self.workers[here].services.sfu.set_relays(self.relays(here))

    async def close(self) -> None:
        for joined in self.joined.values():
            await joined.client.close()


async def test_clients_of_two_workers_see_and_hear_each_other() -> None:
    async with run_worker() as one, run_worker() as two:
        pair = Pair([one, two])
        ann, bob = Client("ann", grey=60), Client("bob", grey=200)
        await pair.join(0, ann)
        await pair.join(1, bob)
        try:
            await until(lambda: ann.sees(200) and bob.sees(60), what="both see the other's picture")
            await until(lambda: ann.hears() and bob.hears(), what="both hear the other's tone")
            await until(
                lambda: set(ann.publishers().values()) == {"bob"} and set(bob.publishers().values()) == {"ann"},
                what="the maps name each other",
            )
            # Each worker announces and counts its own alone.
            for worker, user in ((one, "ann"), (two, "bob")):
                assert worker.services.sfu.participant_count == 1
                listed, address = await worker.services.sfu.list_joined(CALL)
                assert listed == [(key_of(user), pair.joined[user].number, pair.joined[user].offer)]
                assert address == worker.services.media.media_address
                await until(lambda worker=worker: worker.publisher.call_events(), what="its own is announced")
                users = {event.media_connected.user_id for event in worker.publisher.call_events()}
                assert users == {user}
            ann.mute(audio=True, video=True)
            await until(lambda: len(bob.muted()) == 2, what="bob is told that ann is muted")
        finally:
            await pair.close()
        for worker in (one, two):
            await worker.services.sfu.end_call(CALL)
            await until(
                lambda worker=worker: worker.services.media.open_resources == 0, what="the worker has forgotten all"
            )


async def test_who_comes_later_is_seen_and_a_worker_that_goes_takes_only_its_own_along() -> None:
    async with run_worker() as one:
        async with run_worker() as two:
            pair = Pair([one, two])
            ann, bob, cid = Client("ann", grey=60), Client("bob", grey=130), Client("cid", grey=210)
            await pair.join(0, ann)
            await pair.join(0, bob)
            await until(lambda: ann.sees(130) and bob.sees(60), what="the first two see each other")
            await pair.join(1, cid)
            await until(lambda: cid.sees(60) and cid.sees(130), what="the third sees both")
            await until(lambda: ann.sees(210) and bob.sees(210), what="both see the third")
        try:
            # The second worker is gone, and nobody says so.
            muted = lambda: {slot.user_id for slot in bob.maps[-1].slots if slot.muted}  # noqa: E731
            await until(
                lambda: muted() == {"cid"} or "cid" not in bob.publishers().values(), what="the third one is off"
            )
            frames = bob.frames()
            await until(lambda: bob.frames() > frames + 20, what="the others' pictures go on")
            assert "ann" in bob.publishers().values()
        finally:
            await pair.close()
        await one.services.sfu.end_call(CALL)
        await until(lambda: one.services.media.open_resources == 0, what="the worker has forgotten all")


async def test_strangers_and_replays_are_dropped_with_a_reason() -> None:
    async with run_worker() as one, run_worker() as two:
        pair = Pair([one, two])
        await pair.tell()
        address = one.services.media.address
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            before = {reason: dropped(reason) for reason in ("relay_source", "relay_unknown", "relay_malformed")}
            stranger.sendto(b"\x0e" + pair.ids[1] + bytes(60), address)
            stranger.sendto(b"\x0e" + bytes(8) + bytes(60), address)
            stranger.sendto(b"\x0e" + bytes(8), address)
            await until(
                lambda: all(dropped(reason) == count + 1 for reason, count in before.items()), what="each is counted"
            )
        await pair.tell()
        for worker in (one, two):
            await worker.services.sfu.end_call(CALL)
            assert worker.services.media.open_resources == 0


async def test_what_cannot_be_changes_nothing() -> None:
    async with run_worker() as one, run_worker() as two:
        pair = Pair([one, two])
        await pair.tell()
        held = one.services.media.open_resources
        host, port = one.services.media.address
        assert one.services.media.media_address == f"{host}:{port}"
        offers = RelayedDevice(key_of("ann"), WorkerId("w1"), ParticipantNumber(1), "v=0")
        with pytest.raises(SdpError):
            await one.services.sfu.set_relays(CallRelays(CALL, 9, (pair.peer(0),), (offers,)))
        with pytest.raises(RelaysInvalid):
            await one.services.sfu.set_relays(CallRelays(CallId("call-2"), 9, (pair.peer(0),), ()))
        assert one.services.media.open_resources == held
        assert await one.services.sfu.set_relays(CallRelays(CALL, 1, (), ())) == 1
        assert one.services.media.open_resources == held
        assert await one.services.sfu.set_relays(CallRelays(CALL, 10, (), ())) == 10
        assert one.services.media.open_resources == 0
