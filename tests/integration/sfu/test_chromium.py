"""Two tabs of headless Chromium with three simulcast layers in a call on a worker."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from parley.sfu.v1 import channel_pb2

from loadtests.sfu_media import chromium
from tests.integration.sfu.conftest import RunningWorker
from tests.support.waiting import eventually

pytestmark = pytest.mark.chromium
# Raising it: what is counted comes sooner, and three encoders a tab take more of the machine.
FPS = 5
# Of a stream of pictures: enough to say that they move.
MOVING = 10
# Raising it waits for longer for a picture that never gets larger; lowering it gives a slow machine less time.
MOST_WAITED_FOR = 600


@asynccontextmanager
async def opened(join: chromium.Join, fps: int = FPS) -> AsyncIterator[chromium.Browser]:
    browser = chromium.Browser(join, fps)
    await browser.start()
    try:
        yield browser
    finally:
        await browser.stop()


@pytest.fixture
async def browser(worker: RunningWorker) -> AsyncIterator[chromium.Browser]:
    async with opened(lambda user, offer: worker.join(offer, user)) as browser:
        yield browser


Report = dict[str, Any]


def pictures(report: Report, width: int = 0, codec: str | None = None) -> int:
    """How many pictures were decoded of the stream that brought the most, up to what is waited for.

    `width`: the least that counts; `codec`: the only one.
    """
    lines = report["inbound"].values()
    fit = [line for line in lines if (line.get("width") or 0) >= width and codec in (None, line.get("codec"))]
    return min(MOVING, max((line.get("framesDecoded") or 0 for line in fit), default=0))


def hears(report: Report) -> bool:
    return any((line.get("energy") or 0) > 0.001 for line in report["inbound"].values())


def layers(report: Report) -> list[str]:
    """Those that are sent, of three."""
    return [rid for rid in "qhf" if report["outbound"].get(rid, {}).get("frames", 0) > 0]


async def report_when(
    page: chromium.Page, what: str, good: Callable[[Report], bool], progress: Callable[[Report], object]
) -> Report:
    """The page's report once it is good; `progress` makes of one what moves until then (tests/support/waiting.py)."""
    report: Report = {"state": "not asked yet", "inbound": {}, "outbound": {}}

    async def is_good() -> bool:
        nonlocal report
        report = await page.evaluate("report()")
        return good(report)

    try:
        await eventually(is_good, what=what, progress=lambda: progress(report))
    except AssertionError as given_up:
        raise AssertionError(f"{given_up}; the page reports {report}") from None
    return report


async def sees_and_hears(page: chromium.Page, width: int) -> Report:
    """The report once pictures of that width and sound come, and all layers go."""
    return await report_when(
        page,
        f"pictures {width} wide and sound come, all layers go",
        lambda report: pictures(report, width=width) >= MOVING and hears(report) and len(layers(report)) == 3,
        lambda report: (
            *(pictures(report, width=width), hears(report), layers(report)),
            # As long as any come, a larger one may: a slow machine takes its time to find what it can bear.
            min(MOST_WAITED_FOR, sum(line.get("framesDecoded") or 0 for line in report["inbound"].values())),
        ),
    )


async def test_two_tabs_see_the_top_layer_of_each_other(worker: RunningWorker, browser: chromium.Browser) -> None:
    ann = await browser.open("ann")
    bob = await browser.open("bob")
    for page in (ann, bob):
        report = await sees_and_hears(page, width=1280)
        assert report["state"] == "connected"
        assert report["messages"] > 0


def active(report: Report) -> str:
    """The layers that are encoded now, of three."""
    return "".join(rid for rid in "qhf" if report["outbound"].get(rid, {}).get("active"))


def decoded(report: Report, width: int) -> int:
    """How many pictures came on the slots that show one of this width now."""
    return sum(line["framesDecoded"] for line in report["inbound"].values() if line.get("width") == width)


async def see(page: chromium.Page, *, height: int = 0, hidden: bool = False) -> None:
    """Ask for ann's camera at this height, or for nothing."""
    request = channel_pb2.VideoRequest(user_id="ann", max_height=height, pinned=True)
    asked = channel_pb2.SetVideoSlots(requests=[request], hidden=hidden)
    message = channel_pb2.ChannelMessage(set_video_slots=asked).SerializeToString()
    await page.evaluate(f"say({list(message)})")


async def sends(page: chromium.Page, layers: str) -> Report:
    """The report once it sends these layers and no others."""
    return await report_when(page, f"sends {layers!r}", lambda report: active(report) == layers, active)


async def sees(page: chromium.Page, width: int) -> None:
    """Return once pictures of this width are decoded, and go on being so."""
    before = decoded(await page.evaluate("report()"), width)
    await report_when(
        page,
        f"pictures {width} wide",
        lambda report: decoded(report, width) >= before + MOVING,
        lambda report: [(line.get("width"), line.get("framesDecoded")) for line in report["inbound"].values()],
    )


async def test_a_tab_sends_only_the_layers_that_somebody_takes(browser: chromium.Browser) -> None:
    ann = await browser.open("ann", follows=True)
    # Nobody is there to see her.
    await sends(ann, "")
    # The others' pictures are small ones.
    bob = await browser.open("bob", "video/VP8")
    await sees(bob, width=1280)
    await sends(ann, "f")
    await sees(bob, width=1280)
    cid = await browser.open("cid", "video/VP8")
    await see(cid, height=360)
    await sees(cid, width=640)
    await sees(bob, width=1280)
    await sends(ann, "hf")
    for page in (bob, cid):
        await see(page, hidden=True)
    await sends(ann, "")
    await see(bob)
    await sees(bob, width=1280)
    await sends(ann, "f")


async def audio_packets(page: chromium.Page) -> int:
    report: Report = await page.evaluate("report()")
    return int(report["outbound"]["audio"]["packets"])


async def test_a_tab_that_is_silent_sends_a_fraction_of_the_packets(worker: RunningWorker) -> None:
    async def join(user: str, offer: str) -> str:
        answer = await worker.join(offer, user)
        assert ";usedtx=1" in answer
        return answer.replace(";usedtx=1", "") if user == "old" else answer

    async with opened(join) as browser:
        pages = [await browser.open(user, "video/VP8") for user in ("old", "new")]
        for page in pages:
            await sees(page, width=320)
            await page.evaluate("silence()")
        await sees(pages[0], width=320)
        # Both over the same time: until so many pictures have come, however long that takes here.
        before = [await audio_packets(page) for page in pages]
        for _ in range(3):
            await sees(pages[0], width=320)
        old, new = [await audio_packets(page) - count for page, count in zip(pages, before, strict=True)]
        assert old > 100
        assert 0 < new < old / 5, "by more than 80 %"


def without_udp(answer: str) -> str:
    """As for a network that lets no UDP out: the candidates over TCP alone are left."""
    return re.sub(r"a=candidate:\S+ 1 udp .*\r\n", "", answer)


async def test_two_tabs_without_udp_see_and_hear_each_other_over_tcp(worker: RunningWorker) -> None:
    async def join(user: str, offer: str) -> str:
        return without_udp(await worker.join(offer, user))

    async with opened(join) as browser:
        for page in [await browser.open("ann"), await browser.open("bob")]:
            report = await sees_and_hears(page, width=320)
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
    await report_when(
        page,
        f"pictures in {codec}",
        lambda report: pictures(report, codec=codec) >= MOVING,
        lambda report: (pictures(report), pictures(report, codec=codec)),
    )
