"""One call over several workers: who is at home on one is heard and seen on the others, as if they were there."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.layer_demand import HOLD_S
from services.sfu.core.ids import LegNumber, ParticipantNumber, UserId
from services.sfu.core.selection.video_requests import VideoRequest, VideoRequests
from services.sfu.core.session.effects import AnnounceConnected, Disconnect, SendMedia
from services.sfu.core.session.relays import IDLE_S, WANTS_LIFE_S
from services.sfu.core.session.remote_participants import SILENT_HOME_S
from services.sfu.core.wire import relay_frames, rtcp
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import key, offer, receivers, rtp, video
from tests.unit.sfu.counting import MOST_LINES, count_lines
from tests.unit.sfu.effects import key_frame_requests, payload_of
from tests.unit.sfu.relaying import CALL, Workers

VOICE, Q, H, F = 7, 21, 22, 23
LAYERS = {b"q": Q, b"h": H, b"f": F}
HEIGHTS = {b"q": 180, b"h": 360, b"f": 720}


def see(height: int, user: str = "ann") -> VideoRequests:
    return VideoRequests((VideoRequest(UserId(user), "", False, height, False),))


def speak(workers: Workers, user: str, number: int, ssrc: int = VOICE, body: bytes = b"opus") -> None:
    workers.send(user, rtp(ssrc, number, body, timestamp=number * 960, level=b"\x14", mid=b"0"))


def picture(rid: bytes, number: int, *, key_frame: bool = False, size: int = 300) -> bytes:
    """A VP8 packet that says how high its layer is, where it begins."""
    height = HEIGHTS.get(rid, 180)
    start = b"\x9d\x01\x2a" + (16 * height // 9).to_bytes(2, "little") + height.to_bytes(2, "little")
    payload = b"\x90\x80" + (0x8000 | number & 0x7FFF).to_bytes(2, "big")
    payload += (b"\x00\x00\x00" + start if key_frame else b"\x01\x00\x00") + number.to_bytes(4, "big") + bytes(size)
    extension = {"mid": b"1"} | ({"rid": rid} if rid else {})
    return rtp(LAYERS.get(rid, Q), number, payload, pt=96, timestamp=number * 3000, marker=True, **extension)


class Camera:
    """Ann's: it sends what it is asked for, a key frame when it is asked, 25 frames a second."""

    def __init__(self, workers: Workers, user: str = "ann", rids: tuple[bytes, ...] = (b"q", b"h", b"f")) -> None:
        self.workers, self.user = workers, user
        self.rids = rids
        self.numbers = dict.fromkeys(rids, 0)
        self.key_frames = 0
        self.wants_key_frame = True

    def run(self, seconds: float) -> None:
        for step in range(round(seconds / 0.02)):
            self.workers.tick()
            home, participant = self.workers.home_of(self.user)
            if key_frame_requests(self.workers.effects[home], participant):
                self.wants_key_frame = True
            self.workers.effects[home] = [
                effect for effect in self.workers.effects[home] if not key_frame_requests([effect], participant)
            ]
            if step % 2:
                self.send()

    def send(self) -> None:
        _, participant = self.workers.home_of(self.user)
        states = {state.rid.encode(): state.is_wanted for state in participant.layer_states()}
        is_key = self.wants_key_frame
        self.key_frames += is_key
        self.wants_key_frame = False
        for rid in self.rids:
            self.numbers[rid] += 1
            if states.get(rid, True):
                size = {b"q": 300, b"h": 600, b"f": 900}.get(rid, 300)
                self.workers.send(self.user, picture(rid, self.numbers[rid], key_frame=is_key, size=size))


@pytest.fixture
def workers() -> Workers:
    return Workers()


