"""Two tabs of headless Chromium in a call whose best codec has its layers in one stream."""

import pytest

from tests.integration.sfu.conftest import Client, run_worker
from tests.integration.sfu.test_chromium import active, frames_of, opened, report_when, see, sees
from tests.support.waiting import until

pytestmark = pytest.mark.chromium


async def test_a_tab_sends_layers_in_one_stream_until_somebody_comes_who_cannot_decode_it() -> None:
    async with (
        run_worker(PARLEY_SFU_VIDEO_CODECS="vp9,vp8") as worker,
        opened(lambda user, offer: worker.join(offer, user)) as browser,
    ):
        ann = await browser.open("ann", follows=True)
        bob = await browser.open("bob", follows=True)
        for page in (ann, bob):
            await frames_of(page, "video/VP9")
        # Of the one stream that she sends he gets the layer that he asks for.
        for height, width in ((180, 320), (0, 1280), (360, 640)):
            await see(bob, height=height)
            await sees(bob, width)
            report = await report_when(ann, "sends one stream", lambda said: active(said) == "f", active)
            assert report["outbound"]["f"]["width"] == 1280
        # Another stack, that knows no VP9.
        old = Client("old", grey=200)
        await old.join(worker)
        for page in (ann, bob):
            await frames_of(page, "video/VP8")
        await until(lambda: old.frames() > 10, what="who has VP8 alone sees them too")
        await sees(bob, 640)
        await old.close()
