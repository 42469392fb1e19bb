"""Signaling and the SFU agree on how large a call on several workers may be, and on the sizes of ids and keys."""

from services.sfu.core.ids import CallId, ParticipantKey, ParticipantNumber, WorkerId
from services.sfu.core.wire import relay_frames
from services.sfu.ports import CallRelays, RelayedDevice, RelayPeer
from services.sfu.service import MAX_PEERS, MAX_REMOTE_PARTICIPANTS, check_relays
from services.signaling.core.model import DeviceId, UserId, Worker
from services.signaling.core.model import WorkerId as SignalingWorkerId
from services.signaling.core.placement import MAX_SPREAD_DEVICES, MAX_WORKERS
from services.signaling.relays.core import ID_BYTES, KEY_BYTES, Carrier, Joined, Relays, Round, tell
from tests.unit.signaling.test_relays import make_call

USERS = 6


def test_the_bounds_of_both_are_the_same() -> None:
    assert MAX_WORKERS == MAX_PEERS + 1
    assert MAX_SPREAD_DEVICES == MAX_REMOTE_PARTICIPANTS
    assert (ID_BYTES, KEY_BYTES) == (relay_frames.ID_BYTES, relay_frames.KEY_BYTES)


def taken(relays: Relays) -> None:
    """Raises what a worker would."""
    peers = tuple(
        RelayPeer(
            WorkerId(peer.worker_id),
            ("10.0.0.1", 7800),
            *(peer.send_leg_id, peer.receive_leg_id, peer.send_key, peer.receive_key),
        )
        for peer in relays.peers
    )
    devices = tuple(
        RelayedDevice(
            ParticipantKey(CallId(relays.call_id), remote.joined.user_id, remote.joined.device_id),  # type: ignore[arg-type]
            WorkerId(remote.worker_id),
            ParticipantNumber(remote.joined.number),
            remote.joined.sdp_offer,
        )
        for remote in relays.remotes
    )
    check_relays(CallRelays(CallId(relays.call_id), relays.revision, peers, devices))


def test_a_worker_takes_whatever_signaling_says_of_the_largest_call() -> None:
    workers = [Worker(SignalingWorkerId(f"w{number}"), "10.0.0.1:7000") for number in range(MAX_WORKERS + 2)]
    call = make_call([(0, None)] * USERS)
    joined = tuple(Joined(UserId(f"u{number}"), DeviceId("phone-01"), number, "v=0") for number in range(USERS))
    carriers = [Carrier(worker, "10.0.0.1:7800", joined if index == 0 else ()) for index, worker in enumerate(workers)]
    told = tell(call, Round(1, b"s" * 32), carriers)
    assert len(told) == MAX_WORKERS
    for _, relays in told:
        taken(relays)