def test_a_voice_is_heard_on_the_other_worker_and_nobody_is_announced_there(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    workers.tick(0.2)
    workers.take(1)
    for number in range(1, 20):
        speak(workers, "ann", number)
        workers.tick()
    effects = workers.take(1)
    heard = [effect for effect in effects if isinstance(effect, SendMedia)]
    assert len(heard) >= 18
    assert {number for effect in heard for number in receivers(effect)} == {bob.number}
    assert not any(isinstance(effect, AnnounceConnected | Disconnect) for effect in effects)
    assert [entry.publisher for entry in bob.slot_map()][:1] == [key("ann")]
    assert len(workers.routers[1].members) == 1
    assert workers.routers[1].members.participants == [bob]


def test_packets_cross_as_they_came(workers: Workers) -> None:
    workers.join(0, "ann")
    workers.join(1, "bob")
    workers.tick(0.2)
    packet = rtp(VOICE, 5, b"sealed end to end", level=b"\x14", mid=b"0")
    workers.send("ann", packet)
    workers.tick(0.2)
    again = rtp(VOICE, 6, b"sealed end to end, too", level=b"\x14", mid=b"0")
    workers.send("ann", again)
    assert again in workers.media_to(1)


def test_three_hear_each_other_over_three_workers() -> None:
    workers = Workers(3)
    people = [workers.join(worker, user, slots=2) for worker, user in enumerate(("ann", "bob", "cid"))]
    workers.tick(0.2)
    for number in range(1, 30):
        for ssrc, user in enumerate(("ann", "bob", "cid"), 1):
            speak(workers, user, number, ssrc=ssrc)
        workers.tick()
    for person in people:
        heard = {slot.publication.publisher.user_id for slot in person.slots if slot.publication and slot.source}
        assert heard == {"ann", "bob", "cid"} - {person.key.user_id}


def test_only_the_layer_that_somebody_takes_there_crosses(workers: Workers) -> None:
    workers.join(0, "ann", simulcast=True)
    bob = workers.join(1, "bob", see(180), transport_cc=False)
    camera = Camera(workers)
    camera.run(3.0)
    crossed = {parse_header(packet).ssrc for packet in workers.media_to(1)}
    assert crossed == {Q}
    assert bob.slots[1].source is workers.remote(1, "ann").streams[Q]
    assert any(parse_header(packet).ssrc == bob.slots[1].ssrc for packet in workers.take_sent(1))


def test_a_publisher_is_asked_for_what_another_worker_takes_and_no_more(workers: Workers) -> None:
    ann = workers.join(0, "ann", simulcast=True)
    bob = workers.join(1, "bob", see(180), transport_cc=False)
    camera = Camera(workers)
    camera.run(8.0)
    assert [state.rid for state in ann.layer_states() if state.is_wanted] == ["q"]
    workers.post(1, workers.routers[1].handle_video_requests(bob, see(360), workers.now))
    workers.deliver()
    camera.run(1.0)
    assert bob.slots[1].source is workers.remote(1, "ann").streams[H]
    # A layer is held for as long on either worker, one after the other.
    camera.run(2 * HOLD_S + 2.0)
    assert [state.rid for state in ann.layer_states() if state.is_wanted] == ["h"]
    workers.post(1, workers.routers[1].handle_video_requests(bob, VideoRequests((), 0), workers.now))
    workers.deliver()
    camera.run(16.0)
    assert not any(state.is_wanted for state in ann.layer_states())


def test_what_is_wanted_anew_begins_with_a_key_frame(workers: Workers) -> None:
    workers.join(0, "ann", simulcast=True)
    bob = workers.join(1, "bob", VideoRequests((), 0), transport_cc=False)
    camera = Camera(workers)
    camera.run(2.0)
    assert not workers.media_to(1)
    asked = camera.key_frames
    workers.post(1, workers.routers[1].handle_video_requests(bob, see(360), workers.now))
    workers.deliver()
    camera.run(0.5)
    assert camera.key_frames == asked + 1
    first = workers.media_to(1)[0]
    assert parse_header(first).ssrc == H
    assert payload_of(first)[4] & 1 == 0
    assert bob.slots[1].source is not None


def test_who_comes_later_sees_the_picture_at_once(workers: Workers) -> None:
    workers.join(0, "ann", simulcast=True)
    workers.join(0, "bob")
    camera = Camera(workers)
    camera.run(2.0)
    late = workers.join(1, "cid", transport_cc=False)
    camera.run(0.6)
    assert late.slots[1].source is not None
    assert late.slots[1].source.publication.publisher == key("ann")


def test_losses_on_the_leg_are_repaired_there() -> None:
    random = Random(3)
    workers = Workers(lose=lambda _kind, _frame: random.random() < 0.05)
    workers.join(0, "ann", simulcast=True)
    bob = workers.join(1, "bob", see(720), transport_cc=False)
    camera = Camera(workers)
    camera.run(2.0)
    source = bob.slots[1].source
    assert source is not None
    workers.take(1)
    asked, first = camera.key_frames, camera.numbers[b"f"]
    camera.run(6.0)
    workers.lose = lambda _kind, _frame: False
    camera.run(0.5)
    assert bob.slots[1].source is source
    assert not source.gaps.missing
    assert camera.key_frames == asked
    shown = [packet for packet in workers.take_sent(1) if parse_header(packet).ssrc == bob.slots[1].ssrc]
    assert {int.from_bytes(payload_of(packet)[7:11], "big") for packet in shown} >= set(
        range(first + 1, camera.numbers[b"f"] + 1)
    )


def test_lost_voice_is_repaired_on_the_leg_though_its_client_repairs_none() -> None:
    workers = Workers(lose=lambda kind, frame: kind == relay_frames.MEDIA and frame.endswith(b"lost") and not lost)
    lost: list[bool] = []
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    workers.tick(0.2)
    for number in range(1, 11):
        speak(workers, "ann", number, body=b"lost" if number == 8 else b"opus")
        lost += [True] * (number == 8)
        workers.tick()
    workers.tick(0.1)
    assert 8 in {parse_header(packet).sequence_number for packet in workers.media_to(1)}
    assert not workers.remote(1, "ann").streams[VOICE].gaps.missing
    assert bob.slots[0].source is not None


def test_a_repair_of_the_publisher_crosses_as_the_packet_that_was_lost(workers: Workers) -> None:
    workers.join(0, "ann", simulcast=True)
    workers.join(1, "bob", see(180), transport_cc=False)
    camera = Camera(workers, rids=(b"q",))
    camera.run(1.0)
    lost, after = camera.numbers[b"q"] + 1, camera.numbers[b"q"] + 2
    original = picture(b"q", lost)
    workers.send("ann", picture(b"q", after))
    header = parse_header(original)
    repair = rtp(31, 900, lost.to_bytes(2, "big") + original[header.payload_at :], pt=97, mid=b"1", rrid=b"q",
                 timestamp=header.timestamp, marker=True)  # fmt: skip
    workers.send("ann", repair)
    crossed = workers.media_to(1)[-1]
    again = parse_header(crossed)
    assert (again.ssrc, again.sequence_number, again.payload_type) == (Q, lost, 96)
    assert (again.timestamp, again.marker) == (header.timestamp, header.marker)
    assert payload_of(crossed) == payload_of(original)
    assert not workers.remote(1, "ann").streams[Q].gaps.missing


def test_what_is_muted_is_so_on_the_other_worker(workers: Workers) -> None:
    ann = workers.join(0, "ann")
    bob = workers.join(1, "bob")
    speak(workers, "ann", 1)
    camera = Camera(workers, rids=(b"",))
    camera.run(0.6)
    speak(workers, "ann", 2)
    workers.post(0, workers.routers[0].handle_mute(ann, True, True, workers.now))
    workers.tick(0.1)
    assert [entry.muted for entry in bob.slot_map() if entry.publisher] == [True, True]
    workers.post(0, workers.routers[0].handle_mute(ann, False, False, workers.now))
    workers.tick(0.1)
    assert [entry.muted for entry in bob.slot_map() if entry.publisher] == [False, False]


def test_a_screen_is_seen_there_and_its_end_too(workers: Workers) -> None:
    ann = workers.join(0, "ann", screen=True)
    bob = workers.join(1, "bob", slots=2)
    workers.post(0, workers.routers[0].handle_mute(ann, True, True, workers.now, True))

    def share(number: int, *, key_frame: bool) -> None:
        payload = payload_of(video(40, number, number, key_frame=key_frame))
        workers.send("ann", rtp(40, number, payload, pt=96, timestamp=number * 3000, marker=True, mid=b"5"))

    for number in range(1, 30):
        share(number, key_frame=number % 5 == 1)
        workers.tick()
    assert any(entry.source == "screen" for entry in bob.slot_map())
    assert any(slot.source is not None for slot in bob.slots if slot.kind == "video")
    workers.post(0, workers.routers[0].handle_mute(ann, True, True, workers.now, False))
    workers.tick(0.4)
    assert not any(entry.source == "screen" for entry in bob.slot_map())


def test_a_goodbye_ends_the_stream_on_the_other_worker(workers: Workers) -> None:
    workers.join(0, "ann")
    workers.join(1, "bob")
    camera = Camera(workers, rids=(b"",))
    camera.run(1.0)
    stream = workers.remote(1, "ann").streams[Q]
    assert stream.last_packet_at is not None
    workers.send_rtcp("ann", rtcp.build_bye([Q]))
    assert stream.last_packet_at is None
    workers.tick(0.4)
    assert not workers.remote(1, "ann").publications[1].is_on(workers.now)


def test_reports_that_repeat_themselves_cross_as_one(workers: Workers) -> None:
    workers.join(0, "ann")
    workers.join(1, "bob")
    speak(workers, "ann", 1)
    workers.tick(0.1)
    before = len(workers.arrived)
    report = rtcp.build_sender_report(rtcp.SenderReport(VOICE, 1 << 32, 960, 1, 4))
    workers.send_rtcp("ann", report * 20 + rtcp.build_bye([VOICE] * 31) * 5)
    crossed = [frame for to, _, frame in workers.arrived[before:] if to == 1 and frame[0] == relay_frames.REPORT]
    assert len(crossed) == 1
    stream = workers.remote(1, "ann").streams[VOICE]
    assert stream.clock is not None
    assert stream.last_packet_at is None


def test_the_publishers_clock_is_known_on_the_other_worker(workers: Workers) -> None:
    workers.join(0, "ann")
    workers.join(1, "bob")
    speak(workers, "ann", 1)
    workers.tick(0.3)
    speak(workers, "ann", 2)
    workers.send_rtcp("ann", rtcp.build_sender_report(rtcp.SenderReport(VOICE, 5 << 32, 960, 1, 1)))
    clock = workers.remote(1, "ann").streams[VOICE].clock
    assert clock is not None
    assert (clock.ntp, clock.timestamp) == (5 << 32, 960)


def test_who_is_silent_on_the_leg_is_off_until_it_speaks_again() -> None:
    dead = [False]
    workers = Workers(lose=lambda _kind, _frame: dead[0])
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    camera = Camera(workers, rids=(b"",))
    camera.run(1.0)
    assert workers.remote(1, "ann").publications[1].is_on(workers.now)
    dead[0] = True
    camera.run(SILENT_HOME_S + 0.5)
    assert not workers.remote(1, "ann").publications[1].is_on(workers.now)
    assert [entry.muted for entry in bob.slot_map() if entry.source == "camera"] == [True]
    dead[0] = False
    camera.run(2.0)
    assert workers.remote(1, "ann").publications[1].is_on(workers.now)
    assert bob.slots[1].source is not None
    assert [entry.muted for entry in bob.slot_map() if entry.source == "camera"] == [False]


def test_a_worker_that_is_gone_wants_nothing_after_a_while() -> None:
    dead = [False]
    workers = Workers(lose=lambda _kind, _frame: dead[0])
    ann = workers.join(0, "ann", simulcast=True)
    workers.join(1, "bob", see(720), transport_cc=False)
    camera = Camera(workers)
    camera.run(2.0)
    dead[0] = True
    camera.run(2 * WANTS_LIFE_S + 2.0)
    assert not any(state.is_wanted for state in ann.layer_states())


def test_who_leaves_is_off_at_once_elsewhere(workers: Workers) -> None:
    ann = workers.join(0, "ann")
    workers.join(1, "bob")
    camera = Camera(workers, rids=(b"",))
    camera.run(1.0)
    workers.post(0, workers.routers[0].members.remove(ann.key, workers.now))
    workers.deliver()
    assert not any(p.is_on(workers.now) for p in workers.remote(1, "ann").publications)


def test_a_device_that_comes_from_another_worker_is_local_before_it_leaves_there(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    speak(workers, "ann", 1)
    workers.tick(0.3)
    formerly = workers.remote(1, "ann")
    # Make before break: it is at home on both for a moment.
    moved, effects = workers.routers[1].members.join(key("ann"), offer(), workers.now)
    workers.post(1, effects)
    workers.post(1, workers.routers[1].handle_transport_up(moved, workers.now))
    workers.set_relays(0, 1)
    assert workers.routers[1].members.find(key("ann")) is moved
    assert workers.routers[1].members.get(formerly.number) is None
    assert not any(isinstance(effect, Disconnect) for effect in workers.take(1))
    workers.post(1, workers.routers[1].handle_rtp(moved, rtp(9, 1, b"opus", mid=b"0"), workers.now))
    assert bob.slots[0].publication is moved.publications[0]
    # And back: it leaves here, and is remote again.
    workers.post(1, workers.routers[1].members.remove(key("ann"), workers.now))
    assert workers.remote(1, "ann") is not None
    speak(workers, "ann", 2)
    workers.tick(1.2)
    speak(workers, "ann", 3)
    assert bob.slots[0].publication is workers.remote(1, "ann").publications[0]
    assert bob.slots[0].source is not None


def test_a_device_that_joined_anew_at_home_is_another_publisher(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    speak(workers, "ann", 1)
    workers.tick(0.3)
    former = workers.remote(1, "ann")
    workers.join(0, "ann")
    assert workers.remote(1, "ann") is not former
    for number in range(1, 20):
        speak(workers, "ann", number, ssrc=77)
        workers.tick()
    assert bob.slots[0].source is workers.remote(1, "ann").streams[77]


def test_an_older_revision_changes_nothing(workers: Workers) -> None:
    workers.join(0, "ann")
    workers.join(1, "bob")
    router = workers.routers[1]
    assert router.members.set_relays(CALL, workers.revision, [], [], workers.now) == []
    assert workers.remote(1, "ann") is not None
    router.members.set_relays(CALL, workers.revision + 1, [], [], workers.now)
    assert router.members.find(key("ann")) is None
    assert router.members.relay_count == 0
    router.members.set_relays(CALL, workers.revision, [LegNumber(1)], [], workers.now)
    assert router.members.relay_count == 0


def test_a_home_that_was_told_of_the_call_anew_is_heard_by_who_was_not(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    camera = Camera(workers, rids=(b"",))
    for _ in range(3):
        camera.run(0.6)
        workers.routers[0].members.set_relays(CALL, workers.revision + 1, [], [], workers.now)
        workers.revision += 1
        workers.set_relays(0)
    camera.run(2.0)
    before = len(workers.media_to(1))
    workers.take(1)
    camera.run(1.0)
    assert len(workers.media_to(1)) > before + 20
    assert len([p for p in workers.take_sent(1) if parse_header(p).ssrc == bob.slots[1].ssrc]) > 20
    assert "relay_late" not in workers.dropped


def test_nothing_is_kept_of_a_call_that_has_ended(workers: Workers) -> None:
    workers.join(0, "ann", simulcast=True)
    workers.join(1, "bob")
    Camera(workers).run(1.0)
    workers.end()
    for router in workers.routers:
        assert (len(router.members), router.members.call_count, router.members.relay_count) == (0, 0, 0)
        router.tick(workers.now + 1.0)
        assert router.members.relay_count == 0


def test_a_worker_that_stops_keeps_nothing_and_announces_its_own_alone(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    effects = workers.routers[1].members.stop(workers.now)
    assert [effect.key for effect in effects if isinstance(effect, Disconnect)] == [bob.key]
    assert workers.routers[1].members.relay_count == 0


def test_a_call_that_nobody_is_in_any_more_is_forgotten_after_a_while(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    workers.post(1, workers.routers[1].members.remove(bob.key, workers.now))
    assert workers.routers[1].members.call_count == 0
    assert workers.routers[1].members.relay_count
    workers.tick(IDLE_S + 2.0)
    assert workers.routers[1].members.relay_count == 0


def test_a_leg_speaks_only_of_its_own_publishers(workers: Workers) -> None:
    ann = workers.join(0, "ann")
    bob = workers.join(1, "bob")
    router = workers.routers[1]
    remote = workers.remote(1, "ann")
    for frame, reason in (
        (relay_frames.build_media(99, 1, rtp(VOICE, 1)), "relay_publisher"),
        (relay_frames.build_media(ann.number, 1, rtp(99, 1)), "unknown_ssrc"),
        (relay_frames.build_control(relay_frames.FEEDBACK, remote.number, rtcp.build_pli(1, Q)), "relay_publisher"),
        (relay_frames.build_wants(99, 1, ()), "relay_publisher"),
        (relay_frames.build_control(9, ann.number, b""), "relay_malformed"),
    ):
        with pytest.raises(PacketError) as caught:
            router.handle_frame(workers.leg(1, 0), frame, workers.now)
        assert caught.value.reason == reason
    with pytest.raises(PacketError) as caught:
        router.handle_frame(LegNumber(5), relay_frames.build_wants(bob.number, 1, ()), workers.now)
    assert caught.value.reason == "relay_unknown"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0, 0.3), st.floats(0.0, 0.3))
def test_what_is_lost_doubled_and_reordered_goes_out_once_and_is_whole_in_the_end(
    seed: int, loss: float, doubled: float
) -> None:
    random = Random(seed)
    workers = Workers(lose=lambda _kind, _frame: random.random() < loss)
    workers.join(0, "ann")
    bob = workers.join(1, "bob", transport_cc=False)
    camera = Camera(workers, rids=(b"",))
    camera.run(0.5)
    seen: list[int] = []
    held: list[tuple[int, LegNumber, bytes]] = []
    for _ in range(60):
        camera.run(0.04)
        # Some come again, later than others.
        held += [each for each in workers.arrived if random.random() < doubled]
        workers.arrived.clear()
        random.shuffle(held)
        for _ in range(len(held) // 2):
            workers.hand_over(*held.pop())
        workers.deliver()
        seen += [
            parse_header(p).sequence_number for p in workers.take_sent(1) if parse_header(p).ssrc == bob.slots[1].ssrc
        ]
    assert len(set(seen)) == len(seen)
    workers.lose = lambda _kind, _frame: False
    camera.run(1.5)
    source = bob.slots[1].source
    assert source is not None
    assert not source.gaps.missing
    assert workers.now - (source.last_packet_at or 0.0) < 0.1
    assert set(workers.dropped) <= {"relay_late", "unknown_ssrc"}


def test_a_home_that_says_something_new_all_the_time_does_not_assign_the_slots_each_time(workers: Workers) -> None:
    workers.join(0, "ann")
    bob = workers.join(1, "bob")
    workers.tick(0.1)
    remote, router = workers.remote(1, "ann"), workers.routers[1]
    assert remote.home is not None
    followed = []
    for turn in range(41):
        facts = [relay_frames.PublicationFacts("1", turn % 2 == 0, None, ())]
        frame = relay_frames.build_state(remote.home.number, 2**62 + turn, facts)
        followed.append(bool(router.handle_frame(workers.leg(1, 0), frame, workers.now)))
    assert any(followed[:8])
    assert not any(followed[20:])
    workers.tick(1.2)
    # The last of it is followed all the same.
    assert remote.publications[1] in [slot.publication for slot in bob.slots]


def test_no_frame_costs_a_worker_more_than_its_share() -> None:
    workers = Workers()
    for number in range(5):
        workers.join(0, f"u{number}", simulcast=True, slots=8)
        workers.join(1, f"v{number}", simulcast=True, slots=8)
    workers.tick(0.3)
    for number in range(1, 140):
        speak(workers, "v0", number)
    router, leg = workers.routers[1], workers.leg(1, 0)
    theirs = workers.remote(1, "u0")
    ours = router.members.participants[0]
    assert theirs.home is not None
    number = ParticipantNumber(theirs.home.number)
    many = tuple(relay_frames.LayerFacts(n, 96, ("q", "h", "f")[n % 3], 720, (1,) * 8) for n in range(12))
    frames: list[bytes] = [
        relay_frames.build_state(number, 2**62 + turn, [relay_frames.PublicationFacts("1", True, None, many)] * 32)
        for turn in range(10)
    ]
    frames += [
        relay_frames.build_wants(ours.number, 2**62, [relay_frames.WantedLayer("1", str(n)) for n in range(380)]),
        relay_frames.build_control(relay_frames.FEEDBACK, ours.number, rtcp.build_nack(1, VOICE, range(5, 138)) * 3),
        relay_frames.build_control(relay_frames.FEEDBACK, ours.number, rtcp.build_pli(1, VOICE) * 110),
    ]
    for frame in frames:
        assert count_lines(lambda frame=frame: router.handle_frame(leg, frame, workers.now)) < MOST_LINES
