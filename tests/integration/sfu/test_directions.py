"""Clients that offer one sendrecv line a kind see and hear the others: aiortc, Chromium, Firefox."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from loadtests.sfu_media import chromium
from tests.integration.sfu.conftest import Client, Picture, RunningWorker, Tone
from tests.integration.sfu.test_chromium import MOVING, Report, hears, opened, pictures, report_when
from tests.support.needs import program
from tests.support.stack import computed_s
from tests.support.waiting import until

GREYS = {"ann": 60, "bob": 200, "cid": 120}
# More than Firefox computes until its page says anything.
START_CPU_S = 60


class Simple(Client):
    """As aiortc's examples have it: two tracks and nothing else, no channel and no policy of bundling."""

    def __post_init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: list[asyncio.Task[None]] = []
        self.picture = Picture(self.grey, self.every)
        self.pc.addTrack(Tone())
        self.pc.addTrack(self.picture)


def make(sort: str, name: str) -> Client:
    if sort == "simple":
        return Simple(name, grey=GREYS[name])
    own, receiving = sort.split()
    return Client(name, grey=GREYS[name], direction=own, slots=int(receiving))


@pytest.mark.parametrize(
    ("ann", "bob"),
    [
        ("simple", "simple"),
        ("simple", "sendonly 1"),
        ("sendrecv 0", "sendrecv 0"),
        ("sendrecv 1", "sendrecv 0"),
    ],
)
async def test_two_see_and_hear_each_other(worker: RunningWorker, ann: str, bob: str) -> None:
    one, other = make(ann, "ann"), make(bob, "bob")
    answer = await one.join(worker)
    assert ("a=sendrecv" in answer) == (not ann.startswith("sendonly"))
    await other.join(worker)
    await until(lambda: one.sees(200) and other.sees(60), what="both see the other's picture")
    await until(lambda: one.hears() and other.hears(), what="both hear the other's tone")
    for client in (one, other):
        await client.close()


async def test_three_with_a_line_a_kind_see_and_hear_somebody_each(worker: RunningWorker) -> None:
    clients = [make("sendrecv 0", name) for name in GREYS]
    for client in clients:
        await client.join(worker)

    def all_see_and_hear() -> bool:
        others = {c.user: [grey for user, grey in GREYS.items() if user != c.user] for c in clients}
        return all(c.hears() and any(c.sees(grey) for grey in others[c.user]) for c in clients)

    await until(all_see_and_hear, what="each sees and hears one of the two others")
    for client in clients:
        await client.close()


async def see_and_hear(page: chromium.Page) -> None:
    await report_when(
        page,
        "pictures and sound come",
        lambda report: pictures(report) >= MOVING and hears(report),
        lambda report: (pictures(report), hears(report)),
    )


@pytest.mark.chromium
async def test_simple_pages_of_chromium_play_sound_and_picture_in_one_element(worker: RunningWorker) -> None:
    async with opened(lambda user, offer: worker.join(offer, user)) as browser:
        for page in [await browser.open(name, simply=True) for name in ("ann", "bob")]:
            await see_and_hear(page)
            assert await page.evaluate("played()") == "audio,video"


@asynccontextmanager
async def opened_in_firefox(url: str, user: str) -> AsyncIterator[Report]:
    """A simple page in Firefox: gives what it reported last, which is kept up to date."""
    script = str(Path(__file__).with_name("firefox_page.mjs"))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node", script, program("firefox"), url, user, stdin=pipe, stdout=pipe
    )
    assert process.stdin
    assert process.stdout
    report: Report = {"step": "begun", "pid": process.pid, "inbound": {}}
    following = asyncio.create_task(follow(process.stdout, report))
    try:
        yield report
    finally:
        process.stdin.close()
        await process.wait()
        await following


async def follow(lines: asyncio.StreamReader, report: Report) -> None:
    async for line in lines:
        report.update(json.loads(line))


@pytest.mark.chromium
@pytest.mark.firefox
async def test_simple_pages_of_firefox_and_chromium_see_and_hear_each_other(worker: RunningWorker) -> None:
    async with opened(lambda user, offer: worker.join(offer, user)) as browser:
        page = await browser.open("ann", simply=True)
        async with opened_in_firefox(browser.url, "fox") as fox:
            try:
                await until(
                    lambda: pictures(fox) >= MOVING and hears(fox),
                    what="pictures and sound come to Firefox",
                    # Until it says anything, it is known by what it computes.
                    progress=lambda: (fox["step"], pictures(fox), hears(fox), min(START_CPU_S, computed_s(fox["pid"]))),
                )
            except AssertionError as given_up:
                raise AssertionError(f"{given_up}; it reports {fox}") from None
            assert fox["played"] == "audio,video"
            assert fox["faults"] == []
            await see_and_hear(page)
