"""Keys of devices over a whole stack: a sealed key reaches one device, and who cannot encrypt learns who does."""

from __future__ import annotations

import grpc
from parley.keys.v1 import service_pb2 as api

from parley_client.calls import ACTIVE
from tests.integration.api.conftest import DEADLINE_S, Online, World, refused
from tests.integration.api.test_calls import until_call
from tests.integration.api.test_join_links import group_call

POINT = b"\x04" + bytes(64)


async def publish(online: Online) -> None:
    """As the first device of its account. The service looks at the form of keys alone."""
    keys = api.PublishDeviceKeysRequest(
        device_id=online.device.device_id,
        version=1,
        account_key=POINT,
        signing_key=POINT,
        kem_key=POINT,
        signature=bytes(64),
        sealed_account_key=b"sealed",
    )
    await online.device.keys.PublishDeviceKeys(keys)


async def test_a_sealed_key_reaches_the_device_in_the_call_and_no_other_one_of_its_user(world: World) -> None:
    alice, bob, conversation_id, call_id = await group_call(world)
    tablet = await world.online(bob.user_id, "tablet")
    await publish(alice)
    # Bob's client does not encrypt, and is told who does.
    await until_call(bob, call_id, ACTIVE)
    await until_call(alice, call_id, ACTIVE)
    assert await bob.phone.encrypting_peers() == {alice.user_id}
    assert await alice.phone.encrypting_peers() == frozenset()
    key = api.SealedKey(user_id=bob.user_id, device_id=bob.device.device_id, sealed_key=b"sealed for bob")
    request = api.SendCallKeysRequest(call_id=call_id, device_id=alice.device.device_id, epoch=7, keys=[key])
    await alice.device.keys.SendCallKeys(request)
    place = (call_id, alice.user_id)
    await bob.stream.until(lambda: place in bob.stream.inbox.call_keys, DEADLINE_S, "the sealed key")
    assert bob.stream.inbox.call_keys[place].sealed_key == b"sealed for bob"
    # What all of Bob's devices are told later finds the tablet without the key.
    await bob.device.keys.RemoveDeviceKeys(api.RemoveDeviceKeysRequest(device_id=bob.device.device_id))
    await alice.phone.hang_up()

    def has_left() -> bool:
        call = tablet.stream.inbox.calls.get(call_id)
        people = call.participants if call else ()
        return any(each.user_id == alice.user_id and each.HasField("leave_time") for each in people)

    await tablet.stream.until(has_left, DEADLINE_S, "Alice has left, at the tablet")
    assert tablet.stream.inbox.call_keys == {}
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        stranger = world.device()
        await stranger.keys.ListDeviceKeys(
            api.ListDeviceKeysRequest(user_ids=[alice.user_id], conversation_id=conversation_id)
        )
