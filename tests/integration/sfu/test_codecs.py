"""Clients of different codecs in one call: forwarded as they are, from a key frame on, and decoded."""

from tests.integration.sfu.conftest import Client, RunningWorker
from tests.support.waiting import until


async def test_h264_is_forwarded_and_decoded_also_by_who_comes_later(worker: RunningWorker) -> None:
    ann, bob = Client("ann", grey=60, codec="video/H264"), Client("bob", grey=200)
    answer = await ann.join(worker)
    own = next(part for part in answer.split("m=") if part.startswith("video"))
    assert "H264/90000" in own
    assert "VP8" not in own
    await bob.join(worker)
    await until(lambda: bob.sees(60) and ann.sees(200), what="H.264 one way, VP8 the other")
    cid = Client("cid", grey=120)
    await cid.join(worker)
    await until(lambda: cid.sees(60), what="who comes later sees it too")
    for client in (ann, bob, cid):
        await client.close()
