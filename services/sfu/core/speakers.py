"""Who speaks: levels by RFC 6464, smoothed, and the order of the loudest without flapping."""

from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

# RFC 6464: 0 is the loudest, 127 is silence, in -dBov. Quieter than this is not speech.
# Higher: noise is speech. Lower: quiet people are not heard.
SPEECH_LEVEL: Final = 50
SILENCE: Final = 127
# Weight of the past at each packet of 20 ms. Higher: slower to see a speaker. Lower: a cough is a speech.
SMOOTHING: Final = 0.8
# A level that old is silence: a client with DTX sends nothing while nobody speaks.
STALE_S: Final = 0.5
# Who was heard keeps this advantage. Higher: fewer changes. Lower: the loudest sooner.
STICKINESS_DB: Final = 6.0
# Speakers are ranked anew this often. Higher: later. Lower: more flapping.
RANK_INTERVAL_S: Final = 0.3

Name = TypeVar("Name", bound=Hashable)


class SpeechLevel:
    """One microphone."""

    def __init__(self) -> None:
        self._smoothed = float(SILENCE)
        self._at = -1.0
        self.spoke_at = -1.0

    def add(self, level: int, now: float) -> None:
        """A packet's audio level element: the voice flag and 7 bits of -dBov."""
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * (level & 0x7F)
        self._at = now
        if self._smoothed <= SPEECH_LEVEL:
            self.spoke_at = now

    def loudness(self, now: float) -> float:
        """0 is silence, 127 the loudest."""
        return SILENCE - self._smoothed if now - self._at < STALE_S else 0.0

    def is_speaking(self, now: float) -> bool:
        """Whether this is speech."""
        return self.loudness(now) >= SILENCE - SPEECH_LEVEL


def rank(loudness: Sequence[tuple[Name, float]], former: Sequence[Name]) -> list[Name]:
    """All names, the loudest first. Those ranked before keep their order among equals and a small advantage."""
    places = {name: place for place, name in enumerate(former)}

    def strength(entry: tuple[Name, float]) -> tuple[float, int]:
        name, level = entry
        place = places.get(name, len(places))
        # The advantage shrinks down the list, so that it holds between any two neighbours.
        bonus = STICKINESS_DB / (1 + place) if level else 0.0
        return -(level + bonus), place

    return [name for name, _ in sorted(loudness, key=strength)]
