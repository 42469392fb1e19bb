"""How loud a microphone is: levels by RFC 6464, smoothed, or guessed from the sizes of packets."""

from typing import Final

# RFC 6464: 0 is the loudest, 127 is silence, in -dBov. Quieter than this is not speech. Raising it makes noise speech;
# lowering it means that quiet people are not heard.
SPEECH_LEVEL: Final = 50
SILENCE: Final = 127
# Weight of the past at each packet of 20 ms. Raising it sees a speaker later; lowering it makes a cough a speech.
SMOOTHING: Final = 0.8
# A level that is this old is silence: a client with DTX sends nothing while nobody speaks.
STALE_S: Final = 0.5
# Opus sends no more than this while it is silent (DTX).
DTX_BYTES: Final = 2
# Levels that packets without one stand for: between loud speakers and people who do not speak. Lowering them pushes out
# the person who speaks; raising them means that such a client is not heard before people who are silent.
GUESSED_SPEECH: Final = 40.0
GUESSED_SILENCE: Final = 75.0
# Smoothed sizes that differ by this much tell speech from silence. Raising it lets more clients take turns; lowering it
# makes noise speech.
TELLING_RATIO: Final = 1.5
# From this share of the way between the least and the most size on it is speech. Raising it loses quiet words; lowering
# it makes noise speech.
SPEECH_SHARE: Final = 0.35
# How much of the least and the most size is forgotten with each packet: a third in 20 s. Raising it makes silence of a
# long speech; lowering it lets one loud word hide the quiet ones after it.
FORGETTING: Final = 0.0003


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
