"""A group's call that is larger than a media worker: its devices are on two, one of these is killed, then set aside.

Each worker has room for two. So the third one of a call is on the other, and what everybody hears and sees of it, and
it of them, comes over the leg between the two.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from parley.calls.v1 import operations_pb2, operations_pb2_grpc
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.settings import PARTS
from parley_client.calls import ENDED
from parley_client.client import Edge
from parley_client.media import MediaEndpoint, MediaLostError
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from services.runtime.grpc.channels import connect
from tests.support.admins import admin_of
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.restarts

MORE_MS, MORE_FRAMES = 500, 2


@pytest.fixture(scope="module")
def farm() -> Iterator[RunningStack]:
    """A stack with two media workers for two each."""
    parts = tuple(part for part in PARTS if part not in ("web", "push", "webhooks"))
    # Whoever is on the worker that is killed waits for it to come back: the other one has no room.
    env = {"PARLEY_SFU_MAX_PARTICIPANTS": "2"}
    with run_stack("faults-spread", parts=parts, env=env, replicas={"sfu": 2}) as running:
        yield running


@pytest.fixture
async def three(farm: RunningStack) -> AsyncIterator[list[Session]]:
    """Three people, who are in no call yet."""
    edge = Edge(farm.record.edge_address, farm.record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=2)
    async with AsyncExitStack() as cleanup:
        yield [
            await cleanup.enter_async_context(
                open_session(edge, f"{name}-{secrets.token_hex(4)}", source, source.tone_hz, PATIENCE_S)
            )
            for name in ("ann", "bob", "cid")
        ]


async def until_all_hear_and_see(sides: Sequence[Session]) -> None:
    """Waits until more has come to each from each of the others."""
    await asyncio.gather(*(_until_more(side, len(sides) - 1) for side in sides))


async def _until_more(side: Session, others: int) -> None:
    while True:
        media = side.phone.media
        try:
            return await _until_more_on(media, others, side.user_id)
        except MediaLostError:
            # Its worker is gone; the next connection comes with the move.
            await until(lambda media=media: side.phone.media is not media, what="another connection")  # type: ignore[misc]


async def _until_more_on(media: MediaEndpoint, others: int, who: str) -> None:
    tones, frames = media.tone_ms_by_slot, media.frames_by_slot

    def how_many() -> tuple[int, int]:
        heard = sum(now >= then + MORE_MS for then, now in zip(tones, media.tone_ms_by_slot, strict=True))
        seen = sum(now >= then + MORE_FRAMES for then, now in zip(frames, media.frames_by_slot, strict=True))
        return min(heard, others), min(seen, others)

    await media.until(
        lambda: how_many() == (others, others),
        PATIENCE_S,
        f"{others} others at {who}",
        lambda: (media.state, how_many(), min(media.tone_ms_decoded, sum(tones) + others * MORE_MS)),
    )


async def operations(farm: RunningStack, name: str, request: Any) -> Any:
    """What an operator asks of signaling."""
    async with connect(farm.record.admin_addresses["signaling"], admin_of(farm.record, "operator")) as channel:
        stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
        return await getattr(stub, name)(request, timeout=PATIENCE_S)


async def worker_of(farm: RunningStack, call_id: str) -> str:
    """The call's own worker."""
    answer = await operations(farm, "LocateCall", operations_pb2.LocateCallRequest(call_id=call_id))
    return str(answer.worker_id)


async def test_three_on_two_workers_and_what_becomes_of_one_takes_its_own_device_along_alone(
    farm: RunningStack, three: list[Session]
) -> None:
    ann, bob, cid = three
    request = messaging.CreateGroupRequest(
        user_ids=[bob.user_id, cid.user_id], title="Three", client_conversation_id=secrets.token_hex(8)
    )
    conversation = (await ann.device.messaging.CreateGroup(request)).conversation
    call = await ann.phone.start(conversation.conversation_id)
    await ann.phone.join_media()
    for side in (bob, cid):
        await side.phone.join(call.call_id)
        await side.phone.join_media()
    await until_all_hear_and_see(three)

    home = await worker_of(farm, call.call_id)
    (satellite,) = {name for name in farm.record.pids if name.startswith("sfu")} - {home}
    kept = [side.phone.media for side in (ann, bob)]
    pid = farm.kill(satellite)
    await cid.stream.until(lambda: cid.phone.media_epoch > 0, PATIENCE_S, "the move of the third one")
    await until_all_hear_and_see(three)
    # Nobody else had to do anything.
    assert [side.phone.media for side in (ann, bob)] == kept
    assert [side.phone.media_epoch for side in three] == [0, 0, 1]
    assert await worker_of(farm, call.call_id) == home
    await asyncio.to_thread(farm.wait_for_restart, satellite, pid, PATIENCE_S)

    await ann.phone.hang_up()
    await until_all_hear_and_see((bob, cid))
    assert bob.phone.state != ENDED

    # There is room where the call is: the third one comes there, and is let go of elsewhere when it has media.
    overlaps = len(cid.phone.overlaps)
    await operations(farm, "DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=satellite))
    await cid.stream.until(lambda: cid.phone.media_epoch > 1, PATIENCE_S, "the third one's move to the call's worker")
    await cid.stream.until(lambda: len(cid.phone.overlaps) > overlaps, PATIENCE_S, "the end of the connection before")
    assert cid.phone.overlaps[-1]
    await until_all_hear_and_see((bob, cid))
    assert bob.phone.media is kept[1]
    await operations(farm, "DrainWorker", operations_pb2.DrainWorkerRequest(worker_id=satellite, undo=True))

    await bob.phone.hang_up()
    await cid.phone.hang_up()
    for side in three:
        await side.phone.until_state(ENDED, PATIENCE_S)
