"""Media through the edge's signaling and the SFU, between headless endpoints; and what a join token does not open."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.calls.v1 import service_pb2 as api

from deploy.embedded.record import StackRecord
from loadtests.demo import run
from parley_client.calls import ACTIVE, ENDED
from parley_client.client import Edge
from tests.integration.api.conftest import DEADLINE_S, TINY, Online, World, refused

FAILED = grpc.StatusCode.FAILED_PRECONDITION
DENIED = grpc.StatusCode.PERMISSION_DENIED


async def connected(world: World, *, reconnects: bool = False) -> tuple[Online, Online, str]:
    """Two people in a call who hear and see each other."""
    alice, bob, conversation_id = await world.pair_online(reconnects=reconnects)
    call = await alice.phone.start(conversation_id)
    await alice.phone.join_media()
    await bob.phone.accept(call.call_id)
    await bob.phone.join_media()
    await asyncio.gather(*(each.phone.media.until_media(DEADLINE_S) for each in (alice, bob)))
    return alice, bob, call.call_id


async def join(online: Online, token: str, offer: str = "v=0") -> None:
    await online.device.calls.JoinMedia(api.JoinMediaRequest(join_token=token, sdp_offer=offer))


async def grant_of(online: Online, call_id: str) -> str:
    request = api.RenewMediaGrantRequest(call_id=call_id, device_id=online.device.device_id)
    return (await online.device.calls.RenewMediaGrant(request)).grant.join_token


async def test_the_whole_demo_runs_against_this_stack(edge: Edge, record: StackRecord) -> None:
    files = record.webhooks_file, record.push_providers_file
    report = await run(edge, 6, 1.0, TINY, *files)
    assert report.errors == []
    assert report.messages_delivered == 6
    assert report.conversation_has_call_record
    assert report.webhook_delivered
    assert report.notification_delivered
    assert min(report.video_frames_decoded.values()) > 0
    assert min(report.audio_ms_decoded.values()) >= 1000


async def test_a_device_comes_back_after_its_media_was_lost(world: World) -> None:
    alice, bob, _ = await connected(world)
    # As when the network of a phone changes: the peer connection is gone, signaling is not told.
    await alice.phone.close()
    await alice.phone.rejoin()
    await alice.phone.media.until_media(DEADLINE_S)
    media = bob.phone.media
    before = media.video_frames_decoded, media.tone_ms_decoded
    await media.until(
        lambda: media.video_frames_decoded > before[0] and media.tone_ms_decoded > before[1],
        DEADLINE_S,
        "media of the device that came back",
    )
    assert alice.phone.state == ACTIVE
    await alice.phone.hang_up()


async def test_a_device_that_comes_back_by_itself_needs_nobody_to_tell_it(world: World) -> None:
    alice, bob, _ = await connected(world, reconnects=True)
    former = alice.phone.media
    # As when the other end, or consent, ends the connection: no event tells of it.
    await former.close()
    await alice.stream.until(lambda: alice.phone.reconnections == 1, DEADLINE_S, "the return")
    assert alice.phone.media is not former
    await alice.phone.media.until_media(DEADLINE_S)
    assert alice.phone.state == ACTIVE
    await alice.phone.hang_up()
    await bob.phone.until_state(ENDED, DEADLINE_S)
    assert bob.phone.reconnections == 0


async def test_each_side_is_told_whom_it_hears_and_that_they_are_muted(world: World) -> None:
    alice, bob, _ = await connected(world)
    media = bob.phone.media
    await media.until(
        lambda: {slot.user_id for slot in media.slot_map.values()} == {alice.user_id}, DEADLINE_S, "the slot map"
    )
    assert {slot.device_id for slot in media.slot_map.values()} == {alice.device.device_id}
    alice.phone.media.set_muted(audio=True, video=False)
    await media.until(lambda: sum(slot.muted for slot in media.slot_map.values()) == 1, DEADLINE_S, "the mute")
    flat_before = media.flat_pictures
    alice.phone.media.set_muted(audio=True, video=True)
    await media.until(lambda: all(slot.muted for slot in media.slot_map.values()), DEADLINE_S, "the camera off")
    assert flat_before == 0
    await bob.phone.hang_up()


async def test_the_other_side_is_told_when_one_hangs_up(world: World) -> None:
    alice, bob, call_id = await connected(world)
    await bob.phone.hang_up()
    await alice.phone.until_state(ENDED, DEADLINE_S)
    await alice.phone.media.until(lambda: alice.phone.media.is_lost, DEADLINE_S, "the end of the media")
    with refused(FAILED, "CALL_ENDED"):
        await grant_of(alice, call_id)


async def test_a_token_of_an_ended_call_is_stale(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    token = await grant_of(alice, call.call_id)
    await bob.phone.decline(call.call_id)
    await alice.phone.until_state(ENDED, DEADLINE_S)
    with refused(FAILED, "CALL_ENDED"):
        await join(alice, token)


async def test_another_users_token_and_a_forged_one_admit_nobody(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    token = await grant_of(alice, call.call_id)
    with refused(DENIED, "JOIN_TOKEN_INVALID"):
        await join(bob, token)
    head, body, signature = token.split(".")
    for forged in ("x", "a.b.c", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}."):
        with refused(DENIED, "JOIN_TOKEN_INVALID"):
            await join(alice, forged)
    await alice.phone.hang_up()


async def test_a_device_that_is_not_in_the_call_gets_no_token(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    for outsider in (bob, await world.online(alice.user_id)):
        with refused(FAILED, "NOT_IN_CALL"):
            await grant_of(outsider, call.call_id)
    await alice.phone.hang_up()


OFFERS = {
    "empty": "",
    "bare": "v=0",
    "prose": "not an offer",
    "long": "v=0\r\n" * 5000,
    "too long": "a" * 70_000,
    "no media attributes": "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n",
    "zeroes": "\x00" * 40,
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_that_is_none_is_refused(world: World, offer: str) -> None:
    alice, _, conversation_id = await world.pair_online()
    call = await alice.phone.start(conversation_id)
    token = await grant_of(alice, call.call_id)
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        await join(alice, token, offer)
    await alice.phone.join_media()
    await alice.phone.hang_up()
