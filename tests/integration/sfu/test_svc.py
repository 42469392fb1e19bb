"""Tabs of headless Chromium with layers in one stream, and in a call that changes its codec."""

import pytest

from loadtests.sfu_media import chromium
from tests.integration.sfu.conftest import Client, run_worker
from tests.integration.sfu.test_chromium import MOVING, Report, frames_of, opened, report_when, see, sees
from tests.support.waiting import until

pytestmark = pytest.mark.chromium

SMALLEST = 320


def larger(report: Report) -> int:
    """How many pictures came on the slots that show one which is larger than the smallest now."""
    return sum(line["framesDecoded"] for line in report["inbound"].values() if (line.get("width") or 0) > SMALLEST)


async def sees_larger(page: chromium.Page) -> None:
    """Return once pictures of a larger layer are decoded, and go on being so. How large they are is up to the sender's
    processor and path."""
    before = larger(await page.evaluate("report()"))
    await report_when(page, "larger pictures", lambda report: larger(report) >= before + MOVING, larger)


async def test_of_one_stream_each_receiver_gets_the_layer_that_it_asks_for() -> None:
    async with run_worker() as worker, opened(lambda user, offer: worker.join(offer, user)) as browser:
        await browser.open("ann", "video/VP9", mode="L3T3_KEY")
        bob = await browser.open("bob", "video/VP8")
        await sees_larger(bob)
        await see(bob, height=180)
        await sees(bob, SMALLEST)
        await see(bob)
        await sees_larger(bob)


async def test_all_go_over_to_what_who_comes_later_decodes() -> None:
    async with (
        run_worker(PARLEY_SFU_VIDEO_CODECS="vp9,vp8") as worker,
        opened(lambda user, offer: worker.join(offer, user)) as browser,
    ):
        pages = [await browser.open(user, follows=True) for user in ("ann", "bob")]
        for page in pages:
            await frames_of(page, "video/VP9")
        # Another stack, that knows no VP9.
        old = Client("old", grey=200)
        await old.join(worker)
        for page in pages:
            await frames_of(page, "video/VP8")
        await until(lambda: old.frames() > MOVING, what="who has VP8 alone sees them too", progress=old.frames)
        await old.close()
