"""What devices publish, who is shown it, and to whom sealed keys go."""

from dataclasses import replace
from datetime import timedelta

import pytest
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.keys.v1 import service_pb2 as api
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.errors import InvalidRequest
from services.runtime.identity.auth import UserId as CallerId
from services.runtime.identity.auth import UserToken, set_current_token
from services.signaling.core.errors import (
    AccountKeyOutdated,
    CallEnded,
    CallNotFound,
    ConversationNotFound,
    DeviceKeysNotFound,
    KeyDeviceLimit,
    NotInCall,
)
from services.signaling.core.model import CallId, DeviceId
from services.signaling.keys.core import (
    MAX_DEVICES,
    Account,
    Device,
    SealedKey,
    confirm,
    publish,
    remove_revoked,
)
from services.signaling.keys.rpc import MAX_SEALED_KEY_BYTES, DeviceKeysServicer
from services.signaling.keys.service import DeviceKeys
from tests.unit.signaling.fake_keys import FakeKeys, make_keys
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, GROUP_TALK, LAPTOP, PHONE, START, TABLET
from tests.unit.signaling.meeting import EVE, Meeting

KEY = b"account"


def device(device_id: DeviceId = PHONE, *, signed: bool = True, keys: bytes = b"", minutes: int = 0) -> Device:
    proof = (b"signature", b"sealed") if signed else (b"", b"")
    return Device(device_id, b"signing" + keys, b"kem" + keys, START + timedelta(minutes=minutes), *proof)


def account(*devices: Device, version: int = 1) -> Account:
    return Account(ALICE, version, KEY, devices)


@pytest.mark.parametrize(
    ("before", "version", "key", "published"),
    [
        (None, 2, KEY, device()),
        (None, 1, KEY, device(signed=False)),
        (account(device()), 1, b"another", device(LAPTOP)),
        (account(device()), 2, KEY, device(LAPTOP, signed=False)),
        (account(device()), 3, KEY, device(LAPTOP)),
        (account(device(), version=2), 1, KEY, device(LAPTOP)),
    ],
)
def test_only_the_accounts_key_of_now_and_the_next_one_are_taken(
    before: Account | None, version: int, key: bytes, published: Device
) -> None:
    with pytest.raises(AccountKeyOutdated):
        publish(before, ALICE, version, key, published)


def test_the_first_device_brings_the_key_and_others_wait_to_be_confirmed() -> None:
    first = publish(None, ALICE, 1, KEY, device())
    both = publish(first, ALICE, 1, KEY, device(LAPTOP, signed=False))
    assert both == account(device(), device(LAPTOP, signed=False))
    # Published again it changes nothing, also where it is confirmed by now.
    assert publish(both, ALICE, 1, KEY, device(LAPTOP, signed=False, minutes=5)) is both
    confirmed = confirm(both, 1, device(LAPTOP))
    assert confirmed == account(device(), device(LAPTOP))
    assert publish(confirmed, ALICE, 1, KEY, device(LAPTOP, signed=False)) is confirmed
    assert confirm(confirmed, 1, replace(device(LAPTOP), signature=b"another")) is confirmed


def test_new_keys_of_a_device_are_not_confirmed_by_its_old_signature() -> None:
    again = publish(account(device(), device(LAPTOP)), ALICE, 1, KEY, device(LAPTOP, signed=False, keys=b"2"))
    assert again == account(device(), device(LAPTOP, signed=False, keys=b"2"))
    with pytest.raises(DeviceKeysNotFound):
        confirm(again, 1, device(LAPTOP))
    with pytest.raises(AccountKeyOutdated):
        confirm(again, 2, device(LAPTOP, keys=b"2"))
    with pytest.raises(AccountKeyOutdated):
        confirm(None, 1, device(LAPTOP))


def test_a_new_account_key_leaves_no_other_device() -> None:
    before = account(device(), device(LAPTOP, signed=False))
    assert publish(before, ALICE, 2, b"new", device(LAPTOP)) == Account(ALICE, 2, b"new", (device(LAPTOP),))


