"""Sound and picture of one person in Chromium, when one of them is late on its way to the worker."""

from statistics import median

import pytest

from loadtests.sfu_media import chromium
from loadtests.sfu_media.two_ways import TwoWays
from tests.integration.sfu.conftest import RunningWorker
from tests.integration.sfu.test_chromium import opened
from tests.support.waiting import eventually

pytestmark = pytest.mark.chromium
LATE_S = 0.3
# From there on people see it.
APART_MS = 80
FLASHES = 5


async def test_sound_that_is_late_and_its_picture_are_played_together(worker: RunningWorker) -> None:
    relay = TwoWays()
    await relay.start()
    relay.delay(LATE_S, 0.0)
    last: list[float] = []

    async def join(user: str, offer: str) -> str:
        answer = await worker.join(offer, user)
        return relay.between(offer, answer) if user == "ann" else answer

    async def is_together(bob: chromium.Page) -> bool:
        last[:] = await bob.evaluate(f"skews({FLASHES})")
        return len(last) >= FLASHES - 1 and abs(median(last)) < APART_MS

    try:
        # Each in a browser of its own: a tab behind another one draws nothing.
        async with opened(join, fps=15) as hers, opened(join, fps=15) as his:
            ann, bob = await hers.open("ann", "video/VP8"), await his.open("bob", "video/VP8")
            await ann.evaluate("flash()")
            await eventually(lambda: is_together(bob), what="flash and beep come together", progress=lambda: len(last))
    finally:
        relay.close()
