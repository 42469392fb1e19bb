from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.sfu.core.errors import (
    Draining,
    JoinTokenExpired,
    JoinTokenInvalid,
    RelaysInvalid,
    SdpError,
    SfuError,
    WorkerFull,
)
from services.sfu.core.ids import CallId, ParticipantKey, ParticipantNumber, WorkerId
from services.sfu.core.session.quality import Quality
from services.sfu.core.wire.sdp import Offer
from services.sfu.ports import Admission, CallRelays, JoinedDevice, RelayedDevice, RelayPeer
from services.sfu.service import MAX_PEERS, MAX_REMOTE_PARTICIPANTS, Sfu, check_relays
from tests.unit.sfu.builders import key, offer_text


class FakeMedia:
    """Keeps keys in place of media."""

    def __init__(self) -> None:
        self.held: list[ParticipantKey] = []
        self.relays: list[CallRelays] = []

    @property
    def participant_count(self) -> int:
        return len(self.held)

    def holds(self, wanted: ParticipantKey) -> bool:
        return wanted in self.held

    def admit(self, wanted: ParticipantKey, offer: Offer) -> Admission:
        if wanted not in self.held:
            self.held.append(wanted)
        return Admission(f"answer to {len(offer.media)}", ParticipantNumber(7))

    def remove(self, wanted: ParticipantKey) -> None:
        self.held = [held for held in self.held if held != wanted]

    def end_call(self, call_id: CallId) -> None:
        self.held = [held for held in self.held if held.call_id != call_id]

    def set_relays(self, relays: CallRelays) -> int:
        self.relays.append(relays)
        return relays.revision

    media_address = "10.0.0.1:7800"

    def list_joined(self, call_id: CallId) -> list[JoinedDevice]:
        joined = [held for held in self.held if held.call_id == call_id]
        return [JoinedDevice(held, ParticipantNumber(7), "v=0") for held in joined]

    async def wait_until_empty(self) -> None:
        return


class FakeTokens:
    """A token is its user's name, or what is wrong with it."""

    def verify(self, token: str) -> ParticipantKey:
        if token == "expired":
            raise JoinTokenExpired
        if token == "forged":
            raise JoinTokenInvalid
        return key(token)


class FakeMetrics:
    """Counts the outcomes of joins."""

    def __init__(self) -> None:
        self.joins: Counter[str] = Counter()

    def joined(self, outcome: str) -> None:
        self.joins[outcome] += 1

    def packets_in(self, packets: int, size: int) -> None: ...

    def packets_out(self, packets: int, size: int) -> None: ...

    def retransmitted(self, packets: int) -> None: ...

    def dropped(self, reason: str, packets: int = 1) -> None: ...

    def relayed(self, direction: str, packets: int, size: int) -> None: ...

    def relay_legs(self, legs: int) -> None: ...

    def occupancy(self, participants: int, calls: int) -> None: ...

    def quality(self, quality: Quality) -> None: ...


@pytest.fixture
def metrics() -> FakeMetrics:
    return FakeMetrics()


@pytest.fixture
def sfu(metrics: FakeMetrics) -> Sfu:
    return Sfu(FakeMedia(), FakeTokens(), metrics, max_participants=2)


async def test_good_join_is_answered(sfu: Sfu, metrics: FakeMetrics) -> None:
    assert await sfu.join("ann", offer_text()) == ("answer to 5", 7)
    assert metrics.joins == {"ok": 1}


@pytest.mark.parametrize(
    ("token", "offer", "error", "outcome"),
    [
        ("expired", offer_text(), JoinTokenExpired, "token_expired"),
        ("forged", offer_text(), JoinTokenInvalid, "token_invalid"),
        ("ann", "v=1", SdpError, "sdp_invalid"),
    ],
)
async def test_refused_joins_are_counted_and_leave_nothing(
    sfu: Sfu, metrics: FakeMetrics, token: str, offer: str, error: type[SfuError], outcome: str
) -> None:
    with pytest.raises(error):
        await sfu.join(token, offer)
    assert metrics.joins == {outcome: 1}
    assert sfu.participant_count == 0


