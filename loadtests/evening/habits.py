"""What people do of an evening: one table of distributions, each with its source. docs/benchmarks/evening.md shows it.

Where the source is "assumed", nobody has told us better. Change a row, and the load changes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from loadtests.evening.laws import Exponential, Fixed, Geometric, Law, Lognormal, Share, Zipf

ASSUMED = "assumed"


@dataclass(frozen=True)
class Habit:
    """One row: what it is, in which unit, by which law, and who says so."""

    what: str
    unit: str
    law: Law
    source: str = ASSUMED


@dataclass(frozen=True)
class Habits:
    """All rows. Lengths of texts are in characters."""

    session_gap: Habit = Habit(
        "from the end of a session to the person's next one",
        "s",
        Exponential(900),
        "Poisson: Paxson and Floyd 1995, on sessions that people begin; four an hour: assumed",
    )
    session: Habit = Habit(
        "length of a session; people in a call stay for its end",
        "s",
        Lognormal(40, 1.08, 3600),
        "mean 72 s: Böhmer et al. 2011, 4,125 people's use of apps; the law: assumed",
    )
    second_device: Habit = Habit("sessions with a second device beside", "", Share(0.33))
    contacts: Habit = Habit("people whom one has a direct conversation with", "people", Lognormal(8, 0.8, 100))
    group_size: Habit = Habit("members of a group", "people", Zipf(1.7, 3, 256))
    groups_per_person: Habit = Habit("groups, for each person of the town", "", Fixed(0.25))
    choice: Habit = Habit(
        "which of one's conversations: the rank of the favourites", "", Zipf(1.0, 1, 100), f"the law: {ASSUMED}"
    )
    writes: Habit = Habit("sessions in which the person writes", "", Share(0.6))
    bursts: Habit = Habit("conversations that one writes in, a session", "", Geometric(1.3))
    burst: Habit = Habit(
        "messages in a row, in one conversation",
        "",
        Geometric(3.0),
        "assumed; with the rows above 3.6 messages a person and hour, beside answers. The world's mean: 50 a day"
        " (100 billion, 2 billion people: WhatsApp 2020)",
    )
    think: Habit = Habit("before one begins to type", "s", Lognormal(4, 1.0, 120))
    text: Habit = Habit("length of a text", "characters", Lognormal(30, 0.9, 2000))
    typing_rate: Habit = Habit(
        "characters typed a second", "1/s", Fixed(3.0), "Palin et al. 2019, 37,370 people: 36.2 words a minute"
    )
    reading_rate: Habit = Habit("characters read a second", "1/s", Fixed(19.8), "Brysbaert 2019: 238 words a minute")
    reply: Habit = Habit("messages in a direct conversation that are answered at once", "", Share(0.3))
    reaction: Habit = Habit("messages that whoever reads them reacts to", "", Share(0.05))
    file: Habit = Habit("messages with a picture", "", Share(0.12), "12 of 100 billion: WhatsApp, 31 December 2019")
    file_size: Habit = Habit("size of a picture", "bytes", Lognormal(100_000, 1.0, 5_000_000))
    search: Habit = Habit("sessions with a search", "", Share(0.03))
    call_gap: Habit = Habit(
        "from one call that a person places to the next",
        "s",
        Exponential(360_000),
        "100 million a day by 1 billion people (WhatsApp 2016); a tenth of them in the busiest hour: assumed",
    )
    call: Habit = Habit(
        "length of a call",
        "s",
        Lognormal(170, 1.74, 7200),
        "median 170 s, mean 773 s: Guha et al. 2006, on Skype",
    )
    call_answered: Habit = Habit("calls that are answered; of the rest half is declined", "", Share(0.7))
    answer_delay: Habit = Habit("from the ring to the answer", "s", Lognormal(6, 0.5, 30))
    group_call: Habit = Habit("calls in a group, for up to eight", "", Share(0.1))
    video: Habit = Habit("calls with pictures", "", Share(0.5))

    def rows(self) -> Iterator[Habit]:
        """In order."""
        for each in fields(self):
            yield getattr(self, each.name)

    def table(self) -> list[tuple[str, str, str]]:
        """For reading: what, by which law, and the source."""
        return [(one.what, f"{one.law} {one.unit}".strip(), one.source) for one in self.rows()]


HABITS = Habits()
