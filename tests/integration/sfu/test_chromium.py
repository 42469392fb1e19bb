"""Two tabs of headless Chromium with three simulcast layers in a call on a worker."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loadtests.sfu_media import chromium
from tests.integration.sfu.conftest import RunningWorker

DEADLINE_S = 60.0


@pytest.fixture
async def browser(worker: RunningWorker) -> AsyncIterator[chromium.Browser]:
    if chromium.find() is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed")
    browser = chromium.Browser(lambda user, offer: worker.join(offer, user))
    await browser.start()
    yield browser
    await browser.stop()


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
