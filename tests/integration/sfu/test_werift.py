"""A peer of a stack that is neither a browser nor aiortc: werift, without simulcast, with header extensions or not.

It does not encode: it sends frames that were encoded here.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av import AudioFrame, VideoFrame

from tests.integration.sfu.conftest import Client, RunningWorker
from tests.support.waiting import PATIENCE_S, until, within

GREY = 60


def voice() -> list[list[str]]:
    """A second of a tone, in Opus."""
    encoder, units = OpusEncoder(), []
    for place in range(50):
        samples = 960 * place + np.arange(960)
        wave = (12000 * np.sin(2 * np.pi * 440 * samples / 48000)).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.pts, frame.sample_rate, frame.time_base = 960 * place, 48000, Fraction(1, 48000)
        payloads, _ = encoder.encode(frame)
        units.append([b64encode(payload).decode() for payload in payloads])
    return units


def picture() -> list[list[str]]:
    """A key frame of one grey, in VP8."""
    grey = VideoFrame.from_ndarray(np.full((96, 128, 3), GREY, dtype=np.uint8), format="rgb24")
    frame = grey.reformat(format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90000)
    payloads, _ = Vp8Encoder().encode(frame, force_keyframe=True)
    return [[b64encode(payload).decode() for payload in payloads]]


class Peer:
    """The process, and what it told last."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self.facts: dict[str, Any] = {}

    def write(self, **message: object) -> None:
        self._stdin.write(json.dumps(message).encode() + b"\n")

    async def read(self) -> dict[str, Any]:
        line = await within(self._stdout.readline(), PATIENCE_S)
        told: dict[str, Any] = json.loads(line)
        return told

    async def follow(self) -> None:
        while not self._stdout.at_eof():
            self.facts = await self.read()


@asynccontextmanager
async def joined(worker: RunningWorker, user: str, *, named: bool, direction: str) -> AsyncIterator[Peer]:
    """A peer of werift in the call; `named`: with MID and audio levels in its packets. `direction`: of its own lines;
    where these only send, it has others to receive on."""
    script = str(Path(__file__).with_name("werift_peer.mjs"))
    process = await asyncio.create_subprocess_exec(
        "node", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    peer = Peer(process)
    try:
        peer.write(audio=voice(), video=picture(), named=named, direction=direction)
        offer = (await peer.read())["offer"]
        assert ("sdes:mid" in offer) == named
        assert offer.count("m=audio") == offer.count("m=video") == (1 if direction == "sendrecv" else 2)
        peer.write(answer=await worker.join(offer, user))
        following = asyncio.create_task(peer.follow())
        yield peer
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("named", [True, False], ids=["with MID and levels", "without header extensions"])
@pytest.mark.parametrize("people", [2, 4], ids=["two", "more than slots"])
@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
async def test_it_is_seen_and_heard_and_sees_and_hears(
    worker: RunningWorker, named: bool, people: int, direction: str
) -> None:
    others = [Client(f"u{place}", grey=200, slots=1) for place in range(people - 1)]
    async with joined(worker, "wer", named=named, direction=direction) as peer:
        for other in others:
            await other.join(worker)
            # So that it is the one who speaks.
            await until(lambda other=other: other.maps, within_s=PATIENCE_S, what="the channel is open")
            other.mute(audio=True, video=False)

        def receives() -> bool:
            facts = peer.facts
            return facts.get("audio", 0) > 50 and facts.get("video", 0) > 10 and facts.get("keyFrames", 0) > 0

        def is_received() -> bool:
            return all(other.sees(GREY) and other.hears() for other in others)

        try:
            await until(receives, within_s=PATIENCE_S, what="it receives sound and pictures")
            await until(is_received, within_s=PATIENCE_S, what="all others see it and hear somebody")
        except AssertionError as error:
            raise AssertionError(f"{error}; {peer.facts}; {[other.heard for other in others]}") from error
        assert peer.facts["maps"] > 0
    for other in others:
        await other.close()
