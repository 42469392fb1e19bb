"""Two tabs of headless Chromium with three simulcast layers in a call on a worker."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtests.sfu_media import chromium
from tests.integration.sfu.conftest import RunningWorker

DEADLINE_S = 60.0


@asynccontextmanager
async def opened(join: chromium.Join) -> AsyncIterator[chromium.Browser]:
    if chromium.find() is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed")
        # On a machine of one's own only; `.ci/test` says at its end what was left out, and in CI it is a failure.
        pytest.skip("Chromium is not installed")
    browser = chromium.Browser(join)
    await browser.start()
    try:
        yield browser
    finally:
        await browser.stop()


@pytest.fixture
async def browser(worker: RunningWorker) -> AsyncIterator[chromium.Browser]:
    async with opened(lambda user, offer: worker.join(offer, user)) as browser:
        yield browser


def receives(report: dict[str, Any], width: int) -> bool:
    """Whether pictures of at least this width are decoded and sound is heard."""
    inbound = report["inbound"].values()
    seen = any((line.get("width") or 0) >= width and line["framesDecoded"] > 30 for line in inbound)
    return seen and any((line.get("energy") or 0) > 0.001 for line in inbound)


def sends_all_layers(report: dict[str, Any]) -> bool:
    return all(report["outbound"].get(rid, {}).get("frames", 0) > 0 for rid in "qhf")


async def report_when(page: chromium.Page, width: int) -> dict[str, Any]:
    """The report once pictures of that width and sound come, and all layers go."""
    end = time.monotonic() + DEADLINE_S
    while True:
        report: dict[str, Any] = await page.evaluate("report()")
        if receives(report, width) and sends_all_layers(report):
            return report
        if time.monotonic() > end:
            raise AssertionError(f"no picture {width} wide with sound, or not all layers sent: {report}")
        await asyncio.sleep(0.2)


async def test_two_tabs_see_the_top_layer_of_each_other(worker: RunningWorker, browser: chromium.Browser) -> None:
    ann = await browser.open("ann")
    bob = await browser.open("bob")
    for page in (ann, bob):
        report = await report_when(page, width=1280)
        assert report["state"] == "connected"
        assert report["messages"] > 0


def without_udp(answer: str) -> str:
    """As for a network that lets no UDP out: the candidates over TCP alone are left."""
    return re.sub(r"a=candidate:\S+ 1 udp .*\r\n", "", answer)


async def test_two_tabs_without_udp_see_and_hear_each_other_over_tcp(worker: RunningWorker) -> None:
    async def join(user: str, offer: str) -> str:
        return without_udp(await worker.join(offer, user))

    async with opened(join) as browser:
        for page in [await browser.open("ann"), await browser.open("bob")]:
            report = await report_when(page, width=320)
            assert report["state"] == "connected"
        assert worker.services.tcp.connection_count >= 2


@pytest.mark.parametrize("codec", ["video/VP9", "video/H264", "video/AV1"])
async def test_a_tab_that_sends_another_codec_is_seen_by_one_that_came_before_and_one_that_comes_later(
    browser: chromium.Browser, codec: str
) -> None:
    early = await browser.open("early")
    sender = await browser.open("sender", codec)
    for page in (early, await browser.open("later")):
        # Only from a key frame on is there anything to decode: the SFU lets nothing through before one.
        await frames_of(page, codec)
    # And the sender sees the others' VP8.
    await frames_of(sender, "video/VP8")


async def frames_of(page: chromium.Page, codec: str) -> None:
    """Return once frames of this codec are decoded, and go on being so."""
    end = time.monotonic() + DEADLINE_S
    while True:
        report: dict[str, Any] = await page.evaluate("report()")
        if any(line["codec"] == codec and line["framesDecoded"] > 30 for line in report["inbound"].values()):
            return
        assert time.monotonic() < end, f"no frames of {codec}: {report}"
        await asyncio.sleep(0.2)