async def test_full_worker_takes_back_who_it_has_and_nobody_else(sfu: Sfu) -> None:
    await sfu.join("ann", offer_text())
    await sfu.join("bob", offer_text())
    with pytest.raises(WorkerFull):
        await sfu.join("cid", offer_text())
    await sfu.join("bob", offer_text())
    await sfu.remove(key("ann"))
    await sfu.join("cid", offer_text())


async def test_worker_that_is_set_aside_takes_nobody_until_it_is_taken_back(sfu: Sfu) -> None:
    sfu.set_draining(True)
    assert (sfu.is_draining, sfu.drain_deadline) == (True, None)
    with pytest.raises(Draining):
        await sfu.join("ann", offer_text())
    sfu.set_draining(False)
    assert not sfu.is_draining
    # It is about to stop, whatever an operator asks.
    sfu.start_draining(datetime(2026, 1, 1, tzinfo=UTC))
    sfu.set_draining(False)
    assert sfu.is_draining


async def test_draining_worker_takes_nobody_but_lets_go(sfu: Sfu) -> None:
    await sfu.join("ann", offer_text())
    deadline = datetime(2026, 1, 1, tzinfo=UTC)
    sfu.start_draining(deadline)
    assert (sfu.is_draining, sfu.drain_deadline) == (True, deadline)
    with pytest.raises(Draining):
        await sfu.join("ann", offer_text())
    await sfu.end_call(CallId("call-1"))
    assert sfu.participant_count == 0


PEER = RelayPeer(WorkerId("w2"), ("10.0.0.2", 7800), b"s" * 8, b"r" * 8, b"S" * 16, b"R" * 16)
DEVICE = RelayedDevice(key("bob"), WorkerId("w2"), ParticipantNumber(3), offer_text())
RELAYS = CallRelays(CallId("call-1"), 1, (PEER,), (DEVICE,))


def peer(number: int) -> RelayPeer:
    """One of many."""
    ids = (bytes([number, way] * 4) for way in (1, 2))
    keys = (bytes([number, way] * 8) for way in (3, 4))
    return RelayPeer(WorkerId(f"w{number}"), ("10.0.0.2", 7800), *ids, *keys)


async def test_as_many_workers_as_there_may_be_are_taken(sfu: Sfu) -> None:
    peers = tuple(peer(number) for number in range(MAX_PEERS))
    assert await sfu.set_relays(replace(RELAYS, peers=peers, devices=())) == 1


async def test_the_other_workers_of_a_call_are_told_to_the_media(sfu: Sfu) -> None:
    assert await sfu.set_relays(RELAYS) == 1


def test_relays_are_shown_without_keys_and_offers() -> None:
    shown = repr(RELAYS)
    assert "S" * 16 not in shown
    assert "R" * 16 not in shown
    assert "ice-pwd" not in shown


@pytest.mark.parametrize(
    "wrong",
    [
        replace(RELAYS, revision=0),
        replace(RELAYS, peers=(replace(PEER, send_leg_id=b"short"),)),
        replace(RELAYS, peers=(replace(PEER, receive_key=b"short"),)),
        replace(RELAYS, peers=(replace(PEER, receive_key=PEER.send_key),)),
        replace(RELAYS, peers=(PEER, PEER)),
        replace(RELAYS, peers=(PEER, replace(PEER, worker_id=WorkerId("w3")))),
        replace(RELAYS, peers=(PEER, replace(PEER, worker_id=WorkerId("w3"), receive_leg_id=b"q" * 8))),
        replace(RELAYS, peers=tuple(peer(n) for n in range(MAX_PEERS + 1)), devices=()),
        replace(RELAYS, devices=tuple(replace(DEVICE, key=key(f"u{n}")) for n in range(MAX_REMOTE_PARTICIPANTS + 1))),
        replace(RELAYS, devices=(replace(DEVICE, worker_id=WorkerId("w9")),)),
        replace(RELAYS, devices=(DEVICE, DEVICE)),
    ],
)
async def test_relays_that_cannot_be_are_refused(sfu: Sfu, wrong: CallRelays) -> None:
    with pytest.raises(RelaysInvalid):
        check_relays(wrong)
    with pytest.raises(RelaysInvalid):
        await sfu.set_relays(wrong)