def test_who_waits_longest_to_be_confirmed_makes_room_and_confirmed_devices_do_not() -> None:
    confirmed = [device(DeviceId(f"device-{number:02}")) for number in range(MAX_DEVICES - 1)]
    full = account(*confirmed, device(LAPTOP, signed=False))
    assert publish(full, ALICE, 1, KEY, device(TABLET, signed=False)) == account(
        *confirmed, device(TABLET, signed=False)
    )
    with pytest.raises(KeyDeviceLimit):
        publish(account(*confirmed, device(LAPTOP)), ALICE, 1, KEY, device(TABLET, signed=False))


def test_a_device_that_was_signed_out_goes_and_the_account_keeps_its_key() -> None:
    before = account(device(), device(LAPTOP, minutes=2))
    cut = START + timedelta(minutes=1)
    assert remove_revoked(before, lambda time, _: time < cut) == account(device(LAPTOP, minutes=2))
    assert remove_revoked(None, lambda time, _: True) is None


def test_others_are_shown_confirmed_devices_without_what_is_sealed() -> None:
    own = account(device(), device(LAPTOP, signed=False))
    assert own.told_to(ALICE) is own
    assert own.told_to(BOB) == account(replace(device(), sealed_account_key=b""))


# Over the calls and conversations of a small world.


@pytest.fixture
def store() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def keys(meeting: Meeting, store: FakeKeys) -> DeviceKeys:
    return make_keys(meeting, store)


async def test_keys_are_shown_to_people_of_the_same_call_or_conversation(meeting: Meeting, keys: DeviceKeys) -> None:
    for user in (ALICE, CAROL, EVE):
        await keys.publish(user, 1, KEY, device())
    everybody = [ALICE, CAROL, EVE]
    assert [one.user_id for one in await keys.of_call(BOB, meeting.call_id, everybody)] == [ALICE, CAROL]
    assert [one.user_id for one in await keys.of_conversation(BOB, GROUP_TALK, everybody)] == [ALICE, CAROL]
    assert [one.user_id for one in await keys.of_own(EVE, everybody)] == [EVE]
    with pytest.raises(CallNotFound):
        await keys.of_call(EVE, meeting.call_id, everybody)
    with pytest.raises(ConversationNotFound):
        await keys.of_conversation(EVE, GROUP_TALK, everybody)


async def test_a_guest_is_shown_the_keys_of_who_is_in_the_call_alone(meeting: Meeting, keys: DeviceKeys) -> None:
    for user in (ALICE, BOB, CAROL):
        await keys.publish(user, 1, KEY, device())
    await meeting.admitted(EVE)
    await meeting.service.join_call(meeting.call_id, EVE, LAPTOP)
    assert [one.user_id for one in await keys.of_call(EVE, meeting.call_id, [ALICE, BOB, CAROL])] == [ALICE, BOB]


async def test_the_accounts_own_devices_are_told_of_changes_and_of_nothing_else(
    keys: DeviceKeys, store: FakeKeys
) -> None:
    await keys.publish(ALICE, 1, KEY, device())
    await keys.publish(ALICE, 1, KEY, device())
    await keys.publish(ALICE, 1, KEY, device(LAPTOP, signed=False))
    await keys.confirm(ALICE, 1, device(LAPTOP))
    await keys.remove(ALICE, [LAPTOP])
    await keys.remove(ALICE, [LAPTOP])
    await keys.remove(BOB, [LAPTOP])
    deliveries = [presence_events.Delivery.FromString(record.value) for record in store.records]
    frames = [gateway_service.SubscribeResponse.FromString(each.frame) for each in deliveries]
    assert [frame.event.WhichOneof("event") for frame in frames] == ["keys_changed"] * 4
    assert {(each.user_id, each.device_id) for each in deliveries} == {(ALICE, "")}


