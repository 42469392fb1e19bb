"""Who speaks: the order of the loudest, without changing to and fro."""

from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

from services.sfu.core.forwarding.speech_level import SpeechLevel

# Somebody who was heard keeps this advantage. Raising it makes fewer changes; lowering it brings the loudest sooner.
STICKINESS_DB: Final = 6.0
# Between two rankings. Raising it sees a speaker later; lowering it makes slots change to and fro.
RANK_INTERVAL_S: Final = 0.3
# Microphones of which nothing is known are heard in turns of this time where there are too few slots. Raising it makes
# the others wait longer; lowering it cuts sentences.
TURN_S: Final = 10.0
# Between two turns; more than the advantage of a person who is heard.
TURN_STEP_DB: Final = 7.0

Name = TypeVar("Name", bound=Hashable)


def compare(levels: Sequence[SpeechLevel], now: float) -> list[float]:
    """The loudness of each; those of whom nothing is known take turns as the one who speaks.

    Whoever has a turn counts as having spoken, so that a call with more people than slots hears and sees them all.
    """
    loudness = [level.loudness(now) for level in levels]
    unknown = [index for index, level in enumerate(levels) if level.is_unknown and loudness[index]]
    turn = int(now / TURN_S)
    for order, index in enumerate(unknown):
        waits = (order - turn) % len(unknown)
        loudness[index] = max(loudness[index] - waits * TURN_STEP_DB, 1.0)
        if not waits:
            levels[index].spoke_at = now
    return loudness


def rank(loudness: Sequence[tuple[Name, float]], former: Sequence[Name]) -> list[Name]:
    """All names, the loudest first. Those ranked before keep their order among equals and a small advantage."""
    ranks = {name: rank for rank, name in enumerate(former)}

    def strength(entry: tuple[Name, float]) -> tuple[float, int]:
        name, level = entry
        rank = ranks.get(name, len(ranks))
        # The advantage shrinks down the list, so that it holds between any two neighbours.
        bonus = STICKINESS_DB / (1 + rank) if level else 0.0
        return -(level + bonus), rank

    return [name for name, _ in sorted(loudness, key=strength)]
