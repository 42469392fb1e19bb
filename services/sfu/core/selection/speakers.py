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
# Opus sends no more than this while it is silent (DTX).
DTX_BYTES: Final = 2
# Levels that packets without one stand for: between loud speakers and those who do not speak.
# Lower: they push out who speaks. Higher: they are not heard before who is silent.
GUESSED_SPEECH: Final = 40.0
GUESSED_SILENCE: Final = 75.0
# Smoothed sizes that differ by this much tell speech from silence. Higher: more take turns. Lower: noise is speech.
TELLING_RATIO: Final = 1.5
# From this share of the way between the least and the most on it is speech. Higher: quiet words are lost. Lower: noise
# is speech.
SPEECH_SHARE: Final = 0.35
# Of the least and the most with each packet: a third in 20 s. Higher: a long speech becomes silence. Lower: one loud
# word hides the quiet ones after it.
FORGETTING: Final = 0.0003
# Microphones of which nothing is known are heard in turns of this time where there is no room for all.
# Higher: longer waits. Lower: sentences are cut.
TURN_S: Final = 10.0
# Between two turns; more than the advantage of who is heard.
TURN_STEP_DB: Final = 7.0

Name = TypeVar("Name", bound=Hashable)


class SpeechLevel:
    """One microphone. Of a client without RFC 6464 the level is guessed from the sizes of its packets.

    One that `is_muted`, as its client says, does not speak, whatever comes.
    """

    def __init__(self) -> None:
        self._smoothed = float(SILENCE)
        self._at = -1.0
        self._sizes: PacketSizes | None = None
        self.spoke_at = -1.0
        self.is_muted = False

    def add_level(self, level: int, now: float) -> None:
        """A packet's audio level element: the voice flag and 7 bits of -dBov."""
        self._sizes = None
        self._take(SMOOTHING * self._smoothed + (1 - SMOOTHING) * (level & 0x7F), now)

    def add_size(self, size: int, now: float) -> None:
        """A packet without the element; the size of its payload in bytes."""
        if self._sizes is None:
            if now - self._at < STALE_S:
                # One without among others with it.
                return
            self._sizes = PacketSizes()
        self._take(self._sizes.add_size(size), now)

    def _take(self, level: float, now: float) -> None:
        self._smoothed = level
        self._at = now
        if level <= SPEECH_LEVEL and not self.is_muted and not self.is_unknown:
            self.spoke_at = now

    @property
    def is_unknown(self) -> bool:
        """Whether nothing tells speech from silence: the client sends no levels, and its packets are all alike."""
        return self._sizes is not None and not self._sizes.are_telling

    def loudness(self, now: float) -> float:
        """0 is silence, 127 the loudest."""
        return SILENCE - self._smoothed if now - self._at < STALE_S and not self.is_muted else 0.0

    def is_speaking(self, now: float) -> bool:
        """Whether this is speech."""
        return self.loudness(now) >= SILENCE - SPEECH_LEVEL and not self.is_unknown


class PacketSizes:
    """Tells speech from silence by what the packets of a microphone take: Opus spends more on speech, unless it is set
    to a constant rate."""

    def __init__(self) -> None:
        self._smoothed = self._least = self._most = 0.0

    @property
    def are_telling(self) -> bool:
        """Whether they differ enough to say anything."""
        return self._most > TELLING_RATIO * self._least

    def add_size(self, size: int) -> float:
        """Take in a packet's payload size; gives the level that it stands for."""
        if size <= DTX_BYTES:
            return float(SILENCE)
        if not self._smoothed:
            self._smoothed = self._least = self._most = float(size)
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * size
        self._least = min(self._least * (1 + FORGETTING), self._smoothed)
        self._most = max(self._most * (1 - FORGETTING), self._smoothed)
        is_speech = self._smoothed - self._least >= SPEECH_SHARE * (self._most - self._least)
        return GUESSED_SPEECH if is_speech or not self.are_telling else GUESSED_SILENCE


def compare(levels: Sequence[SpeechLevel], now: float) -> list[float]:
    """The loudness of each; those of whom nothing is known take turns as the one who speaks.

    Whoever has a turn counts as having spoken, so that a call with more people than slots hears and sees them all.
    """
    loudness = [level.loudness(now) for level in levels]
    unknown = [place for place, level in enumerate(levels) if level.is_unknown and loudness[place]]
    turn = int(now / TURN_S)
    for order, place in enumerate(unknown):
        waits = (order - turn) % len(unknown)
        loudness[place] = max(loudness[place] - waits * TURN_STEP_DB, 1.0)
        if not waits:
            levels[place].spoke_at = now
    return loudness


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
