"""What each worker of a call is told of the others: who is there, and the legs to them."""

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.signaling.core.model import Call, CallId, DeviceId, UserId, Worker, WorkerId
from services.signaling.core.placement import MAX_SPREAD_DEVICES, MAX_WORKERS

# Of what a call's keys are made.
SECRET_BYTES = 32
# As the SFU wants them; a test compares.
ID_BYTES = 8
KEY_BYTES = 16


@dataclass(frozen=True)
class Joined:
    """A device that has joined on a worker, as that one tells it."""

    user_id: UserId
    device_id: DeviceId
    number: int
    sdp_offer: str = field(repr=False)


@dataclass(frozen=True)
class Carrier:
    """A worker of a call, as it answered: where its media is reached, and who has joined there."""

    worker: Worker
    media_address: str
    joined: tuple[Joined, ...]


@dataclass(frozen=True)
class RelayPeer:
    """Another worker, and the leg to it, with an id and a key each way."""

    worker_id: WorkerId
    media_address: str
    send_leg_id: bytes
    receive_leg_id: bytes
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)


@dataclass(frozen=True)
class Remote:
    """A device that has joined on another worker."""

    worker_id: WorkerId
    joined: Joined


@dataclass(frozen=True)
class Relays:
    """All that one worker is told of a call. Without peers it has the call for itself."""

    call_id: CallId
    revision: int
    peers: tuple[RelayPeer, ...] = ()
    remotes: tuple[Remote, ...] = ()


@dataclass(frozen=True)
class Round:
    """One time that a call's workers are told: of two the one with the greater revision has seen at least as much."""

    revision: int
    secret: bytes = field(repr=False)


def carriers_of(call: Call) -> list[Worker]:
    """The workers that devices of the call are on, or were a moment ago."""
    found: dict[tuple[WorkerId, datetime | None], Worker] = {}
    for leg in call.joined:
        former = call.former.worker if call.former and leg.worker is None else None
        for worker in (call.worker_of(leg), leg.former_worker, former):
            if worker:
                found.setdefault((worker.worker_id, worker.start_time), worker)
    return list(found.values())


def tell(call: Call, a_round: Round, carriers: Sequence[Carrier]) -> list[tuple[Worker, Relays]]:
    """What each of the workers is told, one worker a name.

    Whoever is in the call and has joined on one of them is remote on each of the others, unless it has joined there
    too, as while it moves.
    """
    carriers = carriers[:MAX_WORKERS]
    homes = _homes(call, carriers)
    told = []
    for here in carriers:
        others = [there for there in carriers if there is not here]
        local = {(joined.user_id, joined.device_id) for joined in here.joined}
        remotes = [
            Remote(there.worker.worker_id, joined)
            for there in others
            for joined in there.joined
            if homes.get((joined.user_id, joined.device_id)) is there
            and (joined.user_id, joined.device_id) not in local
        ]
        peers = tuple(_peer(call.call_id, a_round.secret, here.worker, there) for there in others)
        relays = Relays(call.call_id, a_round.revision, peers, tuple(remotes[:MAX_SPREAD_DEVICES]))
        told.append((here.worker, relays))
    return told


def _homes(call: Call, carriers: Iterable[Carrier]) -> dict[tuple[UserId, DeviceId], Carrier]:
    """Where each device of the call is: where it is to be, if it has joined there, else wherever it has."""
    legs = {(leg.user_id, device_id): leg for leg in call.joined for device_id in (leg.device_id, leg.former_device_id)}
    homes: dict[tuple[UserId, DeviceId], Carrier] = {}
    for carrier in carriers:
        for joined in carrier.joined:
            device = (joined.user_id, joined.device_id)
            leg = legs.get(device)
            if leg and (device not in homes or call.carries(leg, carrier.worker.worker_id)):
                homes[device] = carrier
    return homes


def _peer(call_id: CallId, secret: bytes, here: Worker, there: Carrier) -> RelayPeer:
    send_leg_id, send_key = derive(secret, call_id, here, there.worker)
    receive_leg_id, receive_key = derive(secret, call_id, there.worker, here)
    return RelayPeer(
        worker_id=there.worker.worker_id,
        media_address=there.media_address,
        send_leg_id=send_leg_id,
        receive_leg_id=receive_leg_id,
        send_key=send_key,
        receive_key=receive_key,
    )


def derive(secret: bytes, call_id: CallId, sender: Worker, receiver: Worker) -> tuple[bytes, bytes]:
    """The id and the key of what one worker sends to another one: HKDF-Expand (RFC 5869) with SHA-256, one block.

    Others once either of them is another process. The same for whoever has the secret.
    """
    ends = [[end.worker_id, end.start_time.isoformat() if end.start_time else ""] for end in (sender, receiver)]
    info = json.dumps(["parley relay", call_id, *ends]).encode()
    block = hmac.digest(secret, info + b"\x01", "sha256")
    return block[:ID_BYTES], block[ID_BYTES : ID_BYTES + KEY_BYTES]
