"""The test tone and the test picture, and how to recognise them at the other end.

Pure numpy. Sound is 48 kHz mono, 16-bit; pictures are planar YUV 4:2:0, shape (height * 3 // 2, width), 8-bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
# 20 ms: what Opus sends in one packet.
SAMPLES_PER_FRAME = 960

Samples = NDArray[np.int16]
Picture = NDArray[np.uint8]

_AMPLITUDE = 0.3 * 32767
# Below this (about -50 dBFS) a frame counts as silence, whatever its spectrum.
_SILENCE_RMS = 100.0
# A camera that is off gives a deviation of 0 to 2 after coding; the test picture gives about 60.
_FLAT_DEVIATION = 8.0


def tone(start_sample: int, count: int, hz: float) -> Samples:
    """A sine wave of -10 dBFS whose phase goes on from frame to frame."""
    at = np.arange(start_sample, start_sample + count, dtype=np.float64)
    return (_AMPLITUDE * np.sin(2 * np.pi * hz * at / SAMPLE_RATE_HZ)).astype(np.int16)


def tone_share(samples: Samples, hz: float) -> float:
    """The share of the energy that lies at `hz`, 0 to 1; 0 for silence.

    The discrete Fourier transform at one frequency under a Hann window, scaled so that a pure tone gives 1.
    """
    sound = samples.astype(np.float64)
    if sound.size == 0 or float(np.sqrt(np.mean(sound**2))) < _SILENCE_RMS:
        return 0.0
    window = np.hanning(sound.size)
    turns = np.exp(-2j * np.pi * hz * np.arange(sound.size) / SAMPLE_RATE_HZ)
    at_tone = abs(np.sum(window * sound * turns)) ** 2
    return float(2 * at_tone / (np.sum(window) * np.sum(window * sound**2)))


def picture(index: int, width: int, height: int) -> Picture:
    """A gradient under a bright bar that moves right by 1/32 of the width a frame, in a tint that changes."""
    luma = np.empty((height, width), dtype=np.uint8)
    luma[:] = np.linspace(32, 160, width, dtype=np.uint8)
    bar = max(width // 16, 1)
    left = (index * max(width // 32, 1)) % (width - bar)
    luma[:, left : left + bar] = 235
    tint = np.full((height // 2, width), 128 + (index % 64) - 32, dtype=np.uint8)
    return np.vstack([luma, tint])


def black_picture(width: int, height: int) -> Picture:
    """What a camera that is switched off sends."""
    luma = np.full((height, width), 16, dtype=np.uint8)
    return np.vstack([luma, np.full((height // 2, width), 128, dtype=np.uint8)])


def is_flat(luma: NDArray[np.uint8]) -> bool:
    """Whether a luma plane shows nothing: black, grey or any one shade."""
    return float(luma.std()) < _FLAT_DEVIATION


def has_moved(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether two luma planes of the same size differ by more than coding noise."""
    difference = np.abs(before.astype(np.int16) - after.astype(np.int16))
    return bool(np.mean(difference > 40) > 0.01)
