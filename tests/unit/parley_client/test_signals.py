"""The test tone and the test picture, and their recognition."""

from __future__ import annotations

import numpy as np
import pytest

from parley_client import signals


def test_the_tone_is_recognised_at_its_own_frequency() -> None:
    assert signals.tone_share(signals.tone(4800, 960, 440.0), 440.0) > 0.98


@pytest.mark.parametrize("hz", [220.0, 554.4, 880.0])
def test_the_tone_is_not_taken_for_another(hz: float) -> None:
    assert signals.tone_share(signals.tone(0, 960, 440.0), hz) < 0.3


def test_silence_and_noise_are_not_the_tone() -> None:
    noise = np.random.default_rng(7).integers(-9000, 9000, 960).astype(np.int16)
    assert signals.tone_share(np.zeros(960, np.int16), 440.0) == 0.0
    assert signals.tone_share(noise, 440.0) < 0.3
    assert signals.tone_share(np.zeros(0, np.int16), 440.0) == 0.0


def test_the_phase_goes_on_from_frame_to_frame() -> None:
    joined = np.concatenate([signals.tone(0, 960, 440.0), signals.tone(960, 960, 440.0)])
    assert np.array_equal(joined, signals.tone(0, 1920, 440.0))


def test_the_picture_is_neither_flat_nor_still() -> None:
    first = signals.picture(0, 320, 180)[:180]
    later = signals.picture(3, 320, 180)[:180]
    assert not signals.is_flat(first)
    assert signals.has_moved(first, later)
    assert not signals.has_moved(first, first)


def test_a_black_picture_is_flat() -> None:
    assert signals.is_flat(signals.black_picture(320, 180)[:180])


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 360), (64, 48), (2, 2)])
def test_a_picture_has_the_shape_of_planar_420(width: int, height: int) -> None:
    assert signals.picture(5, width, height).shape == (height * 3 // 2, width)
    assert signals.black_picture(width, height).shape == (height * 3 // 2, width)