async def test_a_sealed_key_goes_to_the_device_that_is_in_the_call_and_to_no_other(
    meeting: Meeting, keys: DeviceKeys, store: FakeKeys
) -> None:
    sealed = [
        SealedKey(BOB, TABLET, b"for bob"),
        SealedKey(BOB, LAPTOP, b"another device"),
        SealedKey(CAROL, TABLET, b"not in the call"),
        SealedKey(EVE, TABLET, b"a stranger"),
        SealedKey(ALICE, PHONE, b"herself"),
    ]
    await keys.send(ALICE, PHONE, meeting.call_id, 5, sealed)
    # A retry, and one of before that comes late.
    await keys.send(ALICE, PHONE, meeting.call_id, 5, sealed)
    await keys.send(ALICE, PHONE, meeting.call_id, 4, [SealedKey(BOB, TABLET, b"older")])
    (record,) = store.records
    delivery = presence_events.Delivery.FromString(record.value)
    assert (delivery.user_id, delivery.device_id) == (BOB, TABLET)
    event = gateway_service.SubscribeResponse.FromString(delivery.frame).event
    assert (event.call_key.sender_user_id, event.call_key.epoch, event.call_key.sealed_key) == (ALICE, 5, b"for bob")
    (listed,) = await keys.list_for(BOB, TABLET, meeting.call_id)
    assert (listed.sender_id, listed.sender_device_id, listed.key.sealed_key) == (ALICE, PHONE, b"for bob")
    # Of a sender who has gone nothing is kept for anybody.
    await meeting.service.leave_call(meeting.call_id, ALICE, PHONE)
    assert await keys.list_for(BOB, TABLET, meeting.call_id) == []


async def test_who_is_not_in_the_call_hands_over_and_gets_nothing(meeting: Meeting, keys: DeviceKeys) -> None:
    sealed = [SealedKey(BOB, TABLET, b"key")]
    for user, device_id, refusal in ((EVE, PHONE, CallNotFound), (CAROL, PHONE, NotInCall), (ALICE, LAPTOP, NotInCall)):
        with pytest.raises(refusal):
            await keys.send(user, device_id, meeting.call_id, 1, sealed)
        with pytest.raises(refusal):
            await keys.list_for(user, device_id, meeting.call_id)
    await meeting.service.end_for_all(meeting.call_id, ALICE)
    with pytest.raises(CallEnded):
        await keys.send(ALICE, PHONE, meeting.call_id, 1, sealed)
    with pytest.raises(CallNotFound):
        await keys.send(ALICE, PHONE, CallId("0190f000-0000-7000-8000-00000000dead"), 1, sealed)


POINT = b"\x04" + bytes(64)
GOOD = {
    "device_id": "phone-01",
    "version": 1,
    "signing_key": POINT,
    "kem_key": POINT,
    "signature": bytes(64),
    "sealed_account_key": b"sealed",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("signing_key", POINT[1:]),
        ("signing_key", b"\x02" + bytes(64)),
        ("kem_key", b""),
        ("signature", bytes(63)),
        ("sealed_account_key", b""),
        ("sealed_account_key", bytes(513)),
        ("device_id", "x"),
    ],
)
async def test_what_is_no_key_is_refused_with_its_field(
    keys: DeviceKeys, meeting: Meeting, field: str, value: object
) -> None:
    servicer = DeviceKeysServicer(keys, meeting.clock)
    request = api.ConfirmDeviceRequest(**(GOOD | {field: value}))
    set_current_token(UserToken(CallerId(ALICE), 60, 0, "", None, frozenset()))
    try:
        with pytest.raises(InvalidRequest) as refused:
            await servicer.ConfirmDevice(request, None)
        assert refused.value.field == field
        # Without the fault it is looked at.
        with pytest.raises(AccountKeyOutdated):
            await servicer.ConfirmDevice(api.ConfirmDeviceRequest(**GOOD), None)
    finally:
        set_current_token(None)


def test_a_sealed_key_has_room_for_what_clients_seal() -> None:
    # HPKE's point, a key of 16 bytes with its tag, and a signature.
    assert MAX_SEALED_KEY_BYTES >= 65 + 16 + 16 + 64
