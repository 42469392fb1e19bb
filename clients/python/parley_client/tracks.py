"""What a device sends (the tone, the picture) and what it makes of what it receives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import VIDEO_CLOCK_RATE, VIDEO_TIME_BASE, MediaStreamError
from av.frame import Frame
from numpy.typing import NDArray

from parley_client import signals

# Share of the energy at the expected frequency from which a frame counts as the tone. Opus keeps a tone near 1. Raising
# it refuses frames that concealment or a cut has touched; lowering it lets other sounds pass.
_TONE_SHARE = 0.6
# Every n-th decoded picture is looked at. Raising it sees a change later; lowering it costs CPU that the stack needs.
_LOOK_EVERY = 3


@dataclass(frozen=True)
class SourceOptions:
    """What a device sends. 320x180 at 15 pictures a second costs a few per cent of a core to encode."""

    tone_hz: float = 440.0
    width: int = 320
    height: int = 180
    pictures_per_s: int = 15


class _Pacer:
    """Gives out a track's media in real time."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    async def wait(self, media_time_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now_s - media_time_s
        await asyncio.sleep(max(self._start_s + media_time_s - now_s, 0.0))


class ToneTrack(MediaStreamTrack):
    """The test tone in frames of 20 ms; silence while muted."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self.muted = False
        self._hz = hz
        self._sample = 0
        self._pacer = _Pacer()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._pacer.wait(self._sample / signals.SAMPLE_RATE_HZ)
        samples = signals.tone(self._sample, signals.SAMPLES_PER_FRAME, self._hz)
        if self.muted:
            samples = np.zeros_like(samples)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = signals.SAMPLE_RATE_HZ
        frame.pts = self._sample
        frame.time_base = Fraction(1, signals.SAMPLE_RATE_HZ)
        self._sample += signals.SAMPLES_PER_FRAME
        return frame


class PictureTrack(MediaStreamTrack):
    """The moving test picture; black while muted."""

    kind = "video"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__()
        self.muted = False
        self._options = options
        self._index = 0
        self._pacer = _Pacer()

    async def recv(self) -> av.VideoFrame:
        """The next picture, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        options = self._options
        await self._pacer.wait(self._index / options.pictures_per_s)
        if self.muted:
            content = signals.black_picture(options.width, options.height)
        else:
            content = signals.picture(self._index, options.width, options.height)
        frame = av.VideoFrame.from_ndarray(content, format="yuv420p")
        frame.pts = self._index * VIDEO_CLOCK_RATE // options.pictures_per_s
        frame.time_base = VIDEO_TIME_BASE
        self._index += 1
        return frame


@dataclass
class Continuity:
    """When something came, over all connections of a call, and the longest time in which nothing did, in seconds."""

    last_s: float | None = None
    longest_gap_s: float = 0.0

    def note(self, now_s: float) -> None:
        """It came now."""
        if self.last_s is not None:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self.last_s)
        self.last_s = now_s


@dataclass
class ReceivedAudio:
    """What was decoded on one audio slot. `first_tone_s` is the clock's value at the first frame that held the tone."""

    expected_hz: float
    continuity: Continuity = field(default_factory=Continuity)
    decoded_ms: float = 0.0
    tone_ms: float = 0.0
    first_tone_s: float | None = None

    def take(self, frame: Frame, now_s: float) -> None:
        """Counts one decoded frame and listens for the tone in its first channel."""
        assert isinstance(frame, av.AudioFrame)
        samples = frame.to_ndarray()
        channels = len(frame.layout.channels)
        mono = samples[0, ::channels] if frame.format.is_packed else samples[0]
        length_ms = 1000 * frame.samples / frame.sample_rate
        self.decoded_ms += length_ms
        if signals.tone_share(mono.astype(np.int16), self.expected_hz) >= _TONE_SHARE:
            self.tone_ms += length_ms
            self.continuity.note(now_s)
            if self.first_tone_s is None:
                self.first_tone_s = now_s


@dataclass
class ReceivedVideo:
    """What was decoded on one video slot. `first_picture_s` is the clock's value at the first that was not flat."""

    continuity: Continuity = field(default_factory=Continuity)
    decoded_frames: int = 0
    looked_at: int = 0
    flat: int = 0
    moved: int = 0
    width: int = 0
    height: int = 0
    first_picture_s: float | None = None
    _before: NDArray[np.uint8] | None = field(default=None, repr=False)

    def take(self, frame: Frame, now_s: float) -> None:
        """Counts one decoded picture; looks at each one until something is seen, then at every third."""
        assert isinstance(frame, av.VideoFrame)
        self.decoded_frames += 1
        self.continuity.note(now_s)
        self.width, self.height = frame.width, frame.height
        if self.first_picture_s is not None and self.decoded_frames % _LOOK_EVERY:
            return
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        luma = rows[:, : plane.width].copy()
        self.looked_at += 1
        if signals.is_flat(luma):
            self.flat += 1
        elif self.first_picture_s is None:
            self.first_picture_s = now_s
        if self._before is not None and self._before.shape == luma.shape and signals.has_moved(self._before, luma):
            self.moved += 1
        self._before = luma


class Sink(Protocol):
    """Takes what a track brings."""

    def take(self, frame: Frame, now_s: float) -> None:
        """Takes one decoded frame. `now_s`: the clock's value when it came out of the decoder."""


async def drain(track: MediaStreamTrack, sink: Sink, clock: Callable[[], float], changed: Callable[[], None]) -> None:
    """Takes every decoded frame of a track until it ends, and says after each that something changed."""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if isinstance(frame, Frame):
            sink.take(frame, clock())
            changed()
